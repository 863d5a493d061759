"""Looking at a folder: what is finished, moved or still being copied."""

import json
import os
import subprocess
import threading
from pathlib import Path

import pytest

from bmd_edge.screen import folder_plan
from bmd_edge.screen.ledger import finished
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import Screener
from tests.bmd_edge.screen.screened import LONG_AGO, Counting, contents, names_read, objects
from tests.support.screening import drawn_screener, hip_dicom


def test_a_moved_film_is_not_read_again(folder: Path, tmp_path: Path) -> None:
    names_read(folder, tmp_path / "out")
    (folder / "day").mkdir()
    (folder / "a.dcm").rename(folder / "day" / "new name.dcm")
    os.link(folder / "b.dcm", folder / "copy.dcm")
    summary, names = names_read(folder, tmp_path / "out")
    assert names == []
    assert (summary.films["read"], summary.repeated) == (3, 1)
    names_read(folder, tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_another_film_of_the_same_size_and_time_is_read(folder: Path, tmp_path: Path) -> None:
    names_read(folder, tmp_path / "out")
    other = hip_dicom("R", bone=2300)
    assert len(other) == (folder / "a.dcm").stat().st_size
    (folder / "a.dcm").unlink()
    (folder / "z.dcm").write_bytes(other)
    os.utime(folder / "z.dcm", (LONG_AGO, LONG_AGO))
    assert names_read(folder, tmp_path / "out")[1] == ["z.dcm"]


def test_another_film_of_the_same_name_size_and_time_gets_numbers_of_its_own(folder: Path, tmp_path: Path) -> None:
    """Another patient's IM000001, of an export that sets all times alike."""
    names_read(folder, tmp_path / "out")
    before = (folder / "a.dcm").stat()
    (folder / "a.dcm").write_bytes(hip_dicom("R", bone=2300))
    os.utime(folder / "a.dcm", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = (folder / "a.dcm").stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    summary, names = names_read(folder, tmp_path / "out")
    assert (names, summary.not_there) == (["a.dcm"], {"replaced": 1})
    assert names_read(folder, tmp_path / "out")[1] == []


def test_a_film_that_was_only_touched_is_not_read_again(folder: Path, tmp_path: Path) -> None:
    """Its time of change has moved, its bytes have not: known by them, it is taken at a look the next time."""
    names_read(folder, tmp_path / "out")
    before = contents(tmp_path / "out")
    (folder / "a.dcm").chmod(0o640)
    done = finished(tmp_path / "out", settings(), folder)
    assert [item.action for item in folder_plan.plan(folder, done)] == ["compare", "skip", "skip"]
    assert names_read(folder, tmp_path / "out")[1] == []
    assert contents(tmp_path / "out") == before
    done = finished(tmp_path / "out", settings(), folder)
    assert [item.action for item in folder_plan.plan(folder, done)] == ["skip"] * 3


@pytest.mark.parametrize("kind", ["vfat", "iso9660", "fuse.sshfs", None])
def test_where_no_time_of_change_is_kept_films_are_compared(
    kind: str | None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names_read(folder, tmp_path / "out")
    monkeypatch.setattr(folder_plan, "file_system", lambda *_: kind)
    done = finished(tmp_path / "out", settings(), folder)
    assert [item.action for item in folder_plan.plan(folder, done)] == ["compare"] * 3
    assert names_read(folder, tmp_path / "out")[1] == []


def settings() -> str:
    with Counting() as screener:
        return screener.setup.digest


def test_what_has_not_changed_is_not_written_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def times() -> dict[str, int]:
        files = (path for path in out.rglob("*") if path.suffix in (".csv", ".jsonl", ".json", ".html"))
        return {path.name: path.stat().st_mtime_ns for path in files}

    first, _ = names_read(folder, out)
    before = times()
    again, names = names_read(folder, out)
    assert (again, names, times()) == (first, [], before)
    (out / "results.jsonl").unlink()
    names_read(folder, out)
    assert set(times()) == set(before)
    assert times() != before


def test_committed_figure_of_a_hundred_thousand_films() -> None:
    figures = json.loads((Path(__file__).parents[3] / "tests" / "results" / "recheck.json").read_text(encoding="utf-8"))
    assert figures["n"] == 100_000
    assert figures["recheck_s"] < 30
    page = (Path(__file__).parents[3] / "bmd_edge" / "README.md").read_text(encoding="utf-8")
    assert f"100,000 finished films finished in {figures['recheck_s']} s" in page


def test_a_folder_deeper_than_any_path_may_be(tmp_path: Path) -> None:
    """Made step by step: its path is longer than the system lets one write."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=here)
        here, above = os.open("deep", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    items = folder_plan.plan(tmp_path, {})
    assert [(item.action, item.reason) for item in items] == [("leave", "file_unreadable")]
    subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)


def test_what_is_no_film_at_a_look(folder: Path) -> None:
    for name in ("d.dcm.part", "e.DCM.TMP", "f.crdownload"):
        (folder / name).write_bytes(b"x")
    (folder / "archive").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    found = {item.file: (item.action, item.reason) for item in folder_plan.plan(folder, {})}
    assert found == {
        **{f"{name}.dcm": ("read", None) for name in "abc"},
        **dict.fromkeys(("d.dcm.part", "e.DCM.TMP", "f.crdownload"), ("leave", "unfinished_file")),
        "archive": ("leave", "link"), "pipe": ("leave", "not_a_regular_file"),
    }  # fmt: skip


def test_one_film_that_is_named_is_planned_alone(folder: Path) -> None:
    (folder / "link").symlink_to("b.dcm")
    for name in ("b.dcm", "link"):
        place, only = folder_plan.named(folder / name)
        assert [(item.file, item.action) for item in folder_plan.plan(place, {}, only)] == [("b.dcm", "read")]
    assert folder_plan.named(folder) == (folder, None)


def test_a_file_that_grows_is_left_for_the_next_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hip_dicom("L")
    path = folder / "growing.dcm"
    path.write_bytes(whole[:5000])
    monkeypatch.setattr(folder_plan, "SETTLE_S", 0.4)

    done = threading.Event()

    def copy() -> None:
        with path.open("ab") as file:
            while not done.wait(0.005):
                file.write(bytes(100))
                file.flush()

    copying = threading.Thread(target=copy)
    copying.start()
    summary, names = names_read(folder, tmp_path / "out")
    done.set()
    copying.join()
    path.write_bytes(whole)
    assert names == ["a.dcm", "b.dcm", "c.dcm"]
    assert (summary.left, summary.complete, summary.films["read"]) == (1, False, 3)
    assert b"growing" not in b"".join(contents(tmp_path / "out").values())
    summary, names = names_read(folder, tmp_path / "out")
    assert (names, summary.left, summary.films["read"]) == (["growing.dcm"], 0, 4)


class Late(Screener):
    """Whose films change while they are read."""

    def load(self, source):
        loaded = super().load(source)
        if Path(source).name == "b.dcm":
            os.utime(source, (LONG_AGO + 99, LONG_AGO + 99))
        return loaded


def test_a_file_that_changes_while_it_is_read_is_left_and_its_old_row_is_marked(folder: Path, tmp_path: Path) -> None:
    names_read(folder, tmp_path / "out")
    (folder / "b.dcm").write_bytes(hip_dicom("L"))
    with drawn_screener() as parts:
        engines = {"finder": parts._finder, "bmd": parts._bmd}
        with Late(parts.bundle, engines=engines) as screener:
            summary = screen_folder(screener, folder, tmp_path / "out")
    assert (summary.left, summary.films["read"], summary.not_there) == (1, 3, {"replaced": 1})
    assert objects(tmp_path / "out")["b.dcm"]["film_now"] == "replaced"
    assert names_read(folder, tmp_path / "out")[1] == ["b.dcm"]


def test_a_file_that_goes_while_it_is_waited_for_is_left(folder: Path, tmp_path: Path) -> None:
    items = folder_plan.plan(folder, {})
    (folder / "b.dcm").unlink()
    assert [item.file for item in folder_plan.settled(folder, items)] == ["a.dcm", "c.dcm"]


def test_only_young_files_are_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(folder_plan, "SETTLE_S", 30.0)
    monkeypatch.setattr(folder_plan.time, "sleep", waited.append)
    items = folder_plan.plan(folder, {})
    assert len(list(folder_plan.settled(folder, items))) == 3
    assert waited == []
    (folder / "a.dcm").touch()
    items = folder_plan.plan(folder, {})
    assert [item.file for item in folder_plan.settled(folder, items)] == ["b.dcm", "c.dcm", "a.dcm"]
    assert waited == [pytest.approx(30, abs=5)]
