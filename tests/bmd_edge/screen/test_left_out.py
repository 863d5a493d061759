"""What is left out, and what is a film that came to harm."""

from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.report.film_report import FilmReport
from bmd_edge.screen.left_out import as_entry
from tests.bmd_edge.screen.screened import names_read
from tests.support.screening import drawn_screener

with drawn_screener() as _screener:
    TEXT = _screener.read(b"text")


def status(file: str, reason: str) -> str:
    report: FilmReport = as_entry(replace(TEXT, file=file, reason=reason))
    assert report.reason == reason
    return report.status


@pytest.mark.parametrize(
    "file",
    ["README.TXT", "AUTORUN.INF", "VERSION", "d/report", "Thumbs.db", ".DS_Store", "._hip.dcm", "t/IM000001.jpg",
     ".IM000002.lock", "a/b.zip", "hip.dcm.gz"],
)  # fmt: skip
@pytest.mark.parametrize("reason", ["not_dicom", "empty_file", "packed_file", "broken_packed_file"])
def test_what_has_no_name_of_a_film_is_left_out(file: str, reason: str) -> None:
    assert status(file, reason) == "left_out"


@pytest.mark.parametrize(
    "file", ["hip.dcm", "a/HIP.DCM", "x y.dicom", "S1/IM000001", "I10", "1.2.840.113619.2.5", "links\nrechts.ima"]
)
@pytest.mark.parametrize("reason", ["not_dicom", "empty_file", "packed_file", "broken_packed_file"])
def test_what_has_a_films_name_was_meant_as_one(file: str, reason: str) -> None:
    assert status(file, reason) == "refused"


@pytest.mark.parametrize(
    "reason", ["dicom_directory", "link", "not_a_regular_file", "not_radiograph", "unfinished_file"]
)
def test_what_is_no_film_whatever_its_name(reason: str) -> None:
    assert status("IM000001", reason) == "left_out"


@pytest.mark.parametrize("reason", ["truncated", "broken_dicom", "no_pixels", "not_for_presentation", "not_a_hip"])
def test_a_damaged_or_unfit_film_stays_refused(reason: str) -> None:
    assert status("README.TXT", reason) == "refused"


def test_junk_beside_films_does_not_make_a_run_incomplete_and_is_forgotten_with_its_file(
    folder: Path, tmp_path: Path
) -> None:
    for name in ("README.TXT", "film.dcm.part"):
        (folder / name).write_text("Dear colleague")
    summary, _ = names_read(folder, tmp_path / "out")
    assert (summary.complete, summary.films["read"], summary.films["left_out"]) == (True, 3, 2)
    (folder / "README.TXT").unlink()
    (folder / "film.dcm.part").unlink()
    summary, _ = names_read(folder, tmp_path / "out")
    assert (summary.complete, summary.files, summary.not_there) == (True, 3, {})


def test_nothing_but_junk_is_not_complete(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "README.TXT").write_text("Dear colleague")
    assert not names_read(tmp_path / "films", tmp_path / "out")[0].complete
