"""A stand-in for the modules `tensorrt` and `cuda.bindings.runtime`, for `bmd_edge.engine.tensorrt.Toolkit`.

It keeps "GPU memory" in a dictionary and runs the ONNX file with ONNX Runtime, so it shows that the calls are made in
the right order with the right names, shapes and addresses. It shows nothing about TensorRT or any GPU.
"""

import ctypes
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.engine.tensorrt import Toolkit

OK = "success"


class Cuda:
    cudaError_t = SimpleNamespace(cudaSuccess=OK)
    cudaMemcpyKind = SimpleNamespace(cudaMemcpyHostToDevice="in", cudaMemcpyDeviceToHost="out")

    def __init__(self, gpu: str = "Pretend 1", driver: int = 13000) -> None:
        self.gpu, self.driver = gpu, driver
        self.memory: dict[int, bytearray] = {}
        self.streams = 0

    def cudaGetDeviceProperties(self, _device: int) -> tuple[str, Any]:
        return OK, SimpleNamespace(name=self.gpu.encode(), major=8, minor=6)

    def cudaDriverGetVersion(self) -> tuple[str, int]:
        return OK, self.driver

    def cudaStreamCreate(self) -> tuple[str, str]:
        self.streams += 1
        return OK, "stream"

    def cudaStreamDestroy(self, _stream: str) -> tuple[str]:
        self.streams -= 1
        return (OK,)

    def cudaStreamSynchronize(self, _stream: str) -> tuple[str]:
        return (OK,)

    def cudaMalloc(self, size: int) -> tuple[str, int]:
        address = 1000 + len(self.memory)
        self.memory[address] = bytearray(size)
        return OK, address

    def cudaFree(self, address: int) -> tuple[str]:
        del self.memory[address]
        return (OK,)

    def cudaMemcpyAsync(self, target: int, source: int, size: int, kind: str, _stream: str) -> tuple[str]:
        if kind == "in":
            self.memory[target][:size] = ctypes.string_at(source, size)
        else:
            ctypes.memmove(target, bytes(self.memory[source][:size]), size)
        return (OK,)


class Trt:
    """`failure` is "parse", "build", "load" or "run": what shall go wrong; `offset` is added to every output."""

    __version__ = "11.0.0"
    NetworkDefinitionCreationFlag = SimpleNamespace()
    BuilderFlag = SimpleNamespace(TF32="tf32")
    TensorIOMode = SimpleNamespace(INPUT="input", OUTPUT="output")
    nptype = staticmethod(np.dtype)

    class ILogger:
        Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1, WARNING=2)

    class IProgressMonitor:
        pass

    def __init__(self, cuda: Cuda, failure: str = "", offset: float = 0.0) -> None:
        self.cuda, self.failure, self.offset = cuda, failure, offset
        self.builds: list[dict[str, Any]] = []

    def Builder(self, log: Any) -> Any:
        def create_network(flags: int) -> Any:
            return SimpleNamespace(flags=flags, num_layers=7)

        def serialize(network: Any, config: Any) -> bytes | None:
            config.progress_monitor.phase_start("Building", None, 2)
            config.progress_monitor.step_complete("Building", 0)
            config.progress_monitor.phase_finish("Building")
            if self.failure == "build":
                log.log(1, "no implementation for node")
                return None
            self.builds.append({"flags": network.flags, **vars(config)})
            return b"ENGINE" + network.onnx

        shapes: dict[str, Any] = {}
        profile = SimpleNamespace(set_shape=lambda name, *batches: shapes.update({name: batches}))
        return SimpleNamespace(
            create_network=create_network,
            create_builder_config=lambda: Config(shapes),
            create_optimization_profile=lambda: profile,
            build_serialized_network=serialize,
        )

    def OnnxParser(self, network: Any, _log: Any) -> Any:
        def parse(onnx: bytes) -> bool:
            network.onnx = onnx
            with OnnxEngine(onnx) as engine:
                tensors = [SimpleNamespace(name=n, shape=(-1, *s.shape[1:])) for n, s in engine.inputs.items()]
            network.num_inputs, network.get_input = len(tensors), tensors.__getitem__
            return self.failure != "parse"

        error = SimpleNamespace(desc=lambda: "false", node_operator=lambda: "Bernoulli", node_name=lambda: "coin")
        return SimpleNamespace(parse=parse, num_errors=1, get_error=lambda _: error)

    def Runtime(self, log: Any) -> Any:
        def load(plan: bytes) -> Any:
            if self.failure == "load":
                log.log(1, "serialization version mismatch")
                return None
            return Loaded(self, plan.removeprefix(b"ENGINE"))

        return SimpleNamespace(deserialize_cuda_engine=load)


class Config:
    def __init__(self, shapes: dict[str, Any]) -> None:
        self.shapes = shapes
        self.cleared: list[str] = []
        self.clear_flag = self.cleared.append
        self.timing = b""

    def add_optimization_profile(self, _profile: Any) -> None:
        pass

    def create_timing_cache(self, data: bytes) -> bytes:
        return data

    def set_timing_cache(self, data: bytes, _ignore: bool) -> None:
        self.timing = data

    def get_timing_cache(self) -> Any:
        return SimpleNamespace(serialize=lambda: self.timing + b"timed")


class Loaded:
    def __init__(self, trt: Trt, onnx: bytes) -> None:
        self.trt = trt
        self.network = OnnxEngine(onnx)
        self.network.open()
        self.specs = {**self.network.inputs, **self.network.outputs}
        self.num_io_tensors = len(self.specs)
        self.addresses: dict[str, int] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.set_tensor_address = self.addresses.__setitem__
        self.set_input_shape = self.shapes.__setitem__

    def create_execution_context(self) -> "Loaded":
        return self

    def get_tensor_name(self, index: int) -> str:
        return list(self.specs)[index]

    def get_tensor_dtype(self, name: str) -> str:
        return self.specs[name].dtype

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, *self.specs[name].shape[1:])

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in self.network.inputs else "output"

    def execute_async_v3(self, _stream: str) -> bool:
        memory = self.trt.cuda.memory
        feeds = {}
        for name, shape in self.shapes.items():
            raw = memory[self.addresses[name]][: 4 * int(np.prod(shape))]
            feeds[name] = np.frombuffer(bytes(raw), np.float32).reshape(shape)
        for name, values in self.network.run(feeds).items():
            raw = (values + np.float32(self.trt.offset)).tobytes()
            memory[self.addresses[name]][: len(raw)] = raw
        return self.trt.failure != "run"


def pretend(failure: str = "", offset: float = 0.0, gpu: str = "Pretend 1", driver: int = 13000) -> Toolkit:
    """A toolkit without a GPU."""
    cuda = Cuda(gpu, driver)
    return Toolkit(Trt(cuda, failure, offset), cuda)


SHARED = pretend()


def install(folder: Path) -> None:
    """Write modules `tensorrt` and `cuda.bindings` into a folder, for the PYTHONPATH of other processes."""
    bindings = folder / "cuda" / "bindings"
    bindings.mkdir(parents=True)
    (folder / "tensorrt.py").write_text(
        "import sys, tests.support.toolkit\nsys.modules[__name__] = tests.support.toolkit.SHARED.trt\n"
    )
    (bindings / "__init__.py").write_text("import tests.support.toolkit\nruntime = tests.support.toolkit.SHARED.cuda\n")
