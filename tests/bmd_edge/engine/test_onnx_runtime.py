from pathlib import Path

import numpy as np
import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine import onnx_runtime as engines
from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.engine.open import open_engine
from bmd_edge.errors import EngineError
from tests.support.bundles import images_of


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
