"""What the reader hands back of one film: a report, and objects where they say something new."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.clinic.objects.make import Made
from bmd_edge.clinic.reading import reader as reader_module
from bmd_edge.clinic.reading.reader import Before, Reader, Result, ResultJob
from bmd_edge.measure.recalibration import NO_HEADLINE
from tests.bmd_edge.clinic.reading.readers import APPROVAL, drawn_reader
from tests.bmd_edge.measure.test_recalibration import recalibration_file
from tests.support.screening import CANARY, drawn_bmd, drawn_bundle, drawn_finder, hip_dicom


def result(path: Path, film: bytes, approval: str = APPROVAL, **job: Any) -> Result:
    path.write_bytes(film)
    with drawn_reader(approval) as reader:
        task = ResultJob(str(path).encode(), path.name, received_at=1_800_000_000.0, **job)
        ((_, found),) = reader.examine([task])
    assert isinstance(found, Result)
    return found


def before(made: tuple[Made, ...], **settings: Any) -> Before:
    uids = {one.kind: one.sop_instance_uid for one in made}
    usual = {
        "number": 1, "uids": uids, "replaced": {}, "bundle_digest": "ab" * 32, "recalibration": None,
        "approval": APPROVAL, "this_file": True,
    }  # fmt: skip
    return Before(**{**usual, **settings})


def test_the_same_answer_makes_no_objects(tmp_path: Path) -> None:
    first = result(tmp_path / "film.dcm", hip_dicom("R"))
    assert [one.kind for one in first.made] == ["sr", "sc"]
    again = result(tmp_path / "film.dcm", hip_dicom("R"), before=before(first.made))
    assert (again.made, again.unmade) == ((), False)
    assert again.report.hips == first.report.hips


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"bundle_digest": "cd" * 32}, "new bundle"),
        ({"recalibration": "ef" * 32}, "recalibrated"),
        ({"approval": ""}, "another approval"),
        ({"this_file": False}, "header corrected"),
        ({}, "read again"),
    ],
)
def test_a_new_version_says_why(settings: dict[str, Any], why: str, tmp_path: Path) -> None:
    first = result(tmp_path / "film.dcm", hip_dicom("R"), "another")
    later = result(tmp_path / "film.dcm", hip_dicom("R"), before=before(first.made, **settings))
    assert (later.version.number, later.version.why) == (2, why)
    assert later.version.replaced == {one.kind: one.sop_instance_uid for one in first.made}


def test_a_film_that_was_lost_has_objects_of_its_header_alone(tmp_path: Path) -> None:
    found = result(tmp_path / "film.dcm", hip_dicom("R", ImageComments="CRASH"), reason="worker_lost")
    assert (found.report.status, found.report.reason, len(found.made)) == ("failed", "worker_lost", 2)


def test_the_pixel_size_of_one_unit_is_not_that_of_the_next_film(tmp_path: Path) -> None:
    bare = hip_dicom("R", ImagerPixelSpacing=None)
    (tmp_path / "film.dcm").write_bytes(bare)
    task = (str(tmp_path / "film.dcm").encode(), "film.dcm")
    with drawn_reader() as reader:
        jobs = [ResultJob(*task, received_at=0.0, spacing_if_missing_mm=mm) for mm in (0.575, None)]
        first, second = (outcome.report for _, outcome in reader.examine(jobs))
    assert first.spacing_source == "given"
    assert second.reason == "no_spacing"


def test_a_recalibration_without_cuts_says_so_in_the_objects(tmp_path: Path) -> None:
    """The bundle has cuts, the recalibration has none: there is no headline, and the notice says why."""
    bundle, cuts = drawn_bundle(), HeadlineCuts(9.0, 9.0, 30, 30)
    calibration = {name: replace(one, operating_points=cuts) for name, one in bundle.calibration.items()}
    path = tmp_path / "film.dcm"
    path.write_bytes(hip_dicom("R"))
    engines = {"finder": drawn_finder(), "bmd": drawn_bmd()}
    with Reader(
        replace(bundle, calibration=calibration), engines=engines, recalibration=recalibration_file(tmp_path)
    ) as reader:
        ((_, found),) = reader.examine([ResultJob(str(path).encode(), path.name, received_at=0.0)])
    assert isinstance(found, Result)
    for one in found.made:
        assert NO_HEADLINE.encode() in one.data


def test_what_goes_wrong_with_the_objects_is_a_result_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr(reader_module, "objects", fails)
    with caplog.at_level(logging.ERROR):
        found = result(tmp_path / "film.dcm", hip_dicom("R"))
    assert (found.unmade, found.made, found.report.status) == (True, (), "read")
    assert "ValueError" in caplog.text
    assert CANARY not in caplog.text
