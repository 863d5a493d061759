import importlib.metadata
import sys

import onnxruntime
import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.open import open_engine
from bmd_edge.errors import EngineError, MissingExtra, UsageError


def test_auto_is_resolved_and_reported(bundle: VerifiedBundle) -> None:
    with open_engine(bundle, "bmd", device="cpu") as engine:
        assert (engine.device, engine.precision) == ("cpu", "int8")
    with open_engine(bundle, "finder", device="cpu") as engine:
        assert engine.precision == "fp32"  # the bundle has no INT8 finder
    with open_engine(bundle, "bmd", device="cpu", precision="fp32", threads=1) as engine:
        assert engine.precision == "fp32"


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"device": "gpu"}, UsageError, "'gpu' is not one of auto, cpu, cuda, tensorrt; an NVIDIA GPU is cuda, or"),
        ({"precision": "fp16"}, UsageError, "--precision: 'fp16' is not one of auto, fp32, int8"),
        ({"threads": 0}, UsageError, "threads must be 1"),
    ],
)
def test_what_cannot_be_done_is_an_error(
    bundle: VerifiedBundle, settings: dict[str, str], error: type, says: str
) -> None:
    with pytest.raises(error, match=says):
        open_engine(bundle, "bmd", **{"device": "cpu", **settings})


def test_precision_the_bundle_lacks_is_an_error(bundle: VerifiedBundle) -> None:
    with pytest.raises(EngineError, match="no int8 finder"):
        open_engine(bundle, "finder", device="cpu", precision="int8")


def test_asking_for_a_missing_gpu_never_falls_back(bundle: VerifiedBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EngineError, match=r"no cuda here: pip install '\.\[gpu\]' .*in a new environment"):
        open_engine(bundle, "bmd", device="cuda")


def test_without_onnxruntime_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, bundle: VerifiedBundle) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"'\.\[cpu\]' in a checkout"):
        open_engine(bundle, "bmd", device="cpu")


def test_two_builds_of_onnxruntime_are_refused(monkeypatch: pytest.MonkeyPatch, bundle: VerifiedBundle) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.0")
    with pytest.raises(EngineError, match="both installed"):
        open_engine(bundle, "bmd", device="cpu")
