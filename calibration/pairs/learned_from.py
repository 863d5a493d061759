"""What a bundle has learned from: subjects and films that must not judge it.

Run folders name their subjects; film tables name subjects and films, films by the hash of their bytes.
"""

import json
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from bmd_edge.bundle.manifest import PHANTOM, Manifest
from bmd_edge.errors import TableError
from bmd_edge.measure.recalibration import RecalibrationFile
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.workers import Crew
from bmd_edge.system.own_files import mistaken
from bmd_edge.table.film_table import HipRow, read_table
from calibration.pairs.finding import Finding

CALIBRATE = "calibrate"
"""The split that a recalibration is fitted on."""


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
        if said := mistaken(path, "table", "run"):
            raise TableError(said)
        if (path / "split.json").is_file():
            splits = json.loads((path / "split.json").read_text(encoding="utf-8"))
            known = known.joined(Known(frozenset(name for names in splits.values() for name in names)))
        elif path.is_file():
            known = known.joined(known_rows(row for row in read_table(path) if row.split != "test"))
        else:
            what = "neither a film table nor the folder of a training" if path.exists() else "not there: check its name"
            raise TableError(f"--known {path.name}: {what}")
    return known


def by_bundle(manifest: Manifest, table_sha256: str, split: str, *, named: bool) -> list[Finding]:
    """What a bundle itself knows of the rows of a split that are to judge it: the hash of the film table that it was
    made with, no film and no subject; `named` says whether the user named what it has learned from.
    """
    films = manifest.provenance.calibration_films
    if films is None or manifest.validity.training_data == PHANTOM:
        return []
    if films.table_sha256 == table_sha256:
        sentence = (
            f"This bundle was made with this very table, and not with its split test: the films of the split {split}"
            " chose its weights, intervals or cuts, and say nothing of other films. Validate on the split test."
        )
        return [] if split == "test" else [Finding("table_of_the_bundle", "error", sentence)]
    sentence = (
        "Nobody named what this bundle has learned from, and it cannot tell by itself: name its training runs and film"
        " tables with --known, or films that it has seen count here."
    )
    return [] if named else [Finding("learned_from_not_named", "warning", sentence)]


def by_recalibration(file: RecalibrationFile, table_sha256: str, split: str, named: Collection[str]) -> list[Finding]:
    """What a recalibration knows of the rows of a split that are to judge it; `named` are the hashes of all tables that
    the user named.
    """
    if file.table_sha256 == table_sha256 and split == CALIBRATE:
        sentence = (
            f"The recalibration was fitted on these very films, the split {split} of this table: of course it agrees"
            " with them. Validate it on other subjects, in the split test."
        )
        return [Finding("table_of_the_recalibration", "error", sentence)]
    if file.table_sha256 not in named:
        sentence = "The recalibration was fitted on a table that is not named: name it with --known."
        return [Finding("recalibration_table_unknown", "warning", sentence)]
    return []


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
