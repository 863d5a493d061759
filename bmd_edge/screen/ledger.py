"""The ledger: what a run has finished, in one SQLite file of the output folder, so that a killed run can resume.

Each row is committed alone and synced to the disk (WAL, synchronous=FULL), so a kill or a power cut at any moment loses
at most the film in work. The results files are written from here, sorted by path. A film is known by its path, its size
and its times, so that a folder of finished films is checked without opening one; where the time of change has moved,
film_id tells a film that was moved, or touched, from another one of the same size and time of modification.

No result goes unless somebody says so: what was said of films that are not there now stays, with a mark. A film whose
name another one has taken since keeps its row under that name, a NUL and its film_id: no path holds a NUL. It stands
before the film that has the name now: whoever takes the last line of a name has today's film.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Set
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, astuple, replace
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from bmd_edge.errors import UsageError
from bmd_edge.report.film_report import FilmReport, RunSummary
from bmd_edge.report.thumbnail import Thumbnail
from bmd_edge.screen.folder_plan import Stamp
from bmd_edge.screen.kept_report import entry_of, report_of
from bmd_edge.system.sqlite_errors import translated

NAME = "ledger.sqlite"
_STAMP = "size, mtime_ns, changed_ns"
_COLUMNS = "report, picture, width_px, height_px, film_width_px, film_height_px"
_LAYOUT = 5
_ABSENT = "TABLE absent (key BLOB PRIMARY KEY, film_now TEXT NOT NULL)"  # what is known of films that are not there
_TABLES = f"""
CREATE TABLE IF NOT EXISTS films (
    key BLOB PRIMARY KEY,       -- path relative to the folder, the system's bytes
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    settings TEXT NOT NULL,     -- Screener.settings_digest
    film_id TEXT,
    status TEXT NOT NULL,
    report TEXT NOT NULL,       -- FilmReport as JSON
    picture BLOB,               -- bmd_edge.report.thumbnail.Thumbnail: JPEG, its size, the film's size
    width_px INTEGER,
    height_px INTEGER,
    film_width_px INTEGER,
    film_height_px INTEGER,
    changed_ns INTEGER          -- NULL where an earlier version has not kept it
);
CREATE INDEX IF NOT EXISTS stamps ON films (size, mtime_ns);
CREATE {_ABSENT.replace("TABLE", "TABLE IF NOT EXISTS")};
DROP TABLE IF EXISTS written;
CREATE TABLE written (          -- the results files hold just these films: one row, none while they do not
    settings TEXT NOT NULL,
    summary TEXT NOT NULL       -- RunSummary as JSON
);
DROP TRIGGER IF EXISTS put;
DROP TRIGGER IF EXISTS forget;
DROP TRIGGER IF EXISTS mark;
DROP TRIGGER IF EXISTS unmark;
CREATE TRIGGER put AFTER INSERT ON films BEGIN DELETE FROM written; END;
CREATE TRIGGER forget AFTER DELETE ON films BEGIN
    DELETE FROM written; DELETE FROM absent WHERE key=OLD.key;
