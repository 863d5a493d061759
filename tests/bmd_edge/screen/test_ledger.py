"""The ledger of a run: what is in it is on the disk."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bmd_edge.screen.ledger import NAME, Ledger
from tests.support.screening import drawn_screener, hip_dicom

FULL = 2
"""SQLite's number for synchronous=FULL."""


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
