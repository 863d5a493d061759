"""The ledger of a run: what is in it is on the disk."""

import hashlib
import json
import shutil
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.errors import UsageError
from bmd_edge.film.film import former_id
from bmd_edge.report.film_report import FilmReport
from bmd_edge.screen.folders import EARLIER
from bmd_edge.screen.ledger import Ledger
from bmd_edge.screen.ledger_file import NAME
from tests.bmd_edge.screen.mounts import read_only
from tests.support.screening import drawn_screener, hip_dicom

FULL = 2
"""SQLite's number for synchronous=FULL."""


def test_every_film_is_synced_for_good(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (FULL,)
        assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_many_films_are_marked_in_one_transaction(tmp_path: Path) -> None:
    """Each transaction waits for the disk: a share with 100,000 films that is lost must not wait 100,000 times."""
    with closing(Ledger(tmp_path)) as ledger, closing(sqlite3.connect(tmp_path / NAME)) as other:
        for key in (b"a", b"b", b"c"):
            ledger.put(key, (1, 1, 1), "settings", report(key), None)
        seen: list[int] = []
        ledger._db.set_trace_callback(lambda _: seen.append(other.execute("SELECT count(*) FROM absent").fetchone()[0]))
        ledger.compare({b"b"}, {b"b"})
        ledger._db.set_trace_callback(None)
        assert set(seen) <= {0, 2}  # nobody ever sees half of it
        assert now(ledger) == {"a": "missing", "b": "there", "c": "missing"}
        assert list(ledger.done("settings")) == [b"a", b"b", b"c"]
        ledger.forget_missing()
        assert now(ledger) == {"b": "there"}


def report(name: bytes, said: bytes = b"") -> FilmReport:
    return replace(READ, file=name.decode(), film_id=hashlib.sha256(said or name).hexdigest()[:16])


with drawn_screener() as _screener:
    READ = _screener.read(hip_dicom("R"))
    REFUSED = _screener.read(hip_dicom(""))
    FAILED = _screener.setup.failed
    PACKED = replace(_screener.read(b"PK\x05\x06"), file="b.zip", status="left_out")


def now(ledger: Ledger) -> dict[str, str]:
    return {str(one.file): one.film_now for one in ledger.reports()}


def put(ledger: Ledger, key: bytes, one: FilmReport, size: int = 1) -> None:
    ledger.put(key, (size, 1, 1), "settings", one, None)


def test_a_film_that_cannot_be_read_again_keeps_what_was_said_of_it(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", report(b"a"))
        put(ledger, b"a", replace(FAILED, file="a", reason="file_unreadable"), 2)
        assert [(one.status, one.film_now) for one in ledger.reports()] == [("read", "unreadable")]
        ledger.forget_missing()  # it is there
        put(ledger, b"a", report(b"a"), 2)
        assert now(ledger) == {"a": "there"}
        put(ledger, b"a", replace(FAILED, film_id="another film", file="a"), 3)
        assert sorted((one.status, one.film_now) for one in ledger.reports()) == [
            ("failed", "there"),
            ("read", "replaced"),
        ]


def test_whoever_takes_the_last_line_of_a_name_has_the_film_that_is_there(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for film in (b"one", b"two", b"three"):
            put(ledger, b"a", report(b"a", film))
        put(ledger, b"a b", report(b"a b"))
        expected = [("a", "replaced"), ("a", "replaced"), ("a", "there"), ("a b", "there")]
        assert [(one.file, one.film_now) for one in ledger.reports()] == expected
        assert [(one.file, one.film_now) for one, _ in ledger.entries()] == expected
        assert {one.file: one.film_id for one in ledger.reports()}["a"] == report(b"a", b"three").film_id


def test_a_failure_is_replaced_by_whatever_comes_next(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for one in (FAILED, replace(FAILED, film_id="known"), FAILED, report(b"a"), report(b"a")):
            put(ledger, b"a", one)
        assert [one.status for one in ledger.reports()] == ["read"]


def test_of_a_file_without_a_hip_nothing_is_kept_once_another_has_its_name(tmp_path: Path) -> None:
    """The remedy of most such refusals is to export the film again."""
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", REFUSED)
        put(ledger, b"a", report(b"a"))
        assert [one.film_now for one in ledger.reports()] == ["there"]


def test_a_film_that_is_there_under_another_name_is_known_once(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        for key in (b"a", b"b"):
            put(ledger, key, report(key, b"one film"))
        put(ledger, b"c", report(b"c"))
        ledger.compare({b"b"}, {b"b"})
        ledger.settle()
        assert now(ledger) == {"b": "there", "c": "missing"}


def test_what_was_displaced_is_found_again(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", report(b"a"))
        put(ledger, b"a", report(b"a", b"another film"), 2)
        assert ledger.adopt(b"a", (1, 1, 1), "settings", report(b"a").film_id)
        ledger.settle()
        assert sorted((one.film_id, one.film_now) for one in ledger.reports()) == sorted(
            [(report(b"a").film_id, "there"), (report(b"a", b"another film").film_id, "replaced")]
        )


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


def test_a_film_whose_name_read_as_a_number_is_known_by_its_name_of_today(tmp_path: Path) -> None:
    former, today = "0429491040446823", "29491040446823ab"
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", replace(report(b"a"), film_id=former))
        assert [one.film_id for one in ledger.reports()] == [former_id(former)]
        put(ledger, b"a", replace(FAILED, file="a", film_id=today))
        assert now(ledger) == {"a": "unreadable"}
        put(ledger, b"a", replace(report(b"a"), film_id=today), 2)
        assert [(one.film_id, one.film_now) for one in ledger.reports()] == [(today, "there")]


def test_a_ledger_of_a_later_version_is_left_as_it_is_and_nobody_is_told_to_forget_it(tmp_path: Path) -> None:
    Ledger(tmp_path).close()
    with closing(sqlite3.connect(tmp_path / NAME)) as later:
        later.execute("PRAGMA user_version=99")
    before = (tmp_path / NAME).read_bytes()
    for to_read in (True, False):
        with pytest.raises(UsageError, match=r"later version.*use that one, or give another --out$"):
            Ledger(tmp_path, to_read=to_read)
    assert (tmp_path / NAME).read_bytes() == before


def test_a_ledger_is_read_beside_a_run_that_writes_to_it(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path)) as ledger:
        put(ledger, b"a", report(b"a"))
        with closing(Ledger(tmp_path, to_read=True)) as other:
            assert now(other) == {"a": "there"}
            with pytest.raises(OSError, match="Read-only"):
                other.compare(set(), set())


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
