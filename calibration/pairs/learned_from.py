"""What a bundle has learned from: subjects and films that must not judge it.

Run folders name their subjects; film tables name subjects and films, films by the hash of their bytes.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bmd_edge.errors import TableError
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.workers import Crew
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
    """Subjects and films of rows of a table; films are named by the hash of their bytes.

    A film that cannot be read, or not in time, counts as `unread`.
    """
    rows = list(rows)
    paths = {row.film: row.film_path for row in rows}
    jobs = [FilmJob(os.fsencode(os.path.realpath(path)), film) for film, path in paths.items() if path.is_file()]
    films = _film_ids(jobs) if jobs else []
    return Known(frozenset(row.subject for row in rows), frozenset(films), len(paths) - len(films))


def _film_ids(jobs: Iterable[FilmJob]) -> list[str]:
    """Named by workers: a file whose read never returns would hold up this process for good."""
    with Crew(cast(Any, _Namer)) as crew:
        return [name for _, name in crew.film_ids(jobs) if name]


class _Namer:
    """What a worker opens that only names films, in the place of a screener: no network."""

    setup = "names films"
