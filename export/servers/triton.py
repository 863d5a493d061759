"""A bundle as a model repository of NVIDIA's Triton Inference Server.

    finder/config.pbtxt       names, shapes, batching and warm-up of the network (Triton's model_config.proto)
    finder/1/model.onnx       the network itself; model.plan where it was compiled for this machine's GPU
    finder/warmup/image       one golden input, raw float32
    bmd/...                   the same of the BMD network

On "cpu" and "cuda" networks are served in fp32: Triton's ONNX Runtime can be told neither how to keep 8-bit products
exact on CPUs without VNNI nor to leave the first pooling alone, as `bmd_edge.engine.onnx_runtime` does for INT8.
"""

from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine import tensorrt
from bmd_edge.engine.compile import compiled
from bmd_edge.engine.engine_files import EngineCache
from bmd_edge.engine.open import no_device
from bmd_edge.errors import BundleError, UsageError
from export.servers.written import write_tree

KINDS = {"cpu": "KIND_CPU", "cuda": "KIND_GPU", "tensorrt": "KIND_GPU"}
"""Device -> Triton's kind of instance."""


def write_triton(bundle: VerifiedBundle, out: Path, device: str = "cpu") -> dict[str, str]:
    """Write the model repository of a bundle into the new folder `out`; returns network -> precision.

    Raises:
        UsageError: `out` exists, or there is no such device.
        EngineError: for "tensorrt", a network that `bmd-edge compile` has not built on this machine.
        BundleError: an input or output that is not of float32.
    """
    if device not in KINDS:
        raise UsageError(no_device(device, KINDS))
    files: dict[str, bytes] = {}
    served = {}
    for model in bundle.manifest.models:
        data, precision = _network(bundle, model, device)
        name = "model.plan" if device == "tensorrt" else "model.onnx"
        files[f"{model}/1/{name}"] = data
        files[f"{model}/config.pbtxt"] = _config(bundle, model, device, precision, name).encode()
        files |= {f"{model}/warmup/{name}": image for name, image in _warm_up(bundle, model).items()}
        served[model] = precision
    write_tree(out, files)
    return served


def _network(bundle: VerifiedBundle, model: str, device: str) -> tuple[bytes, str]:
    if device == "tensorrt":
        return compiled(bundle, model, "auto", tensorrt.toolkit(), EngineCache())
    return bundle.model_bytes(model, "fp32"), "fp32"


def _config(bundle: VerifiedBundle, model: str, device: str, precision: str, file: str) -> str:
    facts = bundle.manifest.models[model]
    for name, spec in (*facts.inputs.items(), *facts.outputs.items()):
        if spec.dtype != "float32" or None in spec.shape[1:]:
            raise BundleError(f"{name} of {model} is no float32 tensor of fixed size: export the bundle again")
    _, usual, most = tensorrt.BATCHES
    templates = Environment(
        loader=PackageLoader("export.servers"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return templates.get_template("config.pbtxt.j2").render(
        bundle=bundle,
        model=model,
        device=device,
        precision=precision,
        file=file,
        facts=facts,
        kind=KINDS[device],
        most=most,
        warm_up=(1, usual),
    )


def _warm_up(bundle: VerifiedBundle, model: str) -> dict[str, bytes]:
    """The first golden image of each input, as Triton reads it: raw little-endian float32."""
    golden = bundle.golden()
    names = bundle.manifest.models[model].inputs
    return {name: golden[f"{model}/input/{name}"][0].astype(np.dtype("<f4")).tobytes() for name in names}
