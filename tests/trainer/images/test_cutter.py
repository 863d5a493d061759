"""One bad film is one outcome of a cutter, whatever is wrong with it."""

import os
from pathlib import Path

import pydicom
import pytest
from PIL import Image

from bmd_edge.screen.jobs import FilmOutcome
from trainer.images.cutter import CutFilm, CutJob, Cutter
from trainer.images.roi_files import ROI_PX

DATA = Path(__file__).parents[3] / "bmd_edge" / "data"
DEMO, BUNDLE = DATA / "demo", DATA / "bundle"


def cut(cutter: Cutter, path: Path, name: str = "a") -> FilmOutcome:
    ((_, outcome),) = cutter.examine([CutJob(os.fsencode(path), path.name, name=name)])
    return outcome


def test_outcomes_of_films(tmp_path: Path) -> None:
    with Cutter(BUNDLE, tmp_path) as cutter:
        good = cut(cutter, DEMO / "left_hip.dcm")
        assert isinstance(good, CutFilm)
        header = pydicom.dcmread(DEMO / "left_hip.dcm")
        size_mm = float(good.codes.pop("size_mm_L"))
        assert 45.0 < size_mm < 75.0
        assert good.codes == {
            "L": None,
            "maker": header.Manufacturer,
            "age_years": f"{int(header.PatientAge[:3]):.1f}",
            "sex": header.PatientSex,
        }
        with Image.open(tmp_path / "a-L.png") as image:
            assert image.size == (ROI_PX, ROI_PX)

        (tmp_path / "half.dcm").write_bytes((DEMO / "left_hip.dcm").read_bytes()[:5000])
        half = cut(cutter, tmp_path / "half.dcm")
        assert isinstance(half, CutFilm)
        assert list(half.codes) == ["unreadable"]

        other = pydicom.dcmread(DEMO / "left_hip.dcm")
        other.ViewPosition = "LL"
        other.save_as(tmp_path / "lateral.dcm")
        assert cut(cutter, tmp_path / "lateral.dcm").codes == {"R": "wrong_view", "L": "wrong_view"}

        gone = cut(cutter, tmp_path / "gone.dcm")
        assert (type(gone), gone.report.reason) == (FilmOutcome, "file_unreadable")

        cutter.most_bytes = 1000
        assert cut(cutter, DEMO / "left_hip.dcm").report.reason == "out_of_memory"


def test_a_parser_that_fails_costs_one_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cutter(BUNDLE, tmp_path) as cutter:
        monkeypatch.setattr("trainer.images.cutter.stored_roi", lambda *_: 1 / 0)
        assert cut(cutter, DEMO / "left_hip.dcm").report.reason == "unexpected"
