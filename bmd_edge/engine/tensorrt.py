"""TensorRT's own API, 10 and 11: how an engine is built, and how it is run.

Networks are strongly typed: what the graph says (float32, Q/DQ) is what is computed, and TF32 is off. TensorRT 11 knows
nothing else any more; in 10 it is a flag. All calls go through a `Toolkit`, the two modules, so that a test can hand in
others; TensorRT-RTX has the same building API, with which `make compile-check` builds without a GPU.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import TensorSpec
from bmd_edge.engine.base import Arrays, Engine
from bmd_edge.engine.engine_files import EngineTarget
from bmd_edge.errors import EngineError, MissingExtra

BATCHES = (1, 8, 32)
"""Smallest, usual and largest batch of the optimization profile; larger ones are split."""

Progress = Callable[[str, int, int], None]
"""Called with a phase's name, the steps done and their number."""


class Toolkit(NamedTuple):
    """The modules `tensorrt` and `cuda.bindings.runtime`."""

    trt: Any
    cuda: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Built:
    """A serialized engine, the layers of the parsed network, and TensorRT's timing cache afterwards."""

    plan: bytes
    layers: int
    timing: bytes


def toolkit() -> Toolkit:
    """Import TensorRT and CUDA's runtime; MissingExtra where they are not installed."""
    try:
        import tensorrt
        from cuda.bindings import runtime
    except ImportError as error:
        raise MissingExtra("TensorRT", "tensorrt") from error
    return Toolkit(tensorrt, runtime)


def target(kit: Toolkit, onnx: bytes) -> EngineTarget:
    """What an engine of this ONNX file would be made for here. EngineError without a GPU."""
    properties = _cuda(kit, kit.cuda.cudaGetDeviceProperties(0))
    module = Path("/proc/driver/nvidia/version")
    return EngineTarget(
        onnx_sha256=hashlib.sha256(onnx).hexdigest(),
        tensorrt=str(kit.trt.__version__),
        gpu=_text(properties.name),
        compute_capability=f"{properties.major}.{properties.minor}",
        driver=f"CUDA {_cuda(kit, kit.cuda.cudaDriverGetVersion())}"
        + (f", {module.read_text().splitlines()[0]}" if module.is_file() else ""),
        options=json.dumps({"batches": BATCHES, "tf32": False, "strongly_typed": True}),
    )


def build(
    trt: Any,
    onnx: bytes,
    *,
    compute_capability: Any = None,
    timing: bytes | None = None,
    progress: Progress = lambda *_: None,
) -> Built:
    """Build an engine from one self-contained ONNX file with the module `tensorrt` or `tensorrt_rtx`.

    Args:
        trt: the module.
        onnx: the file's bytes.
        compute_capability: TensorRT-RTX only: build for this one instead of the GPU here.
        timing: an earlier timing cache, may be empty; None where the module has none (TensorRT-RTX).
        progress: called as the build goes on.

    Raises:
        EngineError: TensorRT does not take the network, or cannot build it here.
    """
    log = _log(trt)
    builder = trt.Builder(log)
    strong = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # 10; always so in 11
    network = builder.create_network(0 if strong is None else 1 << int(strong))
    parser = trt.OnnxParser(network, log)
    if not parser.parse(onnx):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        reasons = "; ".join(f"{error.node_operator()} at {error.node_name()}: {error.desc()}" for error in errors)
        raise EngineError(f"TensorRT does not take the network: {reasons[:300]}")
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "TF32"):
        config.clear_flag(trt.BuilderFlag.TF32)
    config.progress_monitor = _monitor(trt, progress)
    if compute_capability is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(compute_capability, 0)
    if timing is not None:
        config.set_timing_cache(config.create_timing_cache(timing), False)
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        profile.set_shape(tensor.name, *((batch, *tuple(tensor.shape)[1:]) for batch in BATCHES))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        said = "; ".join(log.errors) or "no reason given"
        raise EngineError(
            f"TensorRT cannot build the engine: {said[:300]}. Where it finds no implementation for a node, the GPU's"
            " memory is often full: end other programs on it, then compile again"
        )
    cache = bytes(config.get_timing_cache().serialize()) if timing is not None else b""
    return Built(bytes(plan), network.num_layers, cache)