END;
CREATE TRIGGER mark AFTER INSERT ON absent BEGIN DELETE FROM written; END;
CREATE TRIGGER unmark AFTER DELETE ON absent BEGIN DELETE FROM written; END;
PRAGMA user_version={_LAYOUT};
COMMIT;
"""
_SAID = "json_array_length(report, '$.hips') > 0"
"""Something was said of a hip: a number, or why there is none."""


def _translated() -> AbstractContextManager[None]:
    return translated(NAME, "give another --out, or --fresh, which forgets what it holds")


class Ledger:
    """The ledger in folder `out`, made if it is missing; one of an earlier version is taken over.

    With `to_read` nothing is made or changed, so it may lie where nothing can be written; it must be there.
    Every method raises OSError where the disk fails or is full, UsageError if the file is none or a later version's.
    """

    def __init__(self, out: Path, *, to_read: bool = False) -> None:
        with ExitStack() as stack, _translated():
            if to_read:
                self._db = stack.enter_context(closing(_open_to_read(out / NAME, stack)))
            else:
                self._db = stack.enter_context(closing(sqlite3.connect(out / NAME, isolation_level=None)))
                self._prepare()
            self._stack = stack.pop_all()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # NORMAL would lose the last rows in a power cut
        before = _layout(self._db)
        if before < _LAYOUT:
            column = "ALTER TABLE films ADD COLUMN changed_ns INTEGER;" * (before > 0)
            self._db.executescript(f"BEGIN; {column} {_TABLES}")

    def close(self) -> None:
        """Close the file; SQLite then folds its side files in."""
        self._stack.close()

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """One transaction: it waits for the disk once, and whatever ends it leaves all of it or nothing."""
        with _translated():
            self._db.execute("SAVEPOINT changes")
            try:
                yield
                self._db.execute("RELEASE changes")
            except BaseException:
                if self._db.in_transaction:  # SQLite itself takes back what a full disk has stopped
                    self._db.execute("ROLLBACK TO changes")
                    self._db.execute("RELEASE changes")
                raise

    def done(self, settings: str) -> dict[bytes, Stamp]:
        """Key -> stamp of the films finished with these settings; failed ones are to be tried again."""
        with _translated():
            rows = self._db.execute(
                f"SELECT key, {_STAMP} FROM films WHERE settings=? AND status<>'failed'", (settings,)
            )
            return {key: (size, mtime_ns, changed_ns) for key, size, mtime_ns, changed_ns in rows}

    def put(self, key: bytes, stamp: Stamp, settings: str, report: FilmReport, picture: Thumbnail | None) -> None:
        """Store one finished film for good, in place of what was known about it.

        What was known stays instead, marked `unreadable`, where the film could not be read again; and besides, marked
        `replaced`, where it is another film and something was said of a hip.
        """
        image = astuple(picture) if picture else (None,) * 5
        with self._at_once():
            if self._stays(key, report):
                self._db.execute("INSERT OR REPLACE INTO absent VALUES (?,'unreadable')", (key,))
                return
            self._db.execute("DELETE FROM absent WHERE key=?", (key,))
            self._db.execute(
                f"INSERT OR REPLACE INTO films (key, {_STAMP}, settings, film_id, status, {_COLUMNS})"
                " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (key, *stamp, settings, report.film_id, report.status, json.dumps(report.kept()), *image),
            )

    def _stays(self, key: bytes, report: FilmReport) -> bool:
        """Whether what is known under `key` outweighs a new report; if not, but it is worth keeping, it makes room."""
        found = self._db.execute(f"SELECT film_id, status, {_SAID} FROM films WHERE key=?", (key,)).fetchone()
        film, status, said = found or (None, None, False)
        if film is None or status == "failed":
            return False
        if report.status == "failed" and report.film_id in (None, film):
            return True
        if report.film_id != film and said:
            kept = b"%b\0%b" % (key, film.encode())
            self._db.execute("UPDATE OR REPLACE films SET key=? WHERE key=?", (kept, key))
            self._db.execute("INSERT OR REPLACE INTO absent VALUES (?,'replaced')", (kept,))
        return False

    def adopt(self, key: bytes, file: str, stamp: Stamp, settings: str, film_id: str | None) -> bool:
        """Store what is known of the film `film_id` under another path too; False if nothing is known of it."""
        with _translated():
            found = self._db.execute(
                f"SELECT NULL, {_COLUMNS} FROM films WHERE size=? AND mtime_ns=? AND settings=? AND film_id=?"
                " AND status<>'failed' LIMIT 1",
                (*stamp[:2], settings, film_id),
            ).fetchone()
        if found is None:
            return False
        report, picture = entry_of(*found)
        self.put(key, stamp, settings, replace(report, file=file), picture)
        return True

    def keys(self) -> set[bytes]:
        """The keys of all films."""
        with _translated():
            return {key for (key,) in self._db.execute("SELECT key FROM films")}

    def compare(self, present: Set[bytes], finished: Set[bytes]) -> None:
        """Mark films that are not in the folder as `missing`, and take the mark from those found there as they were.

        What never was a film (a link, a text, a folder that could not be listed) is forgotten with it.
        """
        with _translated():
            marked = dict(self._db.execute("SELECT key, film_now FROM absent"))
        gone = [(key,) for key in self.keys() - present if b"\0" not in key and marked.get(key) != "missing"]
        back = [(key,) for key in marked.keys() & finished]
        if gone or back:
            with self._at_once():
                self._db.executemany("DELETE FROM films WHERE key=? AND (film_id IS NULL OR status='left_out')", gone)
                self._db.executemany("INSERT OR REPLACE INTO absent SELECT key, 'missing' FROM films WHERE key=?", gone)
                self._db.executemany("DELETE FROM absent WHERE key=?", back)

    def leave(self, keys: Iterable[bytes]) -> None:
        """Mark what is known of films that are changing as `replaced`; where nothing was said of a hip, forget it."""
        rows = [(key,) for key in keys]
        with self._at_once():
            self._db.executemany(f"DELETE FROM films WHERE key=? AND NOT {_SAID}", rows)
            put = "INSERT OR REPLACE INTO absent SELECT key, 'replaced' FROM films WHERE key=?"
            self._db.executemany(put, rows)

    def settle(self) -> None:
        """Forget films that are not there if they are there under another name."""
        with self._at_once():
            self._db.execute(
                "DELETE FROM films WHERE key IN (SELECT key FROM absent WHERE film_now<>'unreadable') AND film_id IN"
                " (SELECT film_id FROM films WHERE status<>'failed' AND key NOT IN (SELECT key FROM absent))"
            )

    def forget_missing(self) -> None:
        """Forget films that are not there, as somebody asked for."""
        with self._at_once():
            self._db.execute("DELETE FROM films WHERE key IN (SELECT key FROM absent WHERE film_now<>'unreadable')")

    def reports(self) -> Iterator[FilmReport]:
        """All reports, sorted by path; of one path, that of the film that is there now is the last."""
        with _translated():
            query = "SELECT key, report, film_now FROM films LEFT JOIN absent USING (key) ORDER BY key"
            for _, text, film_now in _latest_last(self._db.execute(query)):
                yield report_of(json.loads(text), film_now)

    def entries(self) -> Iterator[tuple[FilmReport, Thumbnail | None]]:
        """All reports with their pictures, in the order of `reports`."""
        with _translated():
            query = f"SELECT key, film_now, {_COLUMNS} FROM films LEFT JOIN absent USING (key) ORDER BY key"
            for _, *row in _latest_last(self._db.execute(query)):
                yield entry_of(*row)

    def written(self, settings: str) -> RunSummary | None:
        """The summary of the results files, if they hold just the films of the ledger, measured with these settings."""
        with _translated():
            found = self._db.execute("SELECT summary FROM written WHERE settings=?", (settings,)).fetchone()
        return RunSummary(**json.loads(found[0])) if found else None

    def note_written(self, settings: str, summary: RunSummary) -> None:
        """Note that the results files hold just the films of the ledger."""
        with _translated():
            self._db.execute("INSERT INTO written VALUES (?,?)", (settings, json.dumps(asdict(summary))))


def _latest_last(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Rows sorted by their first column, the key, but films that had a name before the one that has it now."""
    for _, films in groupby(rows, key=lambda row: row[0].partition(b"\0")[0]):
        yield from sorted(films, key=lambda row: b"\0" not in row[0])


