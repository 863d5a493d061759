"""Screening a folder: one object per entry, resuming, and nothing that a bad film can break."""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import EngineError, UsageError
from bmd_edge.report.film_report import RunSummary
from bmd_edge.screen.folder_plan import plan, stamp_of
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import Screener
from tests.bmd_edge.screen.screened import Counting, contents, objects
from tests.support.screening import CANARY, drawn_bmd, drawn_bundle, drawn_finder, drawn_screener, hip_dicom


def run(folder: Path, out: Path, **settings: object) -> RunSummary:
    with drawn_screener(**settings) as screener:
        return screen_folder(screener, folder, out)


def test_every_entry_gets_exactly_one_object(films: Path, tmp_path: Path) -> None:
    (films / "link.dcm").symlink_to(films / "right.dcm")
    (films / "loop").symlink_to(films)
    (films / "dangling").symlink_to(films / "none")
    os.mkfifo(films / "pipe.dcm")
    summary = run(films, tmp_path / "out")
    found = {file: (item["status"], item["reason"]) for file, item in objects(tmp_path / "out").items()}
    assert found == {
        "LICENSE.txt": ("left_out", "not_dicom"),
        "cut.dcm": ("refused", "truncated"),
        "dangling": ("left_out", "link"),
        "empty": ("left_out", "empty_file"),
        "implant.dcm": ("refused", "implant"),
        "link.dcm": ("left_out", "link"),
        "loop": ("left_out", "link"),
        "nothing.dcm": ("refused", "not_a_hip"),
        "pipe.dcm": ("left_out", "not_a_regular_file"),
        "right.dcm": ("read", None),
        "sub/pelvis.dcm": ("read", None),
    }
    assert list(found) == sorted(found)
    assert summary.films == {"read": 2, "refused": 3, "failed": 0, "left_out": 6}
    assert summary.files == 11
    assert summary.hips == {"read": 2, "refused": 2}
    assert summary.hip_reasons == {"implant": 2}
    assert "implant" not in summary.film_reasons
    assert not summary.complete


def test_a_read_film(films: Path, tmp_path: Path) -> None:
    run(films, tmp_path / "out")
    film = objects(tmp_path / "out")["right.dcm"]
    assert film["film_id"] == hashlib.sha256((films / "right.dcm").read_bytes()).hexdigest()[:16]
    assert (film["age_years"], film["sex"], film["view"], film["maker"]) == (71.0, "F", "AP", "Drawn")
    assert film["spacing_mm"] == [0.5, 0.5]
    assert (film["device"], film["precision"], film["bundle"], film["band"]) == ("function", "fp32", "test", None)
    (hip,) = film["hips"]
    assert (hip["side"], hip["status"], hip["reason"]) == ("R", "read", None)
    assert hip["landmarks_px"]["head_center"] == pytest.approx([150, 170], abs=2)
    for estimate in hip["estimates"]:
        # the conformal interval, and what the scale's doubt adds: the drawn network follows the mean gray
        assert 2 * 1.7 * 0.03 + 1e-3 < estimate["high_gcm2"] - estimate["low_gcm2"] < 2 * 1.7 * 0.03 + 0.02
        assert estimate["flags"] == ["assumed_postmenopausal"]


def test_one_hip_of_a_pelvis_may_be_refused(films: Path, tmp_path: Path) -> None:
    run(films, tmp_path / "out")
    right, left = objects(tmp_path / "out")["sub/pelvis.dcm"]["hips"]
    assert (right["side"], right["status"], len(right["estimates"])) == ("R", "read", 2)
    assert (left["side"], left["status"], left["reason"], left["estimates"]) == ("L", "refused", "implant", [])


def test_odd_file_names(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "films")
    os.mkdir(folder)
    names = [b"=1+1.dcm", b"\xff\xfe.dcm", "Müller é.dcm".encode(), b"a\nb\x1b[31m.dcm", b"<script>.dcm", b"[red]x"]
    for name in names:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(hip_dicom("R"))
    run(tmp_path / "films", tmp_path / "out")
    found = objects(tmp_path / "out")
    assert set(found) == {"=1+1.dcm", "\\xff\\xfe.dcm", "Müller é.dcm", "a\nb\x1b[31m.dcm", "<script>.dcm", "[red]x"}
    assert {item["status"] for item in found.values()} == {"read"}
    table = (tmp_path / "out" / "results.csv").read_text()
    assert "\x1b" not in table
    assert "\n'=1+1.dcm," in table
    assert len(table.splitlines()) == 1 + len(names)
    page = (tmp_path / "out" / "report" / "index.html").read_text()
    assert "<script>.dcm" not in page
    assert "\x1b" not in page


def broken_bmd(error: Exception, when: int) -> FunctionEngine:
    """Raises `error` at the call numbered `when` and after it, or at that call alone if negative."""
    good, calls = drawn_bmd(), iter(range(1, 1000))

    def fail(feeds):
        call = next(calls)
        if call == -when or (when > 0 and call >= when):
            raise error
        return good._fn(feeds)

    engine = drawn_bmd()
    engine._fn = fail
    return engine


