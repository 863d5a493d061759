"""The door of the engines: the device and precision asked for are used, or an error is raised."""

from collections.abc import Iterable

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.base import Engine
from bmd_edge.engine.compile import open_compiled
from bmd_edge.engine.onnx_runtime import (
    PROVIDERS,
    OnnxEngine,
    onnxruntime_module,
)
from bmd_edge.engine.self_test import check_specs
from bmd_edge.errors import UsageError, none_of
from bmd_edge.system.machine import cpus

DEVICES = ("auto", "cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", "fp32", "int8")


def no_device(device: str, devices: Iterable[str]) -> str:
    """What a message says of a word that is no device; gpu is spelled nearest to cpu, and means the other."""
    return f"--device: {device[:40]!r} is not one of {', '.join(devices)}; an NVIDIA GPU is cuda, or tensorrt"


def open_engine(
    bundle: VerifiedBundle, model: str, *, device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Engine:
    """Open the bundle's "finder" or "bmd" network and check it against the manifest.

    device "auto": CUDA where the installed ONNX Runtime has it, else CPU; TensorRT only when asked for, and only what
    `bmd-edge compile` has built. precision "auto": int8 on the CPU if the bundle holds it for this model, with TensorRT
    if it was judged so too, else fp32. threads None: all CPUs this process may use.
    `engine.device` and `engine.precision` say what is used. Raises EngineError, MissingExtra or UsageError.
    """
    if device not in DEVICES:
        raise UsageError(no_device(device, DEVICES))
    if precision not in PRECISIONS:
        raise UsageError(f"--precision: {none_of(precision, PRECISIONS)}")
    if device == "tensorrt":
        return open_compiled(bundle, model, precision)
    if device == "auto":
        device = "cuda" if PROVIDERS["cuda"] in onnxruntime_module().get_available_providers() else "cpu"
    if precision == "auto":
        precision = "int8" if device == "cpu" and "int8" in bundle.precisions(model) else "fp32"
    threads = cpus() if threads is None else threads
    engine = OnnxEngine(bundle.model_bytes(model, precision), device, threads, precision)
    engine.open()
    check_specs(bundle, model, engine)
    return engine
