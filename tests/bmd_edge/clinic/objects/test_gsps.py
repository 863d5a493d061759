"""The presentation state: what is drawn on the film, and that the film below it is shown as it says of itself."""

import io
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset

from bmd_edge.clinic.objects.gsps import presentation_state
from bmd_edge.clinic.objects.panel import BAR
from bmd_edge.clinic.objects.study import study_of
from bmd_edge.errors import REFUSALS
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport
from tests.bmd_edge.clinic.objects.said import APPROVAL, OCCASION, said_of, second
from tests.support.screening import drawn, hip_dicom

NAMES = {"instance": "2.25.1", "series": "2.25.2"}


def state(film: bytes) -> tuple[FilmReport, Dataset]:
    report, made = said_of(film)
    return report, pydicom.dcmread(io.BytesIO(made["gsps"].data))


def texts(data: Dataset) -> list[str]:
    """Each text, its lines joined."""
    (annotation,) = data.GraphicAnnotationSequence
    return [str(one.UnformattedTextValue).replace("\r\n", " ") for one in annotation.TextObjectSequence]


def points(data: Dataset) -> list[tuple[float, float]]:
    (annotation,) = data.GraphicAnnotationSequence
    return [tuple(one.GraphicData) for one in annotation.get("GraphicObjectSequence", ())]


def test_one_layer_has_points_sides_and_numbers_on_the_film() -> None:
    report, data = state(hip_dicom("RL"))
    (layer,) = data.GraphicLayerSequence
    assert layer.GraphicLayer == data.GraphicAnnotationSequence[0].GraphicLayer == "BMD"
    (series,) = data.ReferencedSeriesSequence
    assert series.ReferencedImageSequence[0].ReferencedSOPInstanceUID == report.sop_instance_uid
    top, right, left, bottom = texts(data)
    assert top.startswith(BAR)
    assert "Research use only" in bottom
    assert f"Approval {APPROVAL}" in bottom
    for hip, said in zip(report.hips, (right, left), strict=True):
        assert said.startswith({"R": "RIGHT HIP", "L": "LEFT HIP"}[str(hip.side)])
        for one in hip.estimates:
            assert f"{one.bmd_gcm2:.3f} g/cm2, T {one.t_score:+.1f}" in said
            assert f"{one.low_gcm2:.3f} to {one.high_gcm2:.3f} g/cm2" in said
    expected = [point for hip in report.hips for point in hip.landmarks_px.values()]
    assert points(data) == [pytest.approx(point, abs=1e-3) for point in expected]


@pytest.mark.parametrize(("hips", "half"), [("R", 0.01), ("L", 0.51)])
def test_a_hip_is_told_in_its_half_of_the_film_and_tied_to_its_head(hips: str, half: float) -> None:
    report, data = state(hip_dicom(hips))
    text = data.GraphicAnnotationSequence[0].TextObjectSequence[1]
    assert text.BoundingBoxTopLeftHandCorner[0] == pytest.approx(half)
    assert text.AnchorPoint == pytest.approx(report.hips[0].landmarks_px["head_center"], abs=1e-3)


@pytest.mark.parametrize(("film", "code"), [(hip_dicom("R", implant="R"), "implant"), (hip_dicom(""), "not_a_hip")])
def test_a_refusal_is_said_with_its_remedy(film: bytes, code: str) -> None:
    report, data = state(film)
    said = "\n".join(texts(data))
    assert REFUSALS[code].sentence in said
    assert REFUSALS[code].remedy in said
    assert "g/cm2" not in said
    assert len(points(data)) == sum(len(hip.landmarks_px) for hip in report.hips)


def test_no_line_is_wider_than_its_box() -> None:
    _, data = state(hip_dicom("RL", implant="L"))
    _, right, left, _ = data.GraphicAnnotationSequence[0].TextObjectSequence
    for text in (right, left):
        assert max(map(len, text.UnformattedTextValue.split("\r\n"))) <= 44
    assert "\r\nR neck " in right.UnformattedTextValue