class TensorRtEngine(Engine):
    """A compiled engine on the GPU; `plan` is what `build` made and `EngineCache.read` vouches for."""

    def __init__(self, plan: bytes, precision: str, kit: Toolkit) -> None:
        super().__init__("tensorrt", precision)
        self._plan = plan
        self._kit = kit
        self._memory: dict[str, int] = {}
        self._stream: Any = None
        self._context: Any = None

    def _open(self) -> None:
        trt, cuda = self._kit
        self._log = _log(trt)
        self._runtime = trt.Runtime(self._log)  # must outlive the engine
        engine = self._runtime.deserialize_cuda_engine(self._plan)
        self._context = None if engine is None else engine.create_execution_context()
        if self._context is None:
            raise EngineError(f"TensorRT cannot load the engine: {'; '.join(self._log.errors)[:300]}")
        self._stream = self._call(cuda.cudaStreamCreate())
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
            spec = TensorSpec((None, *(int(size) for size in tuple(engine.get_tensor_shape(name))[1:])), str(dtype))
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            (self.inputs if is_input else self.outputs)[name] = spec
            size = BATCHES[-1] * int(np.prod([size or 1 for size in spec.shape])) * dtype.itemsize
            self._memory[name] = int(self._call(cuda.cudaMalloc(size)))
            self._context.set_tensor_address(name, self._memory[name])

    def _run(self, feeds: Arrays) -> Arrays:
        n = len(next(iter(feeds.values())))
        parts = [
            self._run_part(
                {name: np.ascontiguousarray(array[start : start + BATCHES[-1]]) for name, array in feeds.items()}
            )
            for start in range(0, n, BATCHES[-1])
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.outputs}

    def _run_part(self, feeds: dict[str, NDArray[Any]]) -> Arrays:
        cuda, kinds = self._kit.cuda, self._kit.cuda.cudaMemcpyKind
        n = len(next(iter(feeds.values())))
        results = {
            name: np.empty((n, *(size or 1 for size in spec.shape[1:])), spec.dtype)
            for name, spec in self.outputs.items()
        }
        for name, array in feeds.items():
            self._context.set_input_shape(name, array.shape)
            host, to_gpu = array.ctypes.data, kinds.cudaMemcpyHostToDevice
            self._call(cuda.cudaMemcpyAsync(self._memory[name], host, array.nbytes, to_gpu, self._stream))
        if not self._context.execute_async_v3(self._stream):
            raise EngineError(f"TensorRT failed: {'; '.join(self._log.errors)[:300]}")
        for name, array in results.items():
            host, to_host = array.ctypes.data, kinds.cudaMemcpyDeviceToHost
            self._call(cuda.cudaMemcpyAsync(host, self._memory[name], array.nbytes, to_host, self._stream))
        self._call(cuda.cudaStreamSynchronize(self._stream))
        return results

    def _close(self) -> None:
        for address in self._memory.values():
            self._call(self._kit.cuda.cudaFree(address))
        self._call(self._kit.cuda.cudaStreamDestroy(self._stream))
        self._memory, self._stream, self._context = {}, None, None

    def _call(self, answer: tuple[Any, ...]) -> Any:
        return _cuda(self._kit, answer)


def _cuda(kit: Toolkit, answer: tuple[Any, ...]) -> Any:
    """The value of a CUDA call, which answers (error, value) or (error,); EngineError where it failed."""
    if answer[0] != kit.cuda.cudaError_t.cudaSuccess:
        raise EngineError(f"CUDA failed: {answer[0]}; check the driver with nvidia-smi, or use --device cpu")
    return answer[1] if len(answer) > 1 else None


def _text(name: Any) -> str:
    return name.decode(errors="replace").rstrip("\0") if isinstance(name, bytes) else str(name)


def _log(trt: Any) -> Any:
    """A logger that keeps TensorRT's errors, so that they can be said in one line."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append((message.splitlines() or [""])[0])

    return Log()


def _monitor(trt: Any, progress: Progress) -> Any:
    """TensorRT's progress monitor; it calls from threads of its own."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase_name: str, _parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps
            progress(phase_name, 0, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            progress(phase_name, step + 1, self.steps.get(phase_name, 0))
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()
