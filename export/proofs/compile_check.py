"""The compile gate: TensorRT-RTX builds every exported file for several GPUs, on a machine that has none.

`python -m export.proofs.compile_check [BUNDLE ...]` builds the bundles' networks, by default those of the
embedded one and every backbone untrained, in fp32, fp16 and INT8. It uses the runtime's own
`bmd_edge.engine.tensorrt.build`, so what a GPU's owner calls has been called here up to the finished engine. It
cannot run one: `bmd-edge compile` does, with the golden self-test, on the GPU.
"""

import argparse
import logging
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.transformers.float16 import convert_float_to_float16

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.network_input import BMD
from bmd_edge.engine.tensorrt import build
from bmd_edge.errors import MissingExtra
from export.int8.quantize import int8_from_onnx
from export.int8.ranges import collect
from export.onnx_file.to_onnx import onnx_from_network
from trainer.networks.backbones import BACKBONES
from trainer.networks.build import build as build_network
from trainer.networks.outputs import OUTPUTS

GPUS = {"SM80": "A100", "SM86": "RTX 30, A2000, Orin's generation", "SM89": "RTX 40, L4", "SM120": "RTX 50"}
"""Compute capabilities, and what has them."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """One built engine: which file, for which GPUs; layers of the parsed network; bytes of the engine."""

    network: str
    precision: str
    compute_capability: str
    layers: int
    engine_bytes: int


def fp16_from_onnx(fp32: bytes) -> bytes:
    """An fp32 ONNX file as a strongly typed fp16 one, inputs and outputs float32."""
    wrapped = ONNXModel(convert_float_to_float16(onnx.load_from_string(fp32), keep_io_types=True))
    wrapped.topological_sort()  # the converter puts its casts last
    raw: bytes = wrapped.model.SerializeToString(deterministic=True)
    return raw


def compile_all(trt: Any, network: str, files: dict[str, bytes]) -> Iterator[Compiled]:
    """Build each file (precision -> ONNX bytes) for each of `GPUS`.

    Raises EngineError, with TensorRT's reason, where one cannot be built.
    """
    for precision, raw in files.items():
        for name in GPUS:
            built = build(trt, raw, compute_capability=getattr(trt.ComputeCapability, name))
            yield Compiled(network, precision, name, built.layers, len(built.plan))


def files_of_bundle(bundle: VerifiedBundle) -> dict[str, dict[str, bytes]]:
    """network -> precision -> ONNX bytes, with fp16 made of fp32."""
    found: dict[str, dict[str, bytes]] = {}
    for model in bundle.manifest.models:
        files = {precision: bundle.model_bytes(model, precision) for precision in bundle.precisions(model)}
        found[model] = {**files, "fp16": fp16_from_onnx(files["fp32"])}
    return found


def files_of_backbone(name: str) -> dict[str, bytes]:
    """precision -> ONNX bytes of an untrained network at the size in use: exported, quantized on noise."""
    kwargs = {"pretrained": False} if name == "effnet_lite0" else {}
    images = np.random.default_rng(0).random((2, 1, BMD.size_px, BMD.size_px), dtype=np.float32)
    with tempfile.TemporaryDirectory() as scratch:
        fp32, int8 = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
        onnx_from_network(build_network(name, **kwargs).eval(), images, OUTPUTS["bmd"], fp32, {})
        int8_from_onnx(fp32, int8, collect(fp32, [images]))
        return {"fp32": fp32.read_bytes(), "fp16": fp16_from_onnx(fp32.read_bytes()), "int8": int8.read_bytes()}


def tensorrt_rtx() -> Any:
    """The module; MissingExtra where it is not installed."""
    try:
        import tensorrt_rtx as trt
    except ImportError as error:
        raise MissingExtra("TensorRT-RTX", "compile-check") from error
    return trt


def main(arguments: list[str] | None = None) -> None:
    """Print one line per network, precision and GPU; an EngineError ends it where one cannot be built."""
    parser = argparse.ArgumentParser(prog="python -m export.proofs.compile_check", description=__doc__)
    parser.add_argument(
        "bundles", nargs="*", type=Path, help="bundle folders; default the embedded one and every backbone"
    )
    chosen = parser.parse_args(arguments).bundles
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that this export does not need
    trt = tensorrt_rtx()
    out = sys.stdout
    out.write(f"TensorRT-RTX {trt.__version__}; built, not run: there is no GPU in this check\n")
    out.write(f"{'network':<22} {'precision':<9} {'for':<6} {'layers':>6} {'engine':>9}\n")
    networks = {
        f"{path.name} {name}" if path else name: files
        for path in chosen or [None]
        for name, files in files_of_bundle(read_bundle(path)).items()
    }
    if not chosen:
        networks |= {name: files_of_backbone(name) for name in BACKBONES}
    for network, files in networks.items():
        for one in compile_all(trt, network, files):
            out.write(
                f"{one.network:<22} {one.precision:<9} {one.compute_capability:<6} {one.layers:>6}"
                f" {one.engine_bytes / 1e6:>6.1f} MB\n"
            )


if __name__ == "__main__":
    main()