def many_films(folder: Path, n: int) -> Path:
    folder.mkdir()
    for index in range(n):
        (folder / f"{index:03d}.dcm").write_bytes(hip_dicom("R", bone=1504 + 16 * index))
    return folder


def test_an_unexpected_error_is_one_failed_row_and_its_text_is_not_logged(tmp_path: Path, caplog) -> None:
    folder = many_films(tmp_path / "films", 3)
    engines = {"finder": drawn_finder(), "bmd": broken_bmd(ValueError(CANARY), -2)}
    with caplog.at_level(logging.DEBUG), Screener(drawn_bundle(), engines=engines) as screener:
        screen_folder(screener, folder, tmp_path / "out")
    found = objects(tmp_path / "out")
    assert [(item["status"], item["reason"]) for item in found.values()] == [
        ("read", None), ("failed", "unexpected"), ("read", None),
    ]  # fmt: skip
    failed = found["001.dcm"]
    assert failed["hips"] == []
    assert failed["film_id"] in caplog.text
    assert "ValueError" in caplog.text
    assert CANARY not in caplog.text
    assert "001.dcm" not in caplog.text


def test_failed_films_are_tried_again_and_only_they(tmp_path: Path) -> None:
    folder = many_films(tmp_path / "films", 3)
    engines = {"finder": drawn_finder(), "bmd": broken_bmd(ValueError(), -2)}
    with Screener(drawn_bundle(), engines=engines) as screener:
        screen_folder(screener, folder, tmp_path / "out")
    with Counting() as screener:
        summary = screen_folder(screener, folder, tmp_path / "out")
        assert screener.names == ["001.dcm"]
    assert summary.complete
    run(folder, tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_one_film_that_upsets_a_network_does_not_stop_the_run(tmp_path: Path) -> None:
    folder = many_films(tmp_path / "films", 4)
    engines = {"finder": drawn_finder(), "bmd": broken_bmd(EngineError("not finite"), -2)}
    with Screener(drawn_bundle(), engines=engines) as screener:
        summary = screen_folder(screener, folder, tmp_path / "out")
    assert summary.films == {"read": 3, "refused": 0, "failed": 1, "left_out": 0}


def test_a_broken_network_stops_the_run_and_keeps_what_was_finished(tmp_path: Path) -> None:
    folder = many_films(tmp_path / "films", 8)
    engines = {"finder": drawn_finder(), "bmd": broken_bmd(EngineError("gone"), 3)}
    with Screener(drawn_bundle(), engines=engines) as screener, pytest.raises(EngineError, match="gone"):
        screen_folder(screener, folder, tmp_path / "out")
    assert not (tmp_path / "out" / "results.csv").exists()
    with Counting() as screener:
        screen_folder(screener, folder, tmp_path / "out")
        assert sorted(screener.names) == [f"{n:03d}.dcm" for n in range(2, 8)]


def test_the_plan_looks_and_changes_nothing(films: Path, tmp_path: Path) -> None:
    (films / "pipe").symlink_to("/dev/zero")
    stamp = stamp_of((films / "right.dcm").stat())
    done = {b"right.dcm": stamp, b"implant.dcm": (1, 1, 1), b"gone.dcm": (1, 1, 1)}
    before = sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*"))
    items = plan(films, done)
    assert {item.file: item.action for item in items} == {
        "LICENSE.txt": "read", "cut.dcm": "read", "empty": "read", "implant.dcm": "read", "nothing.dcm": "read",
        "pipe": "leave", "right.dcm": "skip", "sub/pelvis.dcm": "read",
    }  # fmt: skip
    assert [item.key for item in items] == sorted(item.key for item in items)
    assert sorted((path, path.lstat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_second_run_reads_nothing_and_writes_the_same(films: Path, tmp_path: Path) -> None:
    run(films, tmp_path / "out")
    before = contents(tmp_path / "out")
    with Counting() as screener:
        screen_folder(screener, films, tmp_path / "out")
        assert screener.names == []
    assert contents(tmp_path / "out") == before


def test_run_json_says_on_which_kinds_of_cpu_numbers_were_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of films that were finished before too; what was refused has no number."""
    folder = tmp_path / "films"
    folder.mkdir()
    for cpu, names in {"One CPU": ("a",), "Another": ("b", "c"), "A third": ("empty",)}.items():
        monkeypatch.setattr("bmd_edge.screen.screener.cpu_name", lambda cpu=cpu: cpu)
        for name in names:
            (folder / name).write_bytes(b"" if name == "empty" else hip_dicom("R", bone=1600 + 90 * "abc".find(name)))
        summary = run(folder, tmp_path / "out")
    assert summary.cpus == ["Another", "One CPU"]
    assert json.loads((tmp_path / "out" / "run.json").read_text())["cpus"] == ["Another", "One CPU"]
    assert "One CPU" not in (tmp_path / "out" / "results.jsonl").read_text()


def test_what_changed_is_read_again(films: Path, tmp_path: Path) -> None:
    run(films, tmp_path / "out")
    (films / "cut.dcm").write_bytes(hip_dicom("L"))
    (films / "new.dcm").write_bytes(hip_dicom("R", bone=2000))
    with Counting() as screener:
        screen_folder(screener, films, tmp_path / "out")
        assert sorted(screener.names) == ["cut.dcm", "new.dcm"]
    run(films, tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("settings", [{"fresh": True}, {"spacing_mm": 0.6}])
def test_fresh_or_other_settings_read_everything_again(films: Path, tmp_path: Path, settings: dict) -> None:
    run(films, tmp_path / "out")
    with Counting(spacing_mm=settings.get("spacing_mm")) as screener:
        screen_folder(screener, films, tmp_path / "out", fresh=settings.get("fresh", False))
        assert len(screener.names) == 7


KILLED = """
import sys, time
from pathlib import Path
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import Screener
bmd = drawn_bmd()
quick = bmd._fn
bmd._fn = lambda feeds: (time.sleep(0.05), quick(feeds))[1]
with Screener(drawn_bundle(), engines={"finder": drawn_finder(), "bmd": bmd}) as screener:
    screen_folder(screener, Path(sys.argv[1]), Path(sys.argv[2]), progress=lambda done, total: print(done, flush=True))
"""


def test_a_killed_run_resumes_with_identical_results(tmp_path: Path) -> None:
    folder = many_films(tmp_path / "films", 12)
    run(folder, tmp_path / "undisturbed")
    place = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    for until in ("2", "7"):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, folder, tmp_path / "out"], stdout=subprocess.PIPE, env=place, text=True
        ) as process:
            for line in process.stdout:
                if line.strip() == until:
                    process.send_signal(signal.SIGKILL)
                    break
        assert process.returncode == -signal.SIGKILL
        assert not (tmp_path / "out" / "results.csv").exists()
    with Counting() as screener:
        screen_folder(screener, folder, tmp_path / "out")
        assert 0 < len(screener.names) <= 5
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


@pytest.mark.parametrize("out", ["films", "films/out", "films/../films/sub/out", "link/out"])
def test_results_inside_the_folder_of_films_are_refused(films: Path, tmp_path: Path, out: str) -> None:
    (tmp_path / "link").symlink_to(films)
    before = sorted(films.rglob("*"))
    with pytest.raises(UsageError, match="inside the folder"):
        run(films, tmp_path / out)
    assert sorted(films.rglob("*")) == before


def test_folders_that_are_none(films: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="/none: does not exist"):
        run(tmp_path / "none", tmp_path / "out")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="/pipe: neither a folder nor a file"):
        run(tmp_path / "pipe", tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="/file: --out is a file"):
        run(films, tmp_path / "file")


def test_a_ledger_that_is_none_is_named_with_the_remedy(films: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "ledger.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(UsageError, match="--fresh"):
        run(films, tmp_path / "out")
    with drawn_screener() as screener:
        assert screen_folder(screener, films, tmp_path / "out", fresh=True).films["read"] == 2


def test_an_empty_folder_is_not_complete(tmp_path: Path) -> None:
    """It may be where a share is to be mounted."""
    (tmp_path / "films").mkdir()
    assert not run(tmp_path / "films", tmp_path / "out").complete
    assert objects(tmp_path / "out") == {}


def test_no_patient_in_any_result(films: Path, tmp_path: Path, capfd, caplog) -> None:
    with caplog.at_level(logging.DEBUG):
        run(films, tmp_path / "out")
    written = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    streams = capfd.readouterr()
    said = caplog.text + streams.out + streams.err
    assert b"CANARY" not in written
    assert "CANARY" not in said
    assert str(films) not in said
    assert b"CANARY" in (films / "right.dcm").read_bytes()
    assert str(tmp_path).encode() not in written
    assert np.frombuffer(written, np.uint8).size > 10_000


def test_accession_numbers_are_written_only_where_they_are_asked_for(tmp_path: Path) -> None:
    folder, out = tmp_path / "films", tmp_path / "out"
    folder.mkdir()
    (folder / "IM0001").write_bytes(hip_dicom("R", AccessionNumber="CANARY-77"))
    files = ("results.csv", "results.jsonl", "report/index.html", "ledger.sqlite")

    def screened(accession: bool, fresh: bool = False) -> set[str]:
        with drawn_screener() as screener:
            screener.accession = accession
            screen_folder(screener, folder, out, fresh=fresh)
        found = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        return {path.relative_to(out).as_posix() for path, raw in found.items() if b"CANARY" in raw}

    assert screened(False) == set()
    assert screened(True) == set(files)
    assert objects(out)["IM0001"]["accession_number"] == "CANARY-77"
    page = (out / "report" / "index.html").read_text()
    assert (page.count("accession CANARY-77"), page.count("accession number CANARY-77")) == (1, 1)  # worklist and card
    assert screened(False) <= {"ledger.sqlite"}
    assert screened(False, fresh=True) == set()
