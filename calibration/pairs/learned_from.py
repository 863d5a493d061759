"""What a bundle has learned from: subjects and films that must not judge it.

Run folders name their subjects; film tables name subjects and films, films by the hash of their bytes.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bmd_edge.errors import TableError
from bmd_edge.film.film import film_id
from bmd_edge.table.film_table import HipRow, read_table


@dataclass(frozen=True, slots=True)
class Known:
    """Subjects and films (film_id) that the bundle or a recalibration has learned from; `unread` films are gone."""

    subjects: frozenset[str] = frozenset()
    films: frozenset[str] = frozenset()
    unread: int = 0

    def joined(self, other: "Known") -> "Known":
        """Both together."""
        return Known(self.subjects | other.subjects, self.films | other.films, self.unread + other.unread)


def read_known(paths: Iterable[Path]) -> Known:
    """What run folders (`split.json`) and film tables (every row but those of the split test) say was learned from.

    Raises:
        TableError: a path is neither.
    """
    known = Known()
    for path in paths:
        if (path / "split.json").is_file():
            splits = json.loads((path / "split.json").read_text(encoding="utf-8"))
            known = known.joined(Known(frozenset(name for names in splits.values() for name in names)))
        elif path.is_file():
            known = known.joined(known_rows(row for row in read_table(path) if row.split != "test"))
        else:
            raise TableError(f"{path.name}: neither a film table nor the folder of a training run")
    return known


def known_rows(rows: Iterable[HipRow]) -> Known:
    """Subjects and films of rows of a table; films are named by the hash of their bytes."""
    rows = list(rows)
    paths = {row.film: row.film_path for row in rows}
    films = {name: film_id(path.read_bytes()) for name, path in paths.items() if path.is_file()}
    return Known(frozenset(row.subject for row in rows), frozenset(films.values()), len(paths) - len(films))
