"""A run takes no result away: what was said of films that are not there now stays and is marked, until one says so."""

import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.workers import Crew
from tests.bmd_edge.screen.screened import Counting, contents, names_read, objects, three_films
from tests.support.screening import drawn_screener, hip_dicom


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return three_films(tmp_path / "films")


def now(out: Path) -> dict[str, str]:
    """File -> where it is now; a film whose name another one has taken stands as `name (replaced)`."""
    with (out / "results.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["bmd_total_hip_gcm2"]]
    return {row["file"] + " (replaced)" * (row["film_now"] == "replaced"): row["film_now"] for row in rows}


@pytest.mark.parametrize("lost", [["a.dcm", "b.dcm", "c.dcm"], ["b.dcm"]], ids=["empty", "shrunken"])
def test_films_that_are_not_there_keep_their_results_until_they_are_back(
    lost: list[str], folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    names_read(folder, out)
    before = contents(out)
    (tmp_path / "away").mkdir()
    for name in lost:
        (folder / name).rename(tmp_path / "away" / name)
    for _ in range(2):
        summary, names = names_read(folder, out)
        assert (summary.not_there, summary.complete, names) == ({"missing": len(lost)}, False, [])
        assert now(out) == {name: "missing" if name in lost else "there" for name in ("a.dcm", "b.dcm", "c.dcm")}
    assert ("not in its folder when that was last screened" in (out / "report/index.html").read_text().lower()) is True
    for name in lost:
        (tmp_path / "away" / name).rename(folder / name)
    summary, names = names_read(folder, out)
    assert (summary.not_there, summary.complete, names) == ({}, True, [])
    assert contents(out) == before


def test_a_refused_film_that_was_archived_stays_refused_in_the_table(folder: Path, tmp_path: Path) -> None:
    (folder / "a.dcm").write_bytes(hip_dicom("R", implant="R"))
    os.mkfifo(folder / "pipe")
    names_read(folder, tmp_path / "out")
    (folder / "a.dcm").unlink()
    (folder / "pipe").unlink()  # nobody's result
    names_read(folder, tmp_path / "out")
    found = {file: (one["reason"], one["film_now"]) for file, one in objects(tmp_path / "out").items()}
    assert found == {"a.dcm": ("implant", "missing"), "b.dcm": (None, "there"), "c.dcm": (None, "there")}


def test_a_film_is_not_lost_to_another_one_that_takes_its_name(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names_read(folder, out)
    (folder / "a.dcm").write_bytes(hip_dicom("L"))
    (folder / "b.dcm").unlink()
    (folder / "b.dcm").symlink_to(folder / "c.dcm")  # as an archive leaves in place of what it took
    names_read(folder, out)
    assert now(out) == {
        "a.dcm": "there", "a.dcm (replaced)": "replaced", "b.dcm (replaced)": "replaced", "c.dcm": "there",
    }  # fmt: skip


class Unreadable(Counting):
    """As on a share that is lost in the middle of a run."""

    def load(self, source):
        return super().load(Path(source).with_name("no such film"))


def test_what_cannot_be_read_again_after_an_upgrade_keeps_its_result(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names_read(folder, out)
    with Unreadable(spacing_mm=0.6) as screener:  # other settings: all is to be read again
        summary = screen_folder(screener, folder, out)
    assert (summary.films["read"], summary.films["failed"], summary.not_there) == (3, 0, {"unreadable": 3})
    assert not summary.complete
    summary, names = names_read(folder, out)
    assert (len(names), summary.not_there, summary.complete) == (0, {}, True)


def test_films_that_go_in_the_middle_of_a_run_are_missing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names_read(folder, out)

    class Going(Counting):
        def load(self, source):
            shutil.rmtree(folder, ignore_errors=True)
            return super().load(source)

    with Going(spacing_mm=0.6) as screener:
        summary = screen_folder(screener, folder, out)
    assert (summary.films["read"], summary.not_there) == (3, {"missing": 3})


def test_forgetting_is_a_word_of_the_user(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names_read(folder, out)
    (folder / "a.dcm").write_bytes(hip_dicom("L"))
    (folder / "b.dcm").unlink()
    names_read(folder, out)
    with Counting() as screener:
        summary = screen_folder(screener, folder, out, forget_missing=True)
    assert (set(now(out)), summary.complete) == ({"a.dcm", "c.dcm"}, True)
    shutil.rmtree(folder)
    folder.mkdir()
    with Counting() as screener, pytest.raises(UsageError, match="is the share with the films mounted"):
        screen_folder(screener, folder, out, forget_missing=True)
    assert set(now(out)) == {"a.dcm", "c.dcm"}
    with Counting() as screener:
        screen_folder(screener, folder, out, fresh=True)
    assert now(out) == {}


def test_results_without_their_ledger_are_not_written_over(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    names_read(folder, out)
    (out / "ledger.sqlite").unlink()
    before = contents(out)
    with pytest.raises(UsageError, match=r"without their ledger\.sqlite.*another --out, or --fresh"):
        names_read(folder, out)
    assert contents(out) == before
    with Counting() as screener:
        assert screen_folder(screener, folder, out, fresh=True).complete


def test_films_are_named_in_workers_and_in_this_process_alike(folder: Path) -> None:
    jobs = [FilmJob(os.fsencode(path), path.name) for path in sorted(folder.iterdir())]
    jobs.append(replace(jobs[0], path=jobs[0].path + b"x", file="none"))
    with Crew(drawn_screener, 2) as crew, drawn_screener() as screener:
        names = {task.file: name for task, name in screener.film_ids(jobs)}
        assert names == {task.file: name for task, name in crew.film_ids(jobs)}
        assert names == {**{path.name: screener.read(path).film_id for path in folder.iterdir()}, "none": None}
