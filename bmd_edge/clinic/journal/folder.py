"""Files of the watched folder in the journal: each is looked at once, until its size or a time of it changes."""

from collections.abc import Iterable

from bmd_edge.clinic.journal.store import Journal

Stamp = tuple[int, int, int]
"""Size in bytes, time of modification and time of change, in ns."""


def looked_at(journal: Journal) -> dict[str, Stamp]:
    """Keyed hash of a path -> the stamp with which the file was looked at."""
    rows = journal.rows("SELECT * FROM folder_file")
    return {row["place"]: (row["size"], row["mtime_ns"], row["changed_ns"]) for row in rows}


def look(journal: Journal, place: str, stamp: Stamp) -> None:
    """A file was taken, or refused for good."""
    with journal.change() as db:
        db.execute("INSERT OR REPLACE INTO folder_file VALUES (?, ?, ?, ?)", (place, *stamp))


def forget(journal: Journal, places: Iterable[str]) -> None:
    """Files that are not there now."""
    with journal.change() as db:
        db.executemany("DELETE FROM folder_file WHERE place=?", [(place,) for place in places])
