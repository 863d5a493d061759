"""The journal's file: transactions, the chain of events, disks that fail."""

import contextlib
import errno
import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bmd_edge.clinic.journal import store
from bmd_edge.clinic.journal.store import Journal, copy_journal
from bmd_edge.errors import UsageError


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path, clock=lambda: 1000.0) as opened:
        yield opened


def whats(journal: Journal) -> list[str]:
    return [row["what"] for row in journal.rows("SELECT what FROM event ORDER BY n")]


def test_what_was_committed_is_synced(journal: Journal) -> None:
    settings = {name: journal.rows(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_an_error_takes_the_whole_change_back(journal: Journal) -> None:
    with contextlib.suppress(RuntimeError), journal.change():
        journal.record("one")
        with journal.change():
            journal.record("two")
        raise RuntimeError
    assert whats(journal) == []
    journal.record("three")
    assert whats(journal) == ["three"]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE event SET detail='{}' WHERE n=2",
        "UPDATE event SET at=at+1 WHERE n=2",
        "UPDATE event SET film_key='b' WHERE n=2",
        "DELETE FROM event WHERE n=2",
        "UPDATE event SET n=9 WHERE n=2",
        "UPDATE event SET chain='' WHERE n=2",
        "UPDATE event SET n=-n WHERE n IN (2, 3); UPDATE event SET n=n+5 WHERE n<0",  # 2 and 3 have changed places
        "DELETE FROM event WHERE n=2; UPDATE event SET n=n-1 WHERE n>2",  # and those behind it moved up
        "UPDATE event SET n=n+1 WHERE n=4; UPDATE event SET n=n+1 WHERE n=3;"
        "INSERT INTO event SELECT 3, at, what, film_key, detail, chain FROM event WHERE n=2;"
        "UPDATE event SET detail='{}' WHERE n=2",  # one was put in between
    ],
)
@pytest.mark.parametrize("at_once", [10_000, 1])
def test_the_chain_shows_where_somebody_has_edited_it(
    journal: Journal, edit: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_AT_ONCE", at_once)
    for number in range(4):
        journal.record("refused", "a", number=number)
    assert journal.broken_event() is None
    with journal.change() as db:
        for statement in edit.split(";"):
            db.execute(statement)
    assert journal.broken_event() == 2


def test_threads_write_one_chain(journal: Journal) -> None:
    threads = [threading.Thread(target=journal.record, args=(f"{n}",)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(whats(journal), key=int) == [f"{n}" for n in range(16)]
    assert journal.broken_event() is None


def test_it_is_closed_when_nobody_is_in_the_middle_of_it(journal: Journal) -> None:
    long = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300000) SELECT COUNT(*) FROM n"
    ended: list[object] = []

    def ask() -> None:
        try:
            while True:
                assert journal.rows(long)[0][0] == 300000
        except UsageError as error:
            ended.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    journal.close()
    for thread in threads:
        thread.join()
    assert len(ended) == 3


def _write(root: Path) -> None:
    with Journal(root) as journal:
        for number in range(20):
            journal.record(f"{number}")


def test_processes_write_one_chain(tmp_path: Path) -> None:
    started = [multiprocessing.get_context("spawn").Process(target=_write, args=(tmp_path,)) for _ in range(3)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    with Journal(tmp_path) as journal:
        assert len(whats(journal)) == 60
        assert journal.broken_event() is None


class Failing:
    """A connection whose next statement meets an error of SQLite."""

    def __init__(self, db: sqlite3.Connection, code: int) -> None:
        self._db, self._code = db, code

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if statement == "COMMIT" and self._code:
            error = sqlite3.OperationalError("disk")
            error.sqlite_errorcode, self._code = self._code, 0  # once
            raise error
        return self._db.execute(statement, *values)


@pytest.mark.parametrize(("code", "number", "lasting"), [
    (sqlite3.SQLITE_IOERR | 4 << 8, errno.EIO, True),  # SQLITE_IOERR_FSYNC
    (sqlite3.SQLITE_FULL, errno.ENOSPC, False),
])  # fmt: skip
def test_after_a_failed_sync_nothing_is_tried_again(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, code: int, number: int, lasting: bool
) -> None:
    monkeypatch.setattr(journal, "_db", Failing(journal._db, code))
    for _ in range(3 if lasting else 1):
        with pytest.raises(OSError) as caught:  # noqa: PT011
            journal.record("one")
        assert caught.value.errno == number
    if not lasting:
        journal.record("two")
        assert whats(journal) == ["two"]


def test_another_file_or_version_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "journal.sqlite").write_bytes(b"no journal" * 1000)
    with pytest.raises(UsageError, match="clinic doctor"):
        Journal(tmp_path / "other")
    with Journal(tmp_path) as journal:
        journal._db.execute("PRAGMA user_version=99")
    with pytest.raises(UsageError, match="another version"):
        Journal(tmp_path)


def test_a_copy_is_whole(journal: Journal, tmp_path: Path) -> None:
    journal.record("one")
    (tmp_path / "backup").mkdir()
    copy_journal(tmp_path, tmp_path / "backup" / "journal.sqlite")
    journal.record("two")
    with Journal(tmp_path / "backup") as copy:
        assert whats(copy) == ["one"]
        assert copy.broken_event() is None
