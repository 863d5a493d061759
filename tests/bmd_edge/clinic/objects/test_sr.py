"""The Structured Report: what stands in it besides the numbers."""

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest

from bmd_edge.clinic.objects.names import answer_key
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.sr import structured_report
from bmd_edge.clinic.objects.study import study_of
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.report.film_report import FilmReport, HipReport
from bmd_edge.version import __version__
from tests.bmd_edge.clinic.objects.said import APPROVAL, OCCASION, said_of
from tests.support.screening import NOTICE, hip_dicom

NAMES = {"instance": "2.25.1", "series": "2.25.2", "answer": "a"}


def items(data: pydicom.Dataset, kind: str) -> list[pydicom.Dataset]:
    """Every content item of a kind, however deep."""
    found = [data] if data.get("ValueType") == kind else []
    return found + [one for part in data.get("ContentSequence", ()) for one in items(part, kind)]


def read(film: bytes, occasion: Occasion = OCCASION) -> tuple[FilmReport, pydicom.Dataset]:
    report, made = said_of(film, occasion)
    return report, pydicom.dcmread(io.BytesIO(made["sr"].data))


def texts(data: pydicom.Dataset) -> str:
    return "\n".join(one.TextValue for one in items(data, "TEXT"))


def codes(data: pydicom.Dataset) -> list[str]:
    found = [one.ConceptCodeSequence[0] for one in items(data, "CODE")]
    return [one.get("CodeValue") or one.LongCodeValue for one in found]  # of more than 16 characters (PS3.3 8.1)


def test_a_report_is_preliminary_and_says_what_it_is_for() -> None:
    _, data = read(hip_dicom("RL"))
    assert (data.CompletionFlag, data.PreliminaryFlag, data.VerificationFlag) == (
        "COMPLETE",
        "PRELIMINARY",
        "UNVERIFIED",
    )
    assert codes(data).count("research-only") == 2
    for words in ("Research use only", "confirm by DXA", f"Approval {APPROVAL}", NOTICE, "NHANES III"):
        assert words in texts(data)
    (scheme,) = data.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99BMDEDGE"
    assert (data.ContentDate, data.ContentTime) == ("20260517", "083000")


def test_each_hip_is_tracked_and_the_algorithm_is_named() -> None:
    report, data = read(hip_dicom("RL"))

    def values(code: str, value: str) -> list[str]:
        found = [one for kind in ("TEXT", "UIDREF") for one in items(data, kind)]
        return [str(one.get(value)) for one in found if one.ConceptNameCodeSequence[0].CodeValue == code]

    assert values("112039", "TextValue") == ["R hip", "L hip"]  # tracking identifier
    assert len(set(values("112040", "UID"))) == 2
    assert values("111001", "TextValue") == ["bmd-edge"] * 2
    assert values("111003", "TextValue") == [__version__] * 2
    parameters = values("111002", "TextValue")
    assert parameters.count(f"bundle_digest {report.bundle_digest}") == 2
    assert codes(data).count("123110") == 2


def test_no_code_of_a_number_means_dxa_or_is_too_long_for_a_viewer() -> None:
    _, data = read(hip_dicom("RL"))
    names = [one.ConceptNameCodeSequence[0] for one in items(data, "NUM")]
    own = [name for name in names if name.CodingSchemeDesignator == "99BMDEDGE"]
    assert len(own) == 8
    assert all(len(name.CodeMeaning) <= 24 for name in own)
    assert {name.CodingSchemeDesignator for name in names} == {"99BMDEDGE", "SCT"}


@pytest.mark.parametrize(("film", "code"), [(hip_dicom("R", implant="R"), "implant"), (hip_dicom(""), "not_a_hip")])
def test_a_refusal_is_a_code_with_its_sentence_and_remedy(film: bytes, code: str) -> None:
    _, data = read(film)
    assert items(data, "NUM") == []
    assert {"refused", code} <= set(codes(data))
    assert REFUSALS[code].sentence in texts(data)
    assert REFUSALS[code].remedy in texts(data)


def test_the_line_of_a_hip_lies_on_the_film_along_the_bone() -> None:
    report, data = read(hip_dicom("RL"))
    lines = items(data, "SCOORD")
    assert len(lines) == 2
    for hip, line in zip(report.hips, lines, strict=True):
        assert line.GraphicType == "POLYLINE"
        points = list(zip(line.GraphicData[::2], line.GraphicData[1::2], strict=True))
        assert points[0] == pytest.approx(hip.landmarks_px["head_center"], abs=0.01)
        assert [y for _, y in points] == sorted(y for _, y in points)
        (source,) = line.ContentSequence
        assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == report.sop_instance_uid


def test_points_beyond_the_film_are_not_drawn() -> None:
    film = hip_dicom("R")
    report, study = said_of(film)[0], study_of(film)
    (hip,) = report.hips
    beyond = 100.0, study.rows + 5.0

    def line(**moved: tuple[float, float]) -> list[pydicom.Dataset]:
        there = replace(hip, landmarks_px={**hip.landmarks_px, **moved})
        return items(structured_report(replace(report, hips=(there,)), study, OCCASION, NAMES), "SCOORD")

    def points(one: pydicom.Dataset) -> list[tuple[float, float]]:
        return list(zip(one.GraphicData[::2], one.GraphicData[1::2], strict=True))

    (whole,), (cut,), (short,) = line(), line(shaft_distal=beyond), line(shaft_distal=beyond, shaft_proximal=beyond)
    assert points(cut)[-1] == points(whole)[-2]
    assert points(short)[-1] == points(whole)[-3]
    # The viewer OHIF takes lines of four and five points for rectangles: one more, or two, lie on it.
    assert [len(points(one)) for one in (whole, cut, short)] == [6, 6, 3]
    head, between, neck = (np.array(point) for point in points(whole)[:3])
    assert between == pytest.approx((head + neck) / 2, abs=0.01)
    assert line(**dict.fromkeys(hip.landmarks_px, (-1.0, 5.0))) == []


def test_flags_and_withheld_t_scores_are_said_in_words() -> None:
    report, data = read(hip_dicom("R", PatientAge=None, EstimatedRadiographicMagnificationFactor=None))
    flags = [flag for hip in report.hips for one in hip.estimates for flag in one.flags]
    assert "magnification_assumed" in flags
    assert FLAGS["magnification_assumed"] in texts(data)
    assert "magnification_assumed" in codes(data)
    assert "No T-score: age unknown." in texts(data)


def test_an_unknown_side_is_none() -> None:
    film = hip_dicom("R", implant="R")
    report, study = said_of(film)[0], study_of(film)
    nowhere = HipReport(side=None, status="refused", reason="implant", landmarks_px={}, box_px=None, estimates=())
    data = structured_report(replace(report, hips=(nowhere,)), study, OCCASION, NAMES)
    assert not {"24028007", "7771000"} & set(codes(data))
    assert "unknown side hip" in texts(data)


def test_without_an_approval_the_report_says_so() -> None:
    bare = replace(OCCASION, box=replace(OCCASION.box, approval=""))
    report, data = read(hip_dicom("R"), bare)
    assert "No approval named." in texts(data)
    assert answer_key(report, "1.2", "") != answer_key(report, "1.2", APPROVAL)
