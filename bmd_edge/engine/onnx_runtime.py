"""ONNX Runtime on CPU or CUDA; its errors end here as EngineError."""

import importlib.metadata
import os
import re
from pathlib import Path
from typing import Any

from bmd_edge.bundle.manifest import TensorSpec
from bmd_edge.engine.base import Arrays, Engine, first_line
from bmd_edge.errors import EngineError, MissingExtra, UsageError, install

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_DISABLED_OPTIMIZERS = ["QDQPropagationTransformer"]
"""It would move the quantization in front of the first pooling, whose 8-bit kernel is 60 times slower there."""
ZERO_SIGNED, ZERO_NONNEGATIVE = "zero_signed", "zero_nonnegative"
"""Names of the two zero points, int8 0, that all activations of an INT8 file share; see `cpu_encoding`."""
_DTYPES = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64"}


class OnnxEngine(Engine):
    """ONNX Runtime on "cpu" or "cuda"; `model` is the path of one self-contained ONNX file, or its bytes.

    `threads` is the number of threads inside one operator (CPU). On "cuda" every operator runs on the GPU or opening
    fails; ONNX Runtime would otherwise move work to the CPU without a word. `as_written` leaves out `cpu_encoding`:
    slow, with the numbers that TensorRT has.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        device: str = "cpu",
        threads: int = 1,
        precision: str = "fp32",
        *,
        as_written: bool = False,
    ) -> None:
        super().__init__(device, precision)
        if device not in PROVIDERS:
            raise EngineError(f"ONNX Runtime has no device {device!r}: use {' or '.join(PROVIDERS)}")
        if threads < 1:
            raise UsageError(f"threads must be 1 or more, not {threads}")
        self._model = model
        self._threads = threads
        self._as_written = as_written
        self._session: Any = None

    def _open(self) -> None:
        ort = onnxruntime_module()
        if PROVIDERS[self.device] not in ort.get_available_providers():
            how = f"{install('gpu')}, in a new environment, for it never goes beside '.[cpu]'"
            raise EngineError(f"ONNX Runtime has no {self.device} here: {how}; or use --device cpu")
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
        if self.device == "cpu" and not self._as_written:
            model = cpu_encoding(model)
        try:
            session = ort.InferenceSession(
                model, options, providers=[PROVIDERS[self.device]], disabled_optimizers=_DISABLED_OPTIMIZERS
            )
        except Exception as error:  # ONNX Runtime's errors have no common base
            remedy = "; check driver and CUDA libraries, or use --device cpu" if self.device == "cuda" else ""
            reason = first_line(error) + remedy
            raise EngineError(f"ONNX Runtime cannot open the network on {self.device}: {reason}") from error
        if session.get_providers()[0] != PROVIDERS[self.device]:
            raise EngineError(f"ONNX Runtime did not take the {self.device}; check the driver or use --device cpu")
        self._session = session
        self.inputs = {node.name: _spec(node) for node in session.get_inputs()}
        self.outputs = {node.name: _spec(node) for node in session.get_outputs()}

    def _run(self, feeds: Arrays) -> Arrays:
        names = list(self.outputs)
        try:
            results = self._session.run(names, feeds)
        except Exception as error:
            raise EngineError(f"ONNX Runtime failed on {self.device}: {first_line(error)}") from error
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


def onnxruntime_module() -> Any:
    """Import ONNX Runtime; MissingExtra without it, EngineError where two wheels overwrote each other."""
    if all(_is_installed(name) for name in ("onnxruntime", "onnxruntime-gpu")):
        raise EngineError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: pip uninstall both, then"
            f" {install('cpu')}, or '.[gpu]'"
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
