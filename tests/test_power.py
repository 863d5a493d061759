"""A power cut loses what was not synced; what a run has called finished is not among it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import power
import pytest
from screening import drawn_screener, hip_dicom

from bmd_edge.screen import ledger as module
from bmd_edge.screen.ledger import NAME, Ledger
from bmd_edge.screen.run import screen_folder

FULL = 2
"""SQLite's number for synchronous=FULL."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[power.Disk]:
    (tmp_path / "power").mkdir()
    with power.disk(tmp_path / "power") as made:
        yield made


def finished_and_left(disk: power.Disk, folder: Path) -> list[tuple[int, int]]:
    """After each film: how many the run calls finished, and how many a power cut at that moment leaves finished."""
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(hip_dicom("R", bone=1500 + 40 * number))
    seen = []
    with drawn_screener() as screener:

        def cut(done: int, total: int) -> None:
            with disk.after_power_cut() as left:
                seen.append((done, len(module.finished(left / "out", screener.settings_digest))))

        screen_folder(screener, folder, disk.folder / "out", progress=cut)
    return seen


def test_a_power_cut_keeps_what_was_called_finished(disk: power.Disk, tmp_path: Path) -> None:
    assert finished_and_left(disk, tmp_path / "films") == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_the_disk_loses_what_is_not_synced(disk: power.Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: with one sync less for each film, the same films are lost."""

    class Hasty(Ledger):
        def _prepare(self) -> None:
            super()._prepare()
            self._db.execute("PRAGMA synchronous=NORMAL")

    monkeypatch.setattr("bmd_edge.screen.run.Ledger", Hasty)
    assert finished_and_left(disk, tmp_path / "films")[-1] == (3, 0)


def test_every_film_is_synced_for_good(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (FULL,)
        assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_many_films_are_forgotten_in_one_transaction(tmp_path: Path) -> None:
    """Each transaction waits for the disk: a folder that lost 100,000 films must not wait 100,000 times."""
    with closing(Ledger(tmp_path)) as ledger, closing(sqlite3.connect(tmp_path / NAME)) as other:
        with drawn_screener() as screener:
            report = screener.read(hip_dicom("R"))
        for key in (b"a", b"b", b"c"):
            ledger.put(key, (1, 1), "settings", report, None)
        seen: list[int] = []
        ledger._db.set_trace_callback(lambda _: seen.append(other.execute("SELECT count(*) FROM films").fetchone()[0]))
        ledger.keep_only([b"b"])
        ledger._db.set_trace_callback(None)
        assert set(seen) == {3}  # nobody ever sees half of it
        assert list(ledger.done("settings")) == [b"b"]
