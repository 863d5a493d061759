"""The ledger: what a run has finished, in one SQLite file of the output folder, so that a killed run can resume.

Each row is committed alone and synced to the disk (WAL, synchronous=FULL), so a kill or a power cut at any moment loses
at most the film in work. The results files are written from here, sorted by path. A film is known by its folder, its
path there, its size and its times, so that a folder of finished films is checked without opening one; where the time of
change has moved, film_id tells a film that was moved, or touched, from another one of the same size and time of
modification.

No result goes unless somebody says so: what was said of films that are not there now stays, with a mark. A film whose
name another one has taken since keeps its row under that name, a NUL and its film_id: no path holds a NUL. It stands
before the film that has the name now: whoever takes the last line of a name has today's film. What a run finds in one
folder says nothing of films in others.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Set
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, astuple
from itertools import groupby
from pathlib import Path
from typing import Any

from bmd_edge.errors import UsageError
from bmd_edge.film.film import same_film
from bmd_edge.report.film_report import FilmReport, RunSummary
from bmd_edge.report.kept_report import entry_of, report_of
from bmd_edge.report.safe_text import visible
from bmd_edge.report.thumbnail import Thumbnail
from bmd_edge.screen import folders
from bmd_edge.screen.folder_plan import Stamp
from bmd_edge.screen.ledger_file import NAME, open_to_read, open_to_write
from bmd_edge.system.sqlite_errors import translated

_STAMP = "size, mtime_ns, changed_ns"
_COLUMNS = "report, picture, width_px, height_px, film_width_px, film_height_px"


def _translated() -> AbstractContextManager[None]:
    return translated(NAME, "give another --out, or --fresh, which forgets what it holds")


class Ledger:
    """The ledger in folder `out`, made if it is missing; one of an earlier version is taken over.

    Keys are paths relative to the folder that was entered. With `to_read` nothing is made or changed, so it may lie
    where nothing can be written; it must be there.
    Every method raises OSError where the disk fails or is full, UsageError if the file is none or a later version's.
    """

    def __init__(self, out: Path, *, to_read: bool = False) -> None:
        self._reads = to_read
        self._home = self._named = folders.EARLIER + b"/"
        with ExitStack() as stack, _translated():
            self._db = (open_to_read if to_read else open_to_write)(out / NAME, stack)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """Close the file; SQLite then folds its side files in."""
        self._stack.close()

    def enter(self, folder: Path, only: bytes | None = None) -> None:
        """Speak from now on of the films in `folder`, as a run on it does; or of the one that has the key `only`.

        To a ledger that is only read, a folder that it does not know holds nothing.
        """
        with _translated():
            if (home := folders.beginning(self._db, folder)) is None:
                home = b"\0/" if self._reads else folders.add(self._db, folder)
        self._home, self._named = home, home + (only or b"")

    def take_in(self, folder: Path, keys: Iterable[bytes]) -> bool:
        """Let folders inside the one that was entered, whose entries are `keys`, be parts of it; whether any are."""
        with self._at_once():
            return folders.take_in(self._db, folder, self._home, keys)

    def is_named(self, key: bytes) -> bool:
        """Whether a whole key is of the folder that was entered, or of the one film."""
        path = key.partition(b"\0")[0]
        return path == self._named or (self._named == self._home and path.startswith(self._home))

    def per_folder(self, *, others: bool = False) -> dict[str, int]:
        """How many results there are of each folder; with `others`, without those of what was entered."""
        with _translated():
            keys = (key for (key,) in self._db.execute("SELECT key FROM films ORDER BY key"))
            return dict(Counter(_text(key.partition(b"/")[0]) for key in keys if not (others and self.is_named(key))))

    def several(self) -> bool:
        """Whether there are films of several folders, so that the names of files begin with their folder's."""
        with _translated():
            return folders.several(self._db)

    def forget_folder(self, name: str) -> int:
        """Forget a folder, by its name in the results, and all of its films; how many results these were.

        UsageError if it is not known.
        """
        with self._at_once():
            known = {_text(folder): folder for folder in folders.names(self._db)}
            if name not in known:
                names = ", ".join(map(visible, sorted(known))) or "none"
                raise UsageError(f"{visible(name)}: --out knows no such folder: it knows {names}")
            return folders.forget(self._db, known[name])

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
        """Key -> stamp of the films finished with these settings; failed ones are to be tried again.

        Those of other folders are among them, each under a key that no path is.
        """
        with _translated():
            rows = self._db.execute(
                f"SELECT key, {_STAMP} FROM films WHERE settings=? AND status<>'failed'", (settings,)
            )
            return {self._below(key) or b"\0" + key: (size, mtime, changed) for key, size, mtime, changed in rows}

    def _below(self, key: bytes) -> bytes | None:
        """A whole key as one of the folder that was entered; None for one of another folder."""
        return key[len(self._home) :] if key.startswith(self._home) else None

    def put(self, key: bytes, stamp: Stamp, settings: str, report: FilmReport, picture: Thumbnail | None) -> None:
        """Store one finished film for good, in place of what was known about it.

        What was known stays instead, marked `unreadable`, where the film could not be read again; and besides, marked
        `replaced`, where it is another film and something was said of a hip.
        """
        image = astuple(picture) if picture else (None,) * 5
        key = self._home + key
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
        found = self._db.execute(
            f"SELECT film_id, status, {folders.OF_A_HIP} FROM films WHERE key=?", (key,)
        ).fetchone()
        film, status, said = found or (None, None, False)
        if film is None or status == "failed":
            return False
        same = report.film_id is not None and same_film(film, report.film_id)
        if report.status == "failed" and (same or report.film_id is None):
            return True
        if said and not same:
            kept = b"%b\0%b" % (key, film.encode())
            self._db.execute("UPDATE OR REPLACE films SET key=? WHERE key=?", (kept, key))
            self._db.execute("INSERT OR REPLACE INTO absent VALUES (?,'replaced')", (kept,))
        return False

    def adopt(self, key: bytes, stamp: Stamp, settings: str, film_id: str | None) -> bool:
        """Store what is known of the film `film_id` under another path too; False if nothing is known of it."""
        with _translated():
            found = self._db.execute(
                f"SELECT '', NULL, {_COLUMNS} FROM films WHERE size=? AND mtime_ns=? AND settings=? AND film_id=?"
                " AND status<>'failed' LIMIT 1",
                (*stamp[:2], settings, film_id),
            ).fetchone()
        if found is None:
            return False
        report, picture = entry_of(*found)
        self.put(key, stamp, settings, report, picture)
        return True

    def keys(self) -> set[bytes]:
        """The keys of all films of the folder that was entered."""
        with _translated():
            found = (self._below(key) for (key,) in self._db.execute("SELECT key FROM films"))
            return {key for key in found if key is not None}

    def compare(self, present: Set[bytes], finished: Set[bytes]) -> None:
        """Mark films that are not in the folder as `missing`, and take the mark from those found there as they were.

        What never was a film (a link, a text, a folder that could not be listed) is forgotten with it.
        """
        with _translated():
            marked = {self._below(key): now for key, now in self._db.execute("SELECT key, film_now FROM absent")}
        lost = (key for key in self.keys() - present if b"\0" not in key and marked.get(key) != "missing")
        gone = [(self._home + key,) for key in lost]
        back = [(self._home + key,) for key in marked.keys() & finished if key is not None]
        if gone or back:
            with self._at_once():
                self._db.executemany("DELETE FROM films WHERE key=? AND (film_id IS NULL OR status='left_out')", gone)
                self._db.executemany("INSERT OR REPLACE INTO absent SELECT key, 'missing' FROM films WHERE key=?", gone)
                self._db.executemany("DELETE FROM absent WHERE key=?", back)

    def leave(self, keys: Iterable[bytes]) -> None:
        """Mark what is known of films that are changing as `replaced`; where nothing was said of a hip, forget it."""
        rows = [(self._home + key,) for key in keys]
        with self._at_once():
            self._db.executemany(f"DELETE FROM films WHERE key=? AND NOT {folders.OF_A_HIP}", rows)
            put = "INSERT OR REPLACE INTO absent SELECT key, 'replaced' FROM films WHERE key=?"
            self._db.executemany(put, rows)

    def settle(self) -> list[str]:
        """Forget films that are not there if they are there under another name; a folder that has moved is this one.

        Returns the names of such folders.
        """
        with self._at_once():
            moved = folders.settle(self._db, self._home)
            self._db.execute(
                "DELETE FROM films WHERE key IN (SELECT key FROM absent WHERE film_now<>'unreadable') AND film_id IN"
                " (SELECT film_id FROM films WHERE status<>'failed' AND key NOT IN (SELECT key FROM absent))"
            )
        return [_text(name) for name in moved]

    def forget_missing(self) -> list[str]:
        """Forget films of the folder that was entered, or the one film, that are not there, as somebody asked for.

        Returns their names.
        """
        with self._at_once():
            absent = self._db.execute("SELECT key FROM absent WHERE film_now<>'unreadable' ORDER BY key").fetchall()
            rows = [row for row in absent if self.is_named(row[0])]
            several = folders.several(self._db)
            self._db.executemany("DELETE FROM films WHERE key=?", rows)
        return [_file(key, several) for (key,) in rows]

    def reports(self, *, named: bool = False) -> Iterator[FilmReport]:
        """All reports, sorted by path; of one path, that of the film that is there now is the last.

        `file` begins with the folder's name where there are films of several. With `named`, only those of the folder
        that was entered, or of the one film.
        """
        with _translated():
            several = folders.several(self._db)
            query = "SELECT key, report, film_now FROM films LEFT JOIN absent USING (key) ORDER BY key"
            for key, text, film_now in _latest_last(self._db.execute(query)):
                if not named or self.is_named(key):
                    yield report_of({**json.loads(text), "file": _file(key, several)}, film_now)

    def entries(self) -> Iterator[tuple[FilmReport, Thumbnail | None]]:
        """All reports with their pictures, in the order of `reports`."""
        with _translated():
            several = folders.several(self._db)
            query = f"SELECT key, film_now, {_COLUMNS} FROM films LEFT JOIN absent USING (key) ORDER BY key"
            for key, *row in _latest_last(self._db.execute(query)):
                yield entry_of(_file(key, several), *row)

    def written(self, settings: str) -> RunSummary | None:
        """The summary of the results files, if they hold just the films of the ledger, measured with these settings."""
        with _translated():
            found = self._db.execute("SELECT summary FROM written WHERE settings=?", (settings,)).fetchone()
        return RunSummary(**json.loads(found[0])) if found else None

    def note_written(self, settings: str, summary: RunSummary) -> None:
        """Note that the results files hold just the films of the ledger."""
        with _translated():
            self._db.execute("INSERT INTO written VALUES (?,?)", (settings, json.dumps(asdict(summary))))


