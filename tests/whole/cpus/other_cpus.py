"""The same films on other CPUs, which qemu-user emulates: does one film give one number?

    python -m tests.whole.cpus.other_cpus --out tests/results/other_cpus.json

measures all demo films on the machine itself, on a Nehalem (SSE4.2) and on a Haswell (AVX2), both without VNNI. An
emulated CPU runs some hundred times slower, so the two networks alone run there, without their self-test. Where 8-bit
products would clip, ONNX Runtime is told so: qemu shows the flags of the machine it runs on.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np

import bmd_edge
from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.engine import onnx_runtime
from bmd_edge.engine.open import open_engine
from bmd_edge.film.read import read_film
from bmd_edge.hips.finder import find_hips
from bmd_edge.hips.region import SCALES, Hip, hip_image
from bmd_edge.measure.estimate import over_scales
from bmd_edge.system.files import replace_bytes

ROOT = Path(__file__).parents[3]
DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"
CPUS = ("Nehalem", "Haswell")
EMULATOR = "qemu-x86_64"

Numbers = dict[str, dict[str, list[float]]]
"""Hip, as film and side -> precision -> the network's BMD by site, g/cm2."""


def numbers(names: list[str], *, saturates: bool) -> Numbers:
    """What the networks say of demo films on this CPU; `saturates`: it has no VNNI."""
    bundle, found = read_bundle(), {}
    with patch.object(onnx_runtime, "_saturates", lambda: saturates):
        finder, *networks = (
            open_engine(bundle, name, device="cpu", precision=precision, threads=1)
            for name, precision in (("finder", "fp32"), ("bmd", "fp32"), ("bmd", "int8"))
        )
    for name in names:
        film = read_film(DEMO / name)
        for hip in find_hips(film, finder, bundle.inputs, bundle.manifest.plausibility):
            if isinstance(hip, Hip):
                image = np.stack([hip_image(film, hip, bundle.inputs["bmd"], scale) for scale in SCALES])
                said = {one.precision: over_scales(one.run({"image": image})["bmd"])[0] for one in networks}
                found[f"{name} {hip.side}"] = {key: value.tolist() for key, value in said.items()}
    return found


def emulated(cpu: str, names: list[str], seconds: float | None = None) -> Numbers:
    """`numbers` on an emulated CPU; subprocess.TimeoutExpired after so many seconds."""
    path = os.pathsep.join(entry or os.getcwd() for entry in (str(ROOT), *sys.path))
    command = [
        EMULATOR,
        "-cpu",
        cpu,
        os.path.realpath(sys.executable),
        "-m",
        "tests.whole.cpus.other_cpus",
        "--on",
        cpu,
    ]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    # The emulator keeps the host's vendor: on an AMD one, OpenBLAS takes kernels that the emulated CPU lacks.
    env = {**os.environ, **one_thread, "OPENBLAS_CORETYPE": cpu, "PYTHONPATH": path}
    done = subprocess.run([*command, *names], capture_output=True, text=True, env=env, cwd=ROOT, timeout=seconds)
    if done.returncode:
        raise RuntimeError(f"{cpu}: {done.stderr[-500:]}")
    found: Numbers = json.loads(done.stdout)
    return found


def largest_difference(here: Numbers, there: Numbers) -> dict[str, float]:
    """By precision, g/cm2; both have the same hips."""
    assert here.keys() == there.keys(), "another CPU finds other hips"
    pairs = [(here[hip][one], there[hip][one], one) for hip in here for one in here[hip]]
    return {
        one: max(float(np.abs(np.subtract(a, b)).max()) for a, b, of in pairs if of == one) for one in ("fp32", "int8")
    }


def main() -> None:
    """Measure, or be the emulated process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--on", help="the CPU that this process is on")
    parser.add_argument("--out", type=Path)
    parser.add_argument("films", nargs="*")
    asked = parser.parse_args()
    if asked.on:
        sys.stdout.write(json.dumps(numbers(asked.films, saturates=True)))
        return
    if shutil.which(EMULATOR) is None:
        sys.exit(f"{EMULATOR} is not installed: apt-get install qemu-user")
    names = asked.films or sorted(path.name for path in DEMO.glob("*.dcm"))
    here = numbers(names, saturates=onnx_runtime._saturates())
    there = {cpu: emulated(cpu, names) for cpu in CPUS}
    found = {
        "command": "python -m tests.whole.cpus.other_cpus",
        "bundle": read_bundle().digest,
        "films": names,
        "largest_difference_gcm2": {
            cpu: {one: round(value, 6) for one, value in largest_difference(here, said).items()}
            for cpu, said in there.items()
        },
    }
    text = json.dumps(found, indent=1) + "\n"
    sys.stdout.write(text)
    if asked.out:
        replace_bytes(asked.out, text.encode())


if __name__ == "__main__":
    main()
