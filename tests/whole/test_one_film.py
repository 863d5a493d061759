"""Screening one film by name, and several files of one."""

from pathlib import Path

import pytest

from bmd_edge.report.film_report import RunSummary
from bmd_edge.screen.run import screen_folder
from tests.bmd_edge.screen.screened import Counting, objects
from tests.support.screening import drawn_screener, hip_dicom


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "right.dcm").write_bytes(hip_dicom("R"))
    (folder / "implant.dcm").write_bytes(hip_dicom("R", implant="R"))
    (folder / "LICENSE.txt").write_text("text")
    return folder


def run(folder: Path, out: Path) -> RunSummary:
    with drawn_screener() as screener:
        return screen_folder(screener, folder, out)


def test_one_film_is_read_and_nothing_is_said_of_others(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(films, out)
    before = objects(out)
    (tmp_path / "later.dcm").write_bytes(hip_dicom("L"))
    (tmp_path / "link").symlink_to("later.dcm")
    with Counting() as screener:
        for name in ("later.dcm", "link"):
            summary = screen_folder(screener, tmp_path / name, out)
        assert screener.names == ["later.dcm"]
    assert summary.not_there == {}
    found = objects(out)
    assert found.pop(f"{tmp_path.name}/later.dcm")["status"] == "read"
    assert found == {f"films/{file}": {**one, "file": f"films/{file}"} for file, one in before.items()}


def test_one_film_may_lie_beside_its_results(films: Path) -> None:
    assert run(films / "right.dcm", films / "out").complete


def test_what_is_named_is_refused_and_not_left_out(films: Path, tmp_path: Path) -> None:
    """Whoever names a file means it as a film, whatever it is called."""
    assert objects_of(films / "LICENSE.txt", tmp_path / "1") == ("refused", "not_dicom")
    (films / "right.dcm").rename(films / "right.tmp")
    assert objects_of(films / "right.tmp", tmp_path / "2") == ("read", None)


def objects_of(film: Path, out: Path) -> tuple[str, str | None]:
    run(film, out)
    ((_, item),) = objects(out).items()
    return item["status"], item["reason"]


def test_four_files_of_one_image_count_once_and_a_conflict_twice(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    one = hip_dicom("R", SOPInstanceUID="1.2.3")
    for name in ("a.dcm", "b.dcm", "c.dcm"):
        (folder / name).write_bytes(one)
    (folder / "d.dcm").write_bytes(hip_dicom("R", SOPInstanceUID="1.2.4"))
    summary = run(folder, tmp_path / "once")
    assert (summary.films["read"], summary.hips["read"], summary.repeated, summary.files) == (1, 1, 3, 4)
    assert (summary.copies, summary.complete) == ({"duplicate": 2, "same_pixels": 1}, True)
    (folder / "e.dcm").write_bytes(hip_dicom("R", bone=2000, SOPInstanceUID="1.2.3"))
    summary = run(folder, tmp_path / "conflict")
    assert (summary.films["read"], summary.copies["conflict"], summary.files) == (2, 2, 5)