def _file(key: bytes, several: bool) -> str:
    """Posix path relative to the folder, or with the folder's name; bytes that are no UTF-8 stand as `\\xNN`."""
    path = key.partition(b"\0")[0]
    return _text(path if several else path.partition(b"/")[2])


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _latest_last(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Rows sorted by their first column, the key, but films that had a name before the one that has it now."""
    for _, films in groupby(rows, key=lambda row: row[0].partition(b"\0")[0]):
        yield from sorted(films, key=lambda row: b"\0" not in row[0])


def remove(out: Path) -> None:
    """Delete the ledger of folder `out`, whatever state it is in."""
    for name in (NAME, f"{NAME}-wal", f"{NAME}-shm"):
        (out / name).unlink(missing_ok=True)


def held(out: Path) -> dict[str, int]:
    """How many results folder `out` keeps, by folder of films, without making anything there."""
    if not (out / NAME).is_file():
        return {}
    with closing(Ledger(out, to_read=True)) as ledger:
        return ledger.per_folder()


def known(out: Path) -> set[str]:
    """The files that folder `out` knows, as its results name them, without making anything there."""
    if not (out / NAME).is_file():
        return set()
    with closing(Ledger(out, to_read=True)) as ledger:
        return {report.file or "" for report in ledger.reports()}


def finished(out: Path, settings: str, folder: Path) -> dict[bytes, Stamp]:
    """`Ledger.done` of the films in `folder`, without making anything in folder `out`."""
    if not (out / NAME).is_file():
        return {}
    with closing(Ledger(out, to_read=True)) as ledger:
        ledger.enter(folder)
        return ledger.done(settings)
