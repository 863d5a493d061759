"""Tensor in, raw numbers out: ONNX Runtime on CPU or CUDA, or a function (the shipped fake).

An engine is opened, used, closed. The base class checks names, shapes, dtypes and finiteness once for all of them;
errors of ONNX Runtime end here as EngineError. The device and precision asked for are used, or an error is raised.
"""

import importlib.metadata
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle import Bundle
from bmd_edge.errors import EngineError, MissingExtra, UsageError
from bmd_edge.machine import cpus
from bmd_edge.manifest import TensorSpec

Arrays = dict[str, NDArray[Any]]
DEVICES = ("auto", "cpu", "cuda", "tensorrt")
PRECISIONS = ("auto", "fp32", "int8")
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DISABLED_OPTIMIZERS = ["QDQPropagationTransformer"]
"""It would move the quantization in front of the first pooling, whose 8-bit kernel is 60 times slower there."""
ZERO_SIGNED, ZERO_NONNEGATIVE = "zero_signed", "zero_nonnegative"
"""Names of the two zero points, int8 0, that all activations of an INT8 file share; see `cpu_encoding`."""
_DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}


class Engine(ABC):
    """A network that can be run; use it as a context manager.

    `inputs` and `outputs` map names to `TensorSpec(shape, dtype)`, shape with None for the batch; they are known once
    the engine is open. `device` and `precision` are what is used, never "auto".
    """

    def __init__(self, device: str, precision: str) -> None:
        self.device = device
        self.precision = precision
        self.inputs: dict[str, TensorSpec] = {}
        self.outputs: dict[str, TensorSpec] = {}
        self._is_open = False

    def open(self) -> None:
        """Load the network; EngineError if this machine cannot. Opening an open engine does nothing."""
        if not self._is_open:
            self._open()
            self._is_open = True

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """Run one batch: name -> array in, name -> array out, both exactly as `inputs` and `outputs` say.

        Raises EngineError if the engine is closed, or a name, shape, dtype or value (not finite) is wrong.
        """
        if not self._is_open:
            raise EngineError("the engine is not open")
        batch = _check("input", self.inputs, feeds, None)
        results = self._run(dict(feeds))
        _check("output", self.outputs, results, batch)
        return results

    def close(self) -> None:
        """Free the network; closing a closed engine does nothing."""
        if self._is_open:
            self._is_open = False
            self._close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _run(self, feeds: Arrays) -> Arrays: ...

    @abstractmethod
    def _close(self) -> None: ...


def _check(what: str, specs: Mapping[str, TensorSpec], arrays: Mapping[str, NDArray[Any]], batch: int | None) -> int:
    """Check arrays against their specs; returns the batch size, which all of them share."""
    if set(arrays) != set(specs):
        raise EngineError(f"{what}s are {sorted(arrays)}, the network has {sorted(specs)}")
    for name, spec in specs.items():
        array = arrays[name]
        fits = array.ndim == len(spec.shape) and all(
            want in (None, have) for want, have in zip(spec.shape, array.shape, strict=True)
        )
        if not fits or str(array.dtype) != spec.dtype:
            raise EngineError(f"{what} {name} is {array.dtype} {array.shape}, must be {spec.dtype} {spec.shape}")
        if array.shape[0] == 0 or (batch is not None and array.shape[0] != batch):
            raise EngineError(f"{what} {name} has a batch of {array.shape[0]}, not {batch or 'one or more'}")
        batch = array.shape[0]
        if not np.isfinite(array).all():
            raise EngineError(f"{what} {name} holds values that are not finite")
    return batch or 0


class FunctionEngine(Engine):
    """An engine around `fn({name: array}) -> {name: array}`: makes the whole screening testable without a model."""

    def __init__(
        self,
        fn: Callable[[Arrays], Mapping[str, NDArray[Any]]],
        inputs: Mapping[str, tuple[tuple[int | None, ...], str]],
        outputs: Mapping[str, tuple[tuple[int | None, ...], str]],
    ) -> None:
        super().__init__("function", "fp32")
        self._fn = fn
        self.inputs = {name: TensorSpec(*spec) for name, spec in inputs.items()}
        self.outputs = {name: TensorSpec(*spec) for name, spec in outputs.items()}

    def _open(self) -> None:
        """Nothing to load."""

    def _run(self, feeds: Arrays) -> Arrays:
        return dict(self._fn(feeds))

    def _close(self) -> None:
        """Nothing to free."""


