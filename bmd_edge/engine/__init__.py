"""Tensor in, raw numbers out: ONNX Runtime on CPU or CUDA, TensorRT, or a function (the shipped fake).

An engine is opened, used, closed. The device and precision asked for are used, or an error is raised.

    base.py           Engine, FunctionEngine
    onnx_runtime.py   OnnxEngine, and how the CPU reads an INT8 file
    cache.py          compiled engines on disk: keys, sidecars, who made them
    tensorrt.py       TensorRtEngine, and how one is built
    compiled.py       what `bmd-edge compile` and opening a compiled engine do
"""

from bmd_edge.bundle import Bundle
from bmd_edge.engine.base import Arrays, Engine, FunctionEngine, check_specs, self_test
from bmd_edge.engine.compiled import open_compiled
from bmd_edge.engine.onnx_runtime import (
    PROVIDERS,
    ZERO_NONNEGATIVE,
    ZERO_SIGNED,
    OnnxEngine,
    cpu_encoding,
    onnxruntime_module,
)
from bmd_edge.errors import UsageError
from bmd_edge.system.machine import cpus

__all__ = [
    "DEVICES",
    "PRECISIONS",
    "ZERO_NONNEGATIVE",
    "ZERO_SIGNED",
    "Arrays",
    "Engine",
    "FunctionEngine",
    "OnnxEngine",
    "cpu_encoding",
    "open_engine",
    "self_test",
]
DEVICES = ("auto", "cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", "fp32", "int8")


def open_engine(
    bundle: Bundle, model: str, *, device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Engine:
    """Open the bundle's "finder" or "bmd" network and check it against the manifest.

    device "auto": CUDA where the installed ONNX Runtime has it, else CPU; TensorRT only when asked for, and only what
    `bmd-edge compile` has built. precision "auto": int8 on the CPU if the bundle holds it for this model, with TensorRT
    if the guard has judged it so too, else fp32. threads None: all CPUs this process may use.
    `engine.device` and `engine.precision` say what is used. Raises EngineError, MissingExtra or UsageError.
    """
    if device not in DEVICES or precision not in PRECISIONS:
        raise UsageError(f"--device is one of {', '.join(DEVICES)}; --precision one of {', '.join(PRECISIONS)}")
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
