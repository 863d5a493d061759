"""The journal's file: its tables, its transactions, and the chain of events that shows when somebody edits it.

`journal.sqlite` in the box's root, WAL and synchronous=FULL: what was committed survives a power cut. Two processes
write to it, the guard inside Orthanc and `bmd-edge serve`. No column holds a name, an ID, a date of birth or an
accession number.
"""

import errno
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bmd_edge.errors import UsageError
from bmd_edge.system.sqlite_errors import translated

NAME = "journal.sqlite"
_LAYOUT = 1
_BUSY_S = 5.0
_AT_ONCE = 10_000
"""Events in memory while the chain of years is looked at."""
_TABLES = f"""
CREATE TABLE film (
    n INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of arrival, which no clock can change
    film_key TEXT NOT NULL UNIQUE,        -- SHA-256 of the file as it was kept: the product's film_id
    sop_uid TEXT NOT NULL,
    pixel_sha TEXT NOT NULL,              -- of the value of Pixel Data, its fragments joined
    header_sha TEXT NOT NULL,             -- of everything else, whatever its encoding
    identity TEXT NOT NULL,               -- keyed hash of patient ID, study and series
    syntax TEXT NOT NULL,                 -- transfer syntax UID
    size INTEGER NOT NULL,
    door TEXT NOT NULL,                   -- dicom | stow | folder
    unit TEXT NOT NULL,                   -- who sent it, as clinic.toml names it
    received_at REAL NOT NULL,            -- seconds since 1970, UTC, here and below
    state TEXT NOT NULL CHECK (state IN ('received', 'screening', 'ready', 'done', 'quarantined')),
    reason TEXT NOT NULL DEFAULT '',
    tries INTEGER NOT NULL DEFAULT 0,
    basis TEXT NOT NULL DEFAULT '',       -- what it was read with, as it stands in `reader`
    report TEXT,                          -- FilmReport as JSON
    UNIQUE (sop_uid, pixel_sha, header_sha, identity)
);
CREATE INDEX film_state ON film (state, n);
CREATE INDEX film_received ON film (received_at);
CREATE TABLE reader (                 -- one row: bundle, recalibration and so on of the reader that runs, by a hash
    basis TEXT NOT NULL
);
CREATE TABLE object (
    uid TEXT PRIMARY KEY,                 -- SOP Instance UID
    film_key TEXT NOT NULL REFERENCES film (film_key),
    kind TEXT NOT NULL,                   -- sr | sc | gsps | pdf | fhir
    version INTEGER NOT NULL,
    replaces TEXT REFERENCES object (uid),
    sha256 TEXT NOT NULL,
    path TEXT NOT NULL,                   -- relative to the box's root
    size INTEGER NOT NULL,
    made_at REAL NOT NULL,
    approval TEXT NOT NULL                -- that it names, '' for none
);
CREATE INDEX object_film ON object (film_key, kind, version);
CREATE TABLE delivery (
    uid TEXT NOT NULL REFERENCES object (uid),
    destination TEXT NOT NULL,
    commitment INTEGER NOT NULL,          -- whether it is settled only by the archive's storage commitment
    state TEXT NOT NULL CHECK (state IN ('ready', 'sending', 'sent', 'committed', 'held')),
    reason TEXT NOT NULL DEFAULT '',      -- why it is held or was tried again
    tries INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0,
    since REAL NOT NULL,                  -- when it came into this state
    last_status TEXT NOT NULL DEFAULT '',
    asked TEXT NOT NULL DEFAULT '',       -- transaction UID of the last commitment request
    asks INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (uid, destination)
);
CREATE INDEX delivery_state ON delivery (destination, state, next_try);
CREATE TABLE folder_file (              -- what of the watched folder was looked at
    place TEXT PRIMARY KEY,               -- keyed hash of the path
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL
);
CREATE TABLE event (
    n INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    what TEXT NOT NULL,
    film_key TEXT NOT NULL,               -- '' where it is about no film
    detail TEXT NOT NULL,
    chain TEXT NOT NULL                   -- SHA-256 over the row before and this one
);
PRAGMA user_version={_LAYOUT};
"""


class Journal:
    """The journal in folder `root`, made if it is missing; one connection, to be used from any number of threads.

    Args:
        root: the box's folder, on a disk of this machine.
        clock: seconds since 1970; it stamps rows and decides nothing about their order.

    Every method raises OSError where the disk fails or is full, UsageError if the file is none or another version's,
    or stays locked for 5 s. After a failure of the disk nothing more is tried with this connection: what a failed sync
    has left in memory is not what lies on the disk.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._lock = threading.RLock()
        self._failed: OSError | None = None
        with self._errors():
            self._db = sqlite3.connect(root / NAME, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise

    def _prepare(self) -> None:
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # NORMAL would lose acknowledged films in a power cut
        self._db.execute("PRAGMA foreign_keys=ON")
        self._db.execute("BEGIN IMMEDIATE")
        (layout,) = self._db.execute("PRAGMA user_version").fetchone()
        if layout == 0:
            for statement in filter(str.strip, _uncommented(_TABLES).split(";")):
                self._db.execute(statement)
        self._db.execute("COMMIT")
        if layout not in (0, _LAYOUT):
            raise UsageError(f"{NAME} is of another version of bmd-edge: install that one, or give another root")

    def close(self) -> None:
        """Close the file, once nobody reads or writes: SQLite ends the process of whoever is in the middle of it."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction, on the disk when the block is left; an error takes all of it back.

        Nested in another one of the same thread it is part of that.
        """
        with self._lock, self._errors():
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite itself takes back what a full disk has stopped
                    self._db.execute("ROLLBACK")
                raise

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """The rows that a SELECT finds."""
        with self._lock, self._errors():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._failed:
            raise OSError(self._failed.errno, self._failed.strerror)
        try:
            with translated(NAME, "look at it with `bmd-edge clinic doctor`; a backup can take its place"):
                yield
        except OSError as error:
            self._failed = error if error.errno == errno.EIO else None
            raise

    # -- events -------------------------------------------------------------------------------------------------------

    def record(self, what: str, film_key: str = "", **detail: Any) -> None:
        """Append an event; part of the transaction around it, where there is one. `detail` holds no patient data."""
        with self.change() as db:
            last = db.execute("SELECT n, chain FROM event ORDER BY n DESC LIMIT 1").fetchone()
            n, before = (last["n"] + 1, last["chain"]) if last else (1, "")
            row = (n, round(self.clock(), 3), what, film_key, json.dumps(detail, sort_keys=True))
            db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)", (*row, _link(before, row)))

    def broken_event(self) -> int | None:
        """The number of the first event that does not follow from those before it; None where all do."""
        before, expected = "", 1
        while rows := self.rows("SELECT * FROM event WHERE n>=? ORDER BY n LIMIT ?", expected, _AT_ONCE):
            for n, at, what, film_key, detail, chain in rows:
                if n != expected or chain != _link(before, (n, at, what, film_key, detail)):
                    return expected
                before, expected = chain, expected + 1
        return None


def copy_journal(root: Path, to: Path) -> None:
    """Write a whole copy of the journal to the new file `to`, while others go on writing to it."""
    with translated(NAME, "look at it with `bmd-edge clinic doctor`"), closing(sqlite3.connect(root / NAME)) as db:
        db.execute("VACUUM INTO ?", (str(to),))


def _link(before: str, row: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *row]).encode()).hexdigest()


def _uncommented(script: str) -> str:
    return "\n".join(line.partition("--")[0] for line in script.splitlines())
