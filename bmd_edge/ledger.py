"""The ledger: what a run has finished, in one SQLite file of the output folder, so that a killed run can resume.

Each row is committed alone (WAL), so a kill at any moment loses at most the film in work. The results files are
written from here, sorted by path.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from bmd_edge.errors import UsageError
from bmd_edge.estimate import Estimate
from bmd_edge.report import FilmReport, HipReport, NetworkAnswer
from bmd_edge.report_html import Thumbnail

NAME = "ledger.sqlite"
_LAYOUT = 2
_TABLE = """
CREATE TABLE IF NOT EXISTS films (
    key BLOB PRIMARY KEY,       -- path relative to the folder, the system's bytes
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    settings TEXT NOT NULL,     -- Screener.settings_digest
    film_id TEXT,
    status TEXT NOT NULL,
    report TEXT NOT NULL,       -- FilmReport as JSON
    picture BLOB,               -- bmd_edge.report_html.Thumbnail: JPEG, its size, the film's size
    width_px INTEGER,
    height_px INTEGER,
    film_width_px INTEGER,
    film_height_px INTEGER
)
"""


class Ledger:
    """The ledger in folder `out`, made if it is missing. UsageError if the file is no ledger of this version."""

    def __init__(self, out: Path) -> None:
        try:
            self._db = sqlite3.connect(out / NAME, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            layout = self._db.execute("PRAGMA user_version").fetchone()[0]
            if layout not in (0, _LAYOUT):
                raise UsageError(f"{NAME} was made by another version of bmd-edge: run with --fresh or another --out")
            if layout == 0:
                self._db.execute(_TABLE)
                self._db.execute(f"PRAGMA user_version={_LAYOUT}")
        except sqlite3.DatabaseError as error:
            raise UsageError(f"{NAME} cannot be used ({error}): run with --fresh or another --out") from error

    def close(self) -> None:
        """Close the file; SQLite then folds its side files in."""
        self._db.close()

    def done(self, settings: str) -> dict[bytes, tuple[int, int]]:
        """Key -> (size, mtime) of the films finished with these settings; failed ones are to be tried again."""
        rows = self._db.execute(
            "SELECT key, size, mtime_ns FROM films WHERE settings=? AND status<>'failed'", (settings,)
        )
        return {key: (size, mtime_ns) for key, size, mtime_ns in rows}

    def put(
        self, key: bytes, stamp: tuple[int, int], settings: str, report: FilmReport, picture: Thumbnail | None
    ) -> None:
        """Store one finished film for good, in place of what was known about it."""
        image = astuple(picture) if picture else (None,) * 5
        self._db.execute(
            "INSERT OR REPLACE INTO films VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (key, *stamp, settings, report.film_id, report.status, json.dumps(asdict(report)), *image),
        )

    def keep_only(self, keys: Iterable[bytes]) -> None:
        """Forget films that are no longer in the folder."""
        known = {key for (key,) in self._db.execute("SELECT key FROM films")}
        self._db.executemany("DELETE FROM films WHERE key=?", ((key,) for key in known.difference(keys)))

    def reports(self) -> Iterator[FilmReport]:
        """All reports, sorted by path."""
        for (text,) in self._db.execute("SELECT report FROM films ORDER BY key"):
            yield _report(json.loads(text))

    def entries(self) -> Iterator[tuple[FilmReport, Thumbnail | None]]:
        """All reports with their pictures, sorted by path."""
        columns = "report, picture, width_px, height_px, film_width_px, film_height_px"
        for text, *image in self._db.execute(f"SELECT {columns} FROM films ORDER BY key"):
            yield _report(json.loads(text)), Thumbnail(*image) if image[0] else None


def remove(out: Path) -> None:
    """Delete the ledger of folder `out`, whatever state it is in."""
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm"):
        (out / name).unlink(missing_ok=True)


def finished(out: Path, settings: str) -> dict[bytes, tuple[int, int]]:
    """`Ledger.done` of folder `out` without making anything there."""
    if not (out / NAME).is_file():
        return {}
    with closing(Ledger(out)) as ledger:
        return ledger.done(settings)


def _report(data: Mapping[str, Any]) -> FilmReport:
    spacing = data["spacing_mm"] and tuple(data["spacing_mm"])
    return FilmReport(**{**data, "spacing_mm": spacing, "hips": tuple(_hip(hip) for hip in data["hips"])})


def _hip(data: Mapping[str, Any]) -> HipReport:
    landmarks = {name: tuple(point) for name, point in data["landmarks_px"].items()}
    box = data["box_px"] and tuple(data["box_px"])
    found = tuple(Estimate(**{**estimate, "flags": tuple(estimate["flags"])}) for estimate in data["estimates"])
    network = data["network"] and NetworkAnswer(**{name: tuple(values) for name, values in data["network"].items()})
    return HipReport(**{**data, "landmarks_px": landmarks, "box_px": box, "estimates": found, "network": network})
