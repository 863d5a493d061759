"""The ledger: what a run has finished, in one SQLite file of the output folder, so that a killed run can resume.

Each row is committed alone and synced to the disk (WAL, synchronous=FULL), so a kill or a power cut at any moment loses
at most the film in work. The results files are written from here, sorted by path. A film is known by its path, its size
and its time, so that a folder of finished films is checked without opening one; film_id tells a film that was moved
from another one of the same size and time.
"""

import errno
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, astuple, replace
from pathlib import Path
from typing import Any

from bmd_edge.errors import UsageError
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.network_answer import NetworkAnswer
from bmd_edge.report.film_report import FilmReport, HipReport, RunSummary
from bmd_edge.report.thumbnail import Thumbnail
from bmd_edge.screen.folder_plan import Stamp

NAME = "ledger.sqlite"
_COLUMNS = "report, picture, width_px, height_px, film_width_px, film_height_px"
_LAYOUT = 3
_TABLES = """
BEGIN;
CREATE TABLE films (
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
    film_height_px INTEGER
);
CREATE INDEX stamps ON films (size, mtime_ns);
CREATE TABLE written (          -- the results files hold just these films: one row, none while they do not
    settings TEXT NOT NULL,
    summary TEXT NOT NULL       -- RunSummary as JSON
);
CREATE TRIGGER put AFTER INSERT ON films BEGIN DELETE FROM written; END;
CREATE TRIGGER forget AFTER DELETE ON films BEGIN DELETE FROM written; END;
PRAGMA user_version=3;
COMMIT;
"""
_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


@contextmanager
def _translated() -> Iterator[None]:
    """Turn SQLite's errors into OSError where the disk is to blame, else into UsageError."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells kinds of one error apart
        if code in _ERRNO:
            raise OSError(_ERRNO[code], os.strerror(_ERRNO[code])) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UsageError(f"{NAME} is open in another program: close it, then run again") from error
        raise UsageError(f"{NAME} cannot be used ({error}): run with --fresh or another --out") from error


class Ledger:
    """The ledger in folder `out`, made if it is missing.

    Every method raises OSError where the disk fails or is full, UsageError if the file is no ledger of this version.
    """

    def __init__(self, out: Path) -> None:
        with _translated():
            self._db = sqlite3.connect(out / NAME, isolation_level=None)
        try:
            self._prepare()
        except BaseException:
            self._db.close()
            raise

    def _prepare(self) -> None:
        with _translated():
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")  # NORMAL would lose the last rows in a power cut
            layout = self._db.execute("PRAGMA user_version").fetchone()[0]
            if layout == 0:
                self._db.executescript(_TABLES)
        if layout not in (0, _LAYOUT):
            raise UsageError(f"{NAME} was made by another version of bmd-edge: run with --fresh or another --out")

    def close(self) -> None:
        """Close the file; SQLite then folds its side files in."""
        self._db.close()

    def done(self, settings: str) -> dict[bytes, Stamp]:
        """Key -> (size, mtime) of the films finished with these settings; failed ones are to be tried again."""
        with _translated():
            rows = self._db.execute(
                "SELECT key, size, mtime_ns FROM films WHERE settings=? AND status<>'failed'", (settings,)
            )
            return {key: (size, mtime_ns) for key, size, mtime_ns in rows}

    def put(self, key: bytes, stamp: Stamp, settings: str, report: FilmReport, picture: Thumbnail | None) -> None:
        """Store one finished film for good, in place of what was known about it."""
        image = astuple(picture) if picture else (None,) * 5
        with _translated():
            self._db.execute(
                "INSERT OR REPLACE INTO films VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (key, *stamp, settings, report.film_id, report.status, json.dumps(report.kept()), *image),
            )

    def adopt(self, key: bytes, file: str, stamp: Stamp, settings: str, film_id: str | None) -> bool:
        """Store what is known of the film `film_id` under another path too; False if nothing is known of it."""
        with _translated():
            found = self._db.execute(
                f"SELECT {_COLUMNS} FROM films WHERE size=? AND mtime_ns=? AND settings=? AND film_id=?"
                " AND status<>'failed' LIMIT 1",
                (*stamp, settings, film_id),
            ).fetchone()
        if found is None:
            return False
        report, picture = _entry(*found)
        self.put(key, stamp, settings, replace(report, file=file), picture)
        return True

    def keep_only(self, keys: Iterable[bytes]) -> None:
        """Forget films that are no longer in the folder."""
        with _translated():
            known = {key for (key,) in self._db.execute("SELECT key FROM films")}
            self.forget(known.difference(keys))

    def forget(self, keys: Iterable[bytes]) -> None:
        """Forget these films, in one transaction: each waits for the disk."""
        with _translated(), self._db:
            self._db.execute("BEGIN")
            self._db.executemany("DELETE FROM films WHERE key=?", ((key,) for key in keys))

    def reports(self) -> Iterator[FilmReport]:
        """All reports, sorted by path."""
        with _translated():
            for (text,) in self._db.execute("SELECT report FROM films ORDER BY key"):
                yield _report(json.loads(text))

    def entries(self) -> Iterator[tuple[FilmReport, Thumbnail | None]]:
        """All reports with their pictures, sorted by path."""
        with _translated():
            for row in self._db.execute(f"SELECT {_COLUMNS} FROM films ORDER BY key"):
                yield _entry(*row)

    def written(self, settings: str) -> RunSummary | None:
        """The summary of the results files, if they hold just the films of the ledger, measured with these settings."""
        with _translated():
            found = self._db.execute("SELECT summary FROM written WHERE settings=?", (settings,)).fetchone()
        return RunSummary(**json.loads(found[0])) if found else None

    def note_written(self, settings: str, summary: RunSummary) -> None:
        """Note that the results files hold just the films of the ledger."""
        with _translated():
            self._db.execute("INSERT INTO written VALUES (?,?)", (settings, json.dumps(asdict(summary))))


def remove(out: Path) -> None:
    """Delete the ledger of folder `out`, whatever state it is in."""
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm"):
        (out / name).unlink(missing_ok=True)


def finished(out: Path, settings: str) -> dict[bytes, Stamp]:
    """`Ledger.done` of folder `out` without making anything there."""
    if not (out / NAME).is_file():
        return {}
    with closing(Ledger(out)) as ledger:
        return ledger.done(settings)


def _entry(text: str, *image: Any) -> tuple[FilmReport, Thumbnail | None]:
    return _report(json.loads(text)), Thumbnail(*image) if image[0] else None


def _report(data: Mapping[str, Any]) -> FilmReport:
    spacing = data["spacing_mm"] and tuple(data["spacing_mm"])
    return FilmReport(**{**data, "spacing_mm": spacing, "hips": tuple(_hip(hip) for hip in data["hips"])})


def _hip(data: Mapping[str, Any]) -> HipReport:
    landmarks = {name: tuple(point) for name, point in data["landmarks_px"].items()}
    box = data["box_px"] and tuple(data["box_px"])
    found = tuple(Estimate(**{**estimate, "flags": tuple(estimate["flags"])}) for estimate in data["estimates"])
    network = data["network"] and NetworkAnswer(**{name: tuple(values) for name, values in data["network"].items()})
    return HipReport(**{**data, "landmarks_px": landmarks, "box_px": box, "estimates": found, "network": network})