class OnnxEngine(Engine):
    """ONNX Runtime on "cpu" or "cuda"; `model` is the path of one self-contained ONNX file, or its bytes.

    `threads` is the number of threads inside one operator (CPU). On "cuda" every operator runs on the GPU or opening
    fails; ONNX Runtime would otherwise move work to the CPU without a word.
    """

    def __init__(
        self, model: str | os.PathLike[str] | bytes, device: str = "cpu", threads: int = 1, precision: str = "fp32"
    ) -> None:
        super().__init__(device, precision)
        if device not in _PROVIDERS:
            raise EngineError(f"ONNX Runtime has no device {device!r}: use {' or '.join(_PROVIDERS)}")
        if threads < 1:
            raise UsageError(f"threads must be 1 or more, not {threads}")
        self._model = model
        self._threads = threads
        self._session: Any = None

    def _open(self) -> None:
        ort = _onnxruntime()
        if _PROVIDERS[self.device] not in ort.get_available_providers():
            raise EngineError(f"ONNX Runtime has no {self.device} here: install 'bmd-edge[gpu]' or use --device cpu")
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # fatal only: what matters is raised
        if _saturates():
            options.add_session_config_entry("session.x64quantprecision", "1")  # exact, at half the speed
        if self.device == "cuda":
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        try:
            model = self._model if isinstance(self._model, bytes) else Path(self._model).read_bytes()
        except OSError as error:
            raise EngineError(f"the network's file cannot be read: {error.strerror}") from error
        if self.device == "cpu":
            model = cpu_encoding(model)
        try:
            session = ort.InferenceSession(
                model, options, providers=[_PROVIDERS[self.device]], disabled_optimizers=_DISABLED_OPTIMIZERS
            )
        except Exception as error:  # ONNX Runtime's errors have no common base
            remedy = "; check driver and CUDA libraries, or use --device cpu" if self.device == "cuda" else ""
            reason = _first_line(error) + remedy
            raise EngineError(f"ONNX Runtime cannot open the network on {self.device}: {reason}") from error
        if session.get_providers()[0] != _PROVIDERS[self.device]:
            raise EngineError(f"ONNX Runtime did not take the {self.device}; check the driver or use --device cpu")
        self._session = session
        self.inputs = {node.name: _spec(node) for node in session.get_inputs()}
        self.outputs = {node.name: _spec(node) for node in session.get_outputs()}

    def _run(self, feeds: Arrays) -> Arrays:
        names = list(self.outputs)
        try:
            results = self._session.run(names, feeds)
        except Exception as error:
            raise EngineError(f"ONNX Runtime failed on {self.device}: {_first_line(error)}") from error
        return dict(zip(names, results, strict=True))

    def _close(self) -> None:
        self._session = None


def cpu_encoding(model: bytes) -> bytes:
    """An ONNX file with its int8 activations re-encoded as uint8, for which CPUs have fast kernels.

    What can be negative gets the zero point 128: q + 128 stands for the number that q stood for. What cannot gets the
    zero point 0 and the same scale: q stands for the same number, and rounding to it does the work of the Relu before
    it, which ONNX Runtime then leaves out. Only here does the range reach to 255 steps instead of 127: a value beyond
    the calibrated range is kept where int8 clips it.

    The two zero points are replaced in the file's bytes, so that the runtime needs no ONNX library: a serialized
    TensorProto of type int8 (3), its name and one byte of data, becomes one of type uint8 (2) with another byte.
    """
    for name, zero in ((ZERO_SIGNED, 128), (ZERO_NONNEGATIVE, 0)):
        model = model.replace(_zero_point(name, 3, 0), _zero_point(name, 2, zero))
    return model


