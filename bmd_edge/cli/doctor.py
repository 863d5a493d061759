"""What `bmd-edge doctor` looks at: the versions, the decoders, the engine and the bundle of this machine."""

import platform
from collections.abc import Iterator
from pathlib import Path

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import BmdEdgeError, install
from bmd_edge.pixels.decoder_check import decoder_differences, is_sound
from bmd_edge.pixels.transfer_syntaxes import syntaxes
from bmd_edge.screen.run import versions
from bmd_edge.system.check import Check
from bmd_edge.system.machine import cpus

PROCESSORS = {
    "x86_64": "x86_64",
    "aarch64": "aarch64, tried under an emulator only: the self-tests below say whether its numbers hold",
}
"""Machine -> what is known of this version on it."""


def examine(bundle: Path | None) -> Iterator[Check]:
    """Look at everything, one check after the other.

    Args:
        bundle: folder of a bundle; None takes the embedded one.
    """
    for name, version in versions().items():
        yield Check(True, name, version)
    machine = platform.machine()
    yield Check(True, "processor", PROCESSORS.get(machine, f"{machine}, never tried: look at the self-tests below"))
    yield from _decoders()
    yield from _engine()
    yield from _bundle(bundle)


def _decoders() -> Iterator[Check]:
    """Decode a tiny film of every compressed transfer syntax and compare it with what it must be."""
    sound = {uid: is_sound(uid, difference) for uid, difference in decoder_differences().items()}
    for uid, (name, decoder) in syntaxes().items():
        fine = sound.get(uid, True)  # uncompressed films have no decoder to test
        what = f"{uid}, {decoder}" if fine else "decodes wrongly: pip install --force-reinstall imagecodecs"
        yield Check(fine, f"reads {name}", what)


def _engine() -> Iterator[Check]:
    wheels = [name for name in versions() if name.startswith("onnxruntime")]
    if len(wheels) != 1:
        what = "both are installed and overwrite each other: uninstall both, then" if wheels else "is not installed:"
        found = " and ".join(wheels) or "onnxruntime"
        yield Check(False, "engine", f"{found} {what} {install('cpu')}")
        return
    import onnxruntime

    providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    yield Check(True, "engine offers", ", ".join(providers))
    yield Check(True, "CPUs for this process", str(cpus()))


def _bundle(path: Path | None) -> Iterator[Check]:
    """Verify every file and run each network in each precision on its golden inputs."""
    try:
        bundle = read_bundle(path)
    except BmdEdgeError as error:
        yield Check(False, "bundle", str(error))
        return
    yield Check(True, "bundle", f"{bundle.manifest.version}, digest {bundle.digest[:16]}, all files verified")
    for model in bundle.manifest.models:
        for precision in bundle.precisions(model):
            what = f"self-test of {model}, {precision}"
            try:
                with open_engine(bundle, model, precision=precision) as engine:
                    largest = max(self_test(bundle, model, engine).values())
                yield Check(True, what, f"on {engine.device}, largest difference {largest:.2g}")
            except BmdEdgeError as error:
                yield Check(False, what, str(error))
