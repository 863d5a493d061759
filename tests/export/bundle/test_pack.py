import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.errors import BundleError, EngineError, UsageError
from export.bundle.pack import Parts, pack
from export.int8.shift_in_gcm2 import ShiftInGcm2
from tests.support.bundles import shift_between, tiny_parts
from tests.support.screening import plausibility


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    (tmp_path / "work").mkdir()
    return tiny_parts(tmp_path / "work")


def shifted(by: float) -> ShiftInGcm2:
    fp32 = np.full((1000, 2), 0.7)
    return shift_between(fp32, fp32 + np.array([0.0, by]))


def test_what_is_packed_opens_as_it_was_meant(parts: Parts, tmp_path: Path) -> None:
    bundle = pack(tmp_path / "out", parts)
    assert bundle.manifest.version == "test"
    assert bundle.manifest.guard["int8"]["total_hip"].passed
    assert bundle.manifest.plausibility == plausibility(8)
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []  # no scratch left
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text()
    assert "Research use only" in card
    assert "| int8 | total_hip | 100 | 0.900 | 0.0600 | +0.0010 | 1.70 |" in card


def test_the_same_parts_give_the_same_digest(parts: Parts, tmp_path: Path) -> None:
    assert pack(tmp_path / "a", parts).digest == pack(tmp_path / "b", parts).digest


def test_a_bundle_is_replaced_but_nothing_else(parts: Parts, tmp_path: Path) -> None:
    pack(tmp_path / "out", parts)
    assert pack(tmp_path / "out", dataclasses.replace(parts, version="second")).manifest.version == "second"
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.dcm").write_bytes(b"x")
    with pytest.raises(UsageError, match="not a bundle"):
        pack(tmp_path / "films", parts)
    assert (tmp_path / "films" / "a.dcm").read_bytes() == b"x"


def test_int8_outside_its_budget_is_refused_with_the_reason(parts: Parts, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"INT8 refused.*total_hip: mean shift \+0.0030 .*--no-int8"):
        pack(tmp_path / "out", dataclasses.replace(parts, shift=shifted(0.003)))
    with pytest.raises(BundleError, match="needs what it shifts"):
        pack(tmp_path / "out", dataclasses.replace(parts, shift=None))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("model", "precision"), [("finder", "fp32"), ("bmd", "fp32"), ("bmd", "int8")])
def test_a_file_that_breaks_the_contract_is_not_packed(
    parts: Parts, tmp_path: Path, model: str, precision: str
) -> None:
    path = parts.models[model][precision]
    broken = onnx.load(path)
    broken.opset_import[0].version = 21
    path.write_bytes(broken.SerializeToString())
    with pytest.raises(BundleError, match=rf"{path.name} breaks the contract .*opset"):
        pack(tmp_path / "out", parts)
    assert not (tmp_path / "out").exists()


def test_without_int8_the_bundle_is_packed(parts: Parts, tmp_path: Path) -> None:
    models = {"finder": parts.models["finder"], "bmd": {"fp32": parts.models["bmd"]["fp32"]}}
    bundle = pack(tmp_path / "out", dataclasses.replace(parts, models=models, shift=shifted(0.003)))
    assert bundle.precisions("bmd") == ("fp32",)
    assert bundle.manifest.guard == {}
    assert "holds no INT8 model" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_a_broken_part_leaves_the_old_bundle(parts: Parts, tmp_path: Path) -> None:
    digest = pack(tmp_path / "out", parts).digest
    (tmp_path / "work" / "finder.onnx").write_bytes(b"not onnx")
    with pytest.raises(EngineError):
        pack(tmp_path / "out", parts)
    assert read_bundle(tmp_path / "out").digest == digest


def test_operating_points_are_stored_with_their_precision_and_checked(parts: Parts, tmp_path: Path) -> None:
    points = HeadlineCuts(low_suspected_t=-2.4, refer_for_dxa_t=-1.8, cases=60, others=300)
    bundle = pack(tmp_path / "out", dataclasses.replace(parts, operating_points={"int8": points}))
    assert bundle.calibration["int8"].operating_points == points
    assert bundle.calibration["fp32"].operating_points is None
    swapped = dataclasses.replace(points, refer_for_dxa_t=-2.5)
    with pytest.raises(BundleError, match="headline's cuts of int8 are in the wrong order"):
        pack(tmp_path / "out", dataclasses.replace(parts, operating_points={"int8": swapped}))


def test_a_drift_reference_travels_in_the_bundle(parts: Parts, tmp_path: Path) -> None:
    assert pack(tmp_path / "out", parts).drift() == {}
    bundle = pack(tmp_path / "out", dataclasses.replace(parts, drift={"fp32": {"studies": 400, "mean": [0.5]}}))
    assert bundle.drift() == {"fp32": {"studies": 400, "mean": [0.5]}}
    (tmp_path / "out" / "drift.json").write_text("{}")
    with pytest.raises(BundleError, match=r"drift\.json does not have"):
        read_bundle(tmp_path / "out")