def _zero_point(name: str, data_type: int, value: int) -> bytes:
    """onnx.TensorProto of one byte: fields data_type (2), name (8) and raw_data (9)."""
    return bytes([0x10, data_type, 0x42, len(name)]) + name.encode() + bytes([0x4A, 1, value])


def open_engine(
    bundle: Bundle, model: str, *, device: str = "auto", precision: str = "auto", threads: int | None = None
) -> Engine:
    """Open the bundle's "finder" or "bmd" network and check it against the manifest.

    device "auto": CUDA where the installed ONNX Runtime has it, else CPU. precision "auto": int8 on the CPU if the
    bundle holds it for this model, else fp32. threads None: all CPUs this process may use.
    `engine.device` and `engine.precision` say what is used. Raises EngineError, MissingExtra or UsageError.
    """
    if device not in DEVICES or precision not in PRECISIONS:
        raise UsageError(f"--device is one of {', '.join(DEVICES)}; --precision one of {', '.join(PRECISIONS)}")
    if device == "tensorrt":
        raise EngineError("TensorRT is not available in this version: use --device cuda or cpu")
    if device == "auto":
        device = "cuda" if _PROVIDERS["cuda"] in _onnxruntime().get_available_providers() else "cpu"
    if precision == "auto":
        precision = "int8" if device == "cpu" and "int8" in bundle.precisions(model) else "fp32"
    threads = cpus() if threads is None else threads
    engine = OnnxEngine(bundle.model_bytes(model, precision), device, threads, precision)
    engine.open()
    facts = bundle.manifest.models[model]
    if engine.inputs != facts.inputs or engine.outputs != facts.outputs:
        engine.close()
        raise EngineError(f"the inputs or outputs of {model} are not those of the manifest; make the bundle again")
    return engine


def self_test(bundle: Bundle, model: str, engine: Engine) -> dict[str, float]:
    """Run the bundle's golden inputs through an open engine; returns output -> largest difference from the expected.

    Raises EngineError if an output differs by more than the tolerance the manifest states for `engine.precision`.
    """
    golden = bundle.golden()
    facts = bundle.manifest.models[model]
    tolerances = facts.golden_tolerance.get(engine.precision, {})
    feeds = {name: golden.get(f"{model}/input/{name}") for name in facts.inputs}
    expected = {name: golden.get(f"{model}/{engine.precision}/{name}") for name in facts.outputs}
    if set(tolerances) != set(expected) or any(array is None for array in (*feeds.values(), *expected.values())):
        raise EngineError(f"the bundle has no self-test of {model} in {engine.precision}; make the bundle again")
    results = engine.run({name: array for name, array in feeds.items() if array is not None})
    differences: dict[str, float] = {}
    for name, want in expected.items():
        if want is None or want.shape != results[name].shape:
            raise EngineError(f"the self-test of {model} expects another shape of {name}; make the bundle again")
        differences[name] = float(np.abs(results[name] - want).max())
        if differences[name] > tolerances[name]:
            raise EngineError(
                f"self-test of {model} in {engine.precision} on {engine.device} failed: {name} is off by"
                f" {differences[name]:.3g}, allowed {tolerances[name]:.3g}; try --precision fp32 or another --device"
            )
    return differences


def _onnxruntime() -> Any:
    """Import ONNX Runtime; MissingExtra without it, EngineError where two wheels overwrote each other."""
    if all(_is_installed(name) for name in ("onnxruntime", "onnxruntime-gpu")):
        raise EngineError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: pip uninstall both, then"
            " pip install 'bmd-edge[cpu]' or 'bmd-edge[gpu]'"
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime", "cpu") from error
    return onnxruntime


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _saturates() -> bool:
    """Whether this is an x86 CPU without VNNI: its 8-bit products clip at 16 bits in ONNX Runtime's fast kernels."""
    try:
        flags = re.search(r"^flags\s*:(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return False
    return flags is not None and "vnni" not in flags[1]


def _spec(node: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in node.shape)
    return TensorSpec(shape, _DTYPES.get(node.type, node.type))


def _first_line(error: Exception) -> str:
    """The first line of an error's text: the rest can hold paths of the machine that built the library."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
