import importlib.metadata
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine import onnx_runtime as engines
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import EngineError, MissingExtra, UsageError
from tests.bundles import images_of, tiny_bundle

IMAGE = ((None, 1, 4, 4), "float32")
ONE = np.ones((1, 1, 4, 4), np.float32)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


def double(outputs: dict[str, np.ndarray] | None = None) -> FunctionEngine:
    fn = (lambda feeds: {"y": feeds["image"] * 2}) if outputs is None else (lambda _: outputs)
    return FunctionEngine(fn, inputs={"image": IMAGE}, outputs={"y": IMAGE})


def test_a_function_is_an_engine() -> None:
    with double() as engine:
        assert engine.run({"image": ONE})["y"].sum() == 32
        assert (engine.device, engine.precision) == ("function", "fp32")
        assert engine.inputs["image"].shape == (None, 1, 4, 4)


@pytest.mark.parametrize(
    ("feeds", "says"),
    [
        ({"picture": ONE}, "inputs are"),
        ({"image": ONE.astype(np.float64)}, "must be float32"),
        ({"image": ONE[:, :, :3]}, "must be float32"),
        ({"image": ONE[0]}, "must be float32"),
        ({"image": ONE[:0]}, "a batch of 0"),
        ({"image": ONE * np.nan}, "not finite"),
    ],
)
def test_wrong_inputs_are_refused(feeds: dict[str, np.ndarray], says: str) -> None:
    with double() as engine, pytest.raises(EngineError, match=says):
        engine.run(feeds)


@pytest.mark.parametrize(
    ("outputs", "says"),
    [({}, "outputs are"), ({"y": ONE * np.inf}, "not finite"), ({"y": np.repeat(ONE, 2, 0)}, "a batch of 2, not 1")],
)
def test_wrong_outputs_are_refused(outputs: dict[str, np.ndarray], says: str) -> None:
    with double(outputs) as engine, pytest.raises(EngineError, match=says):
        engine.run({"image": ONE})


def test_a_closed_engine_does_not_run(bundle: VerifiedBundle) -> None:
    engine = OnnxEngine(bundle.model_path("bmd"))
    with pytest.raises(EngineError, match="not open"):
        engine.run({"image": images_of(1)})
    with engine:
        engine.open()  # opening twice is harmless
        engine.run({"image": images_of(1)})
    engine.close()
    with pytest.raises(EngineError, match="not open"):
        engine.run({"image": images_of(1)})


def test_batches_of_any_size_give_the_same_numbers(bundle: VerifiedBundle) -> None:
    images = images_of(5)
    with OnnxEngine(bundle.model_path("bmd"), threads=2) as engine:
        together = engine.run({"image": images})["bmd"]
        alone = np.concatenate([engine.run({"image": images[i : i + 1]})["bmd"] for i in range(5)])
    assert together.shape == (5, 2)
    np.testing.assert_allclose(together, alone, atol=1e-5)


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
        ({"device": "tpu"}, UsageError, "--device is one of"),
        ({"precision": "fp16"}, UsageError, "--precision one of"),
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
    with pytest.raises(EngineError, match="no cuda here"):
        open_engine(bundle, "bmd", device="cuda")


def test_without_onnxruntime_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, bundle: VerifiedBundle) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"'\.\[cpu\]' in a checkout"):
        open_engine(bundle, "bmd", device="cpu")


def test_two_builds_of_onnxruntime_are_refused(monkeypatch: pytest.MonkeyPatch, bundle: VerifiedBundle) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "1.0")
    with pytest.raises(EngineError, match="both installed"):
        open_engine(bundle, "bmd", device="cpu")


def test_a_broken_file_is_an_engine_error_without_a_path(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="cannot open the network on cpu"):
        OnnxEngine(b"\x08not onnx").open()
    with pytest.raises(EngineError):
        OnnxEngine(tmp_path / "missing.onnx").open()


@pytest.mark.parametrize(
    ("cpuinfo", "saturates"),
    [
        ("processor: 0\nflags\t\t: fpu avx2 avx512_vnni\n", False),
        ("flags : avx2 avx_vnni\n", False),
        ("flags\t: fpu avx2\n", True),
        ("Features\t: asimd asimddp\n", False),
    ],
)
def test_cpus_that_saturate_are_told_apart(monkeypatch: pytest.MonkeyPatch, cpuinfo: str, saturates: bool) -> None:
    monkeypatch.setattr(engines.Path, "read_text", lambda _: cpuinfo)
    assert engines._saturates() is saturates


def test_int8_gives_the_same_numbers_on_every_kind_of_cpu(
    monkeypatch: pytest.MonkeyPatch, bundle: VerifiedBundle
) -> None:
    answers = []
    for saturates in (False, True):
        monkeypatch.setattr(engines, "_saturates", lambda answer=saturates: answer)
        with open_engine(bundle, "bmd", device="cpu", precision="int8", threads=1) as engine:
            answers.append(engine.run({"image": images_of(4)}))
    for name in answers[0]:
        np.testing.assert_allclose(answers[0][name], answers[1][name], atol=1e-4)


@pytest.mark.parametrize(("model", "precision"), [("finder", "fp32"), ("bmd", "fp32"), ("bmd", "int8")])
def test_the_self_test_passes_on_the_right_model(bundle: VerifiedBundle, model: str, precision: str) -> None:
    with open_engine(bundle, model, device="cpu", precision=precision) as engine:
        differences = self_test(bundle, model, engine)
    assert set(differences) == set(bundle.manifest.models[model].outputs)


def test_the_self_test_notices_wrong_numbers(bundle: VerifiedBundle) -> None:
    facts = bundle.manifest.models["bmd"]
    with open_engine(bundle, "bmd", device="cpu", precision="fp32") as real:

        def slightly_wrong(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            return {name: values + 0.01 * (name == "bmd") for name, values in real.run(feeds).items()}

        wrong = FunctionEngine(slightly_wrong, facts.inputs, facts.outputs)
        with wrong, pytest.raises(EngineError, match=r"self-test of bmd .* bmd is off by 0.01"):
            self_test(bundle, "bmd", wrong)


@pytest.mark.gpu
@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA here")
def test_cuda_gives_the_golden_numbers(bundle: VerifiedBundle) -> None:
    for model in ("finder", "bmd"):
        with open_engine(bundle, model, device="cuda", precision="fp32") as engine:
            assert engine.device == "cuda"
            self_test(bundle, model, engine)
