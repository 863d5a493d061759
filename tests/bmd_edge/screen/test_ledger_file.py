"""The file of a ledger: synced, taken over from earlier versions, and read where nothing can be written."""

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.screen.folders import EARLIER
from bmd_edge.screen.ledger import Ledger
from bmd_edge.screen.ledger_file import NAME
from tests.bmd_edge.screen.mounts import read_only
from tests.bmd_edge.screen.test_ledger import PACKED, READ, now, put, report

FULL = 2
"""SQLite's number for synchronous=FULL."""


def test_every_film_is_synced_for_good(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (FULL,)
        assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def aged(out: Path, layout: int) -> None:
    """Make the ledger in `out` one of an earlier version."""
    with closing(sqlite3.connect(out / NAME)) as old, old:
        for name in ("put", "forget", "mark", "unmark"):
            old.execute(f"DROP TRIGGER {name}")
        for table in ("films", "absent"):
            for (key,) in old.execute(f"SELECT key FROM {table}").fetchall():
                old.execute(f"UPDATE {table} SET key=? WHERE key=?", (key.removeprefix(EARLIER + b"/"), key))
        old.execute("DROP TABLE folders")
        if layout < 5:
            old.execute("ALTER TABLE films DROP COLUMN changed_ns")
        if layout < 4:
            old.execute("DROP TABLE absent")
        if layout < 3:
            old.execute("DROP TABLE written")
            old.execute("DROP INDEX stamps")
        else:
            old.execute("INSERT INTO written VALUES ('settings', '{\"of\": \"another version\"}')")
            old.execute("CREATE TRIGGER put AFTER INSERT ON films BEGIN DELETE FROM written; END")
            old.execute("CREATE TRIGGER forget AFTER DELETE ON films BEGIN DELETE FROM written; END")
        for key, text in old.execute("SELECT key, report FROM films").fetchall():
            data = json.loads(text)
            del data["film_now"]
            data["site_calibration"] = data.pop("recalibration")
            if layout == 1:
                for hip in data["hips"]:
                    del hip["network"]
            data["a_fact_that_went"] = 1
            data["reason"] = {"packed_file": "archive"}.get(data["reason"], data["reason"])
            old.execute("UPDATE films SET report=? WHERE key=?", (json.dumps(data), key))
        old.execute(f"PRAGMA user_version={layout}")


@pytest.mark.parametrize("layout", [1, 2, 3, 4, 5, 6])
def test_a_ledger_of_an_earlier_version_is_read_and_taken_over(layout: int, tmp_path: Path) -> None:
    network = None if layout == 1 else READ.hips[0].network
    expected = replace(report(b"a"), recalibration="a digest", hips=(replace(READ.hips[0], network=network),))
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", expected)
        put(ledger, b"b.zip", PACKED)
    aged(tmp_path, layout)
    stamp = (1, 1, None if layout < 5 else 1)
    before = (tmp_path / NAME).read_bytes()
    with closing(Ledger(tmp_path, to_read=True)) as ledger:
        assert list(ledger.reports()) == [expected, PACKED]
        assert ledger.done("settings") == {b"a": stamp, b"b.zip": stamp}
    assert (tmp_path / NAME).read_bytes() == before
    for kept in ([expected, PACKED], [expected]):  # what never was a film goes with its file
        with closing(Ledger(tmp_path)) as ledger:
            assert list(ledger.reports()) == kept
            assert ledger.done("settings")[b"a"] == stamp
            assert ledger.written("settings") is None
            ledger.compare(set(), set())
            assert now(ledger) == {"a": "missing"}
            ledger.compare({b"a"}, {b"a"})
            assert now(ledger) == {"a": "there"}


def test_a_ledger_of_a_later_version_is_left_as_it_is_and_nobody_is_told_to_forget_it(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / NAME)) as later:
        later.execute("PRAGMA user_version=99")
    before = (tmp_path / NAME).read_bytes()
    for to_read in (True, False):
        with pytest.raises(UsageError, match=r"later version.*use that one, or give another --out$"):
            Ledger(tmp_path, to_read=to_read)
    assert (tmp_path / NAME).read_bytes() == before


READ_FILES = """
import sys
from contextlib import closing
from pathlib import Path
from bmd_edge.screen.ledger import Ledger
with closing(Ledger(Path(sys.argv[1]), to_read=True)) as ledger:
    print(*(one.file for one in ledger.reports()))
"""


@pytest.mark.parametrize("left", ["", "-wal", "-wal -shm"])
def test_a_ledger_is_read_where_nothing_can_be_written(left: str, tmp_path: Path) -> None:
    """With a log where a run was killed, which holds its last films; an archive may have left the log's index."""
    killed = tmp_path / "killed"
    killed.mkdir()
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", report(b"a"))
        if left:
            for end in ("", *left.split()):
                shutil.copy(tmp_path / f"{NAME}{end}", killed)
    if not left:
        shutil.copy(tmp_path / NAME, killed)
    before = sorted(killed.iterdir())
    done = read_only(killed, sys.executable, "-c", READ_FILES, killed)
    assert (done.stdout, done.stderr) == ("a\n", "")
    assert sorted(killed.iterdir()) == before