def remove(out: Path) -> None:
    """Delete the ledger of folder `out`, whatever state it is in."""
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm"):
        (out / name).unlink(missing_ok=True)


def known(out: Path) -> set[bytes]:
    """`Ledger.keys` of folder `out` without making anything there."""
    if not (out / NAME).is_file():
        return set()
    with closing(Ledger(out, to_read=True)) as ledger:
        return ledger.keys()


def finished(out: Path, settings: str) -> dict[bytes, Stamp]:
    """`Ledger.done` of folder `out` without making anything there."""
    if not (out / NAME).is_file():
        return {}
    with closing(Ledger(out, to_read=True)) as ledger:
        return ledger.done(settings)


def _layout(db: sqlite3.Connection) -> int:
    layout = int(db.execute("PRAGMA user_version").fetchone()[0])
    if layout > _LAYOUT:
        raise UsageError(f"{NAME} was made by a later version of bmd-edge: use that one, or give another --out")
    return layout


def _open_to_read(path: Path, stack: ExitStack) -> sqlite3.Connection:
    """Open a ledger without writing beside it.

    Without a log beside it nobody writes to it, and it is read as it stands. With one (a run is at work, or was killed)
    SQLite needs an index of that log; where it can neither read nor make one, it reads a copy of both.
    """
    log = path.with_name(f"{NAME}-wal")
    logged = log.is_file() and log.stat().st_size > 0
    try:
        return _connected(path, "mode=ro" if logged else "immutable=1")
    except sqlite3.OperationalError:
        if not logged:
            raise
    copy = Path(mkdtemp(prefix="bmd-edge-"))
    stack.callback(shutil.rmtree, copy, ignore_errors=True)
    for one in (path, log):
        shutil.copyfile(one, copy / one.name)
    return _connected(copy / NAME, "mode=rw")


def _connected(path: Path, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None)
    try:
        layout = _layout(db)
        db.execute("PRAGMA temp_store=MEMORY")
        if layout < 4:  # as if it were taken over: nothing is marked yet
            db.execute(f"CREATE TEMP {_ABSENT}")
        if layout < 5:  # likewise: no time of change is known
            db.execute("CREATE TEMP VIEW films AS SELECT *, NULL AS changed_ns FROM main.films")
        db.execute("SELECT count(*) FROM (SELECT 1 FROM films LIMIT 1)")
    except BaseException:
        db.close()
        raise
    return db