@pytest.mark.parametrize("word", ["word ", "word"])
def test_of_a_bundle_that_says_much_its_own_words_are_cut_and_nothing_else(word: str) -> None:
    """A text of a presentation state has 1024 letters, and the last of them are the notice of research."""
    occasion = replace(OCCASION, box=replace(OCCASION.box, notice=word * 500))
    data = pydicom.dcmread(io.BytesIO(said_of(hip_dicom("R"), occasion)[1]["gsps"].data))
    bottom = data.GraphicAnnotationSequence[0].TextObjectSequence[-1].UnformattedTextValue
    assert 900 < len(bottom) <= 1024
    assert bottom.endswith(RESEARCH_USE)
    assert "...\r\n" in bottom
    assert f"Approval {APPROVAL}" in bottom


def test_points_beyond_the_film_are_not_drawn() -> None:
    film = hip_dicom("R")
    report, study = said_of(film)[0], study_of(film)
    (hip,) = report.hips
    there = replace(hip, landmarks_px={**hip.landmarks_px, "shaft_distal": (100.0, study.rows + 5.0)})
    data = presentation_state(replace(report, hips=(there,)), study, OCCASION, NAMES)
    assert len(points(data)) == len(hip.landmarks_px) - 1


@pytest.mark.parametrize(("hips", "side"), [("R", "R"), ("L", "L"), ("RL", ""), ("", "")])
def test_laterality_is_that_of_the_hip(hips: str, side: str) -> None:
    assert (state(hip_dicom(hips))[1].get("Laterality") or "") == side


def test_a_later_version_says_what_it_replaces() -> None:
    _, made = said_of(hip_dicom("R"))
    _, again = said_of(hip_dicom("R"), second(made, "header corrected"))
    data = pydicom.dcmread(io.BytesIO(again["gsps"].data))
    assert "Version 2, replaces 1: header corrected" in texts(data)[-1]
    assert again["gsps"].sop_instance_uid != made["gsps"].sop_instance_uid


# -- how DCMTK shows the film with it -------------------------------------------------------------------------------


def voi_lut(*, descriptor: list[int], data: list[int]) -> list[Dataset]:
    item = Dataset()
    item.add_new(0x00283002, "US", descriptor)
    item.add_new(0x00283006, "OW", np.array(data, "<u2").tobytes())
    return [item]


LUT = [round(4095 * (n / 4095) ** 0.5) for n in range(4096)]
SHOWN: dict[str, dict[str, Any]] = {
    "no window": {},
    "window": {"WindowCenter": 1600, "WindowWidth": 2000},
    "first of two windows": {"WindowCenter": [1600, 300], "WindowWidth": [2000, 100]},
    "VOI LUT": {"VOILUTSequence": voi_lut(descriptor=[4096, 0, 12], data=LUT)},
    "rescaled": {
        "RescaleSlope": 2, "RescaleIntercept": -1000, "RescaleType": "US", "WindowCenter": 2000, "WindowWidth": 4000,
    },
    "MONOCHROME1": {
        "PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE", "WindowCenter": 1600,
        "WindowWidth": 2000,
    },
    "MONOCHROME1 that says no shape": {"PhotometricInterpretation": "MONOCHROME1"},
}  # fmt: skip


def shown_by(*command: str | Path) -> np.ndarray:
    subprocess.run(command, check=True, capture_output=True)
    return np.asarray(Image.open(command[-1]), np.int16)


@pytest.mark.skipif(not shutil.which("dcmp2pgm"), reason="DCMTK is not installed")
@pytest.mark.parametrize("name", SHOWN)
def test_dcmtk_shows_the_film_with_it_as_without_it(name: str, tmp_path: Path) -> None:
    film = hip_dicom("R", **SHOWN[name])
    (tmp_path / "film.dcm").write_bytes(film)
    (tmp_path / "state.dcm").write_bytes(said_of(film)[1]["gsps"].data)
    voi = ["+Wl", "1"] if "VOILUTSequence" in SHOWN[name] else ["+Wi", "1"] if "WindowCenter" in SHOWN[name] else []
    alone = shown_by("dcm2pnm", *voi, tmp_path / "film.dcm", tmp_path / "alone.pgm")
    with_it = shown_by("dcmp2pgm", "-p", tmp_path / "state.dcm", tmp_path / "film.dcm", tmp_path / "with.pgm")
    assert abs(alone - with_it).max() <= 1
    assert np.ptp(with_it) > 60
    pixels = drawn("R", 2400)
    bone_is_bright = bool(with_it[pixels > 2200].mean() > with_it[pixels < 900].mean())
    assert bone_is_bright != name.startswith("MONOCHROME1")
