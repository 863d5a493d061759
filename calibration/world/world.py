"""A bundle and several film tables, each synthetic, foreign or real -> one score of each, side by side."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.errors import TableError, UsageError, nearest
from bmd_edge.table.film_table import HipRow, read_table
from calibration.pairs import learned_from, table_checks
from calibration.pairs.answers import FilmAnswers, Progress, read_films
from calibration.pairs.finding import weight
from calibration.validate.validate import (
    ABOUT_BOOTSTRAP,
    about,
    about_table,
    of_split,
    primary_of,
    rounded,
)
from calibration.world import figures
from calibration.world.matching import HEAD, ScoredHip, match
from calibration.world.truth import Truth, not_read, truth_of, whole_films

SCHEMA = 1
WORLDS = ("synthetic", "foreign", "real")
"""Films of the project's own phantom; simulated elsewhere; of patients."""


@dataclass(frozen=True, slots=True)
class NamedTable:
    """A film table, which of `WORLDS` its films are of, and what the report calls it."""

    world: str
    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Scored:
    """A finished score: `facts` is the content of world.json, `hips` those of each table that figures are made of."""

    facts: dict[str, Any]
    hips: dict[str, list[ScoredHip]]


def named_tables(texts: Sequence[str]) -> list[NamedTable]:
    """Read `WORLD=TABLE` and `WORLD:NAME=TABLE`; without a name the world is the name.

    Raises:
        UsageError: another form or world, or two tables of one name.
    """
    tables = []
    for text in texts:
        head, equals, path = text.partition("=")
        world, _, name = head.partition(":")
        if not equals or not path or world not in WORLDS:
            near = "" if world in WORLDS else nearest(world, WORLDS)
            raise UsageError(
                f"{text!r}: say of what world the table's films are, WORLD=TABLE or WORLD:NAME=TABLE; WORLD is one of"
                f" {', '.join(WORLDS)}{near}"
            )
        tables.append(NamedTable(world, name or world, Path(path)))
    names = [table.name for table in tables]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two tables are called {twice[0]!r}: name them, as in {tables[0].world}:FIRST=TABLE")
    if not tables:
        raise UsageError(f"world needs film tables, each as WORLD=TABLE; WORLD is one of {', '.join(WORLDS)}")
    return tables


@dataclass(frozen=True, slots=True)
class TableRows:
    """A table as it was read: the rows to score, what is true of them, what its other rows make known, its facts."""

    rows: list[HipRow]
    truths: list[Truth]
    learned: learned_from.Known
    about: dict[str, Any]


def score(
    bundle: VerifiedBundle,
    tables: Sequence[NamedTable],
    *,
    split: str = "test",
    known: Sequence[Path] = (),
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Scored:
    """Read the films of all tables as `bmd-edge screen` does, and score each table for itself.

    Args:
        bundle: a verified bundle.
        tables: film tables of whole DICOM films; see `calibration.world.truth` for their columns.
        split: which rows; those of the others count as learned from.
        known: more film tables and run folders that the bundle has learned from.
        device: as `bmd_edge.Screener`.
        threads: worker processes; None for one per CPU.
        progress: called with films done and their number.

    Raises:
        TableError: a table is broken, or holds no row of the split.
        EngineError: the bundle cannot be run.
    """
    read = {table.name: read_rows(table, split) for table in tables}
    paths = {f"{name}/{row.film}": row.film_path for name, one in read.items() for row in one.rows}
    answers, device = read_films(bundle.root, paths, device, threads, progress)
    by_name = dict(zip(paths, answers, strict=True))
    primary = primary_of(device, answers[0].reports)
    elsewhere = learned_from.read_known(known)
    scored = {}
    for table in tables:
        one = read[table.name]
        films = [
            replace(by_name[f"{table.name}/{film}"], film=film) for film in dict.fromkeys(row.film for row in one.rows)
        ]
        scored[table.name] = score_table(table, one, films, one.learned.joined(elsewhere), primary)
    facts = {
        **about(bundle, device, primary),
        "schema": SCHEMA,
        "bootstrap": {**ABOUT_BOOTSTRAP, "least_subjects": figures.MIN_SUBJECTS},
        "worlds": [facts for facts, _ in scored.values()],
    }
    return Scored(rounded(facts), {name: hips for name, (_, hips) in scored.items()})


def read_rows(table: NamedTable, split: str) -> TableRows:
    """Read a table and the truth of its rows of the split; TableError as `score`, of the rows of other splits too."""
    everything = read_table(table.path)
    try:
        films = whole_films(everything)
        known = [truth_of(row) for row in films]
    except TableError as error:
        raise TableError(f"{table.path.name}: {error}") from error
    rows = of_split(table.path, films, split)
    truths = [truth for row, truth in zip(films, known, strict=True) if row.split == split]
    learned = learned_from.known_rows(row for row in everything if row.split != split)
    return TableRows(rows, truths, learned, about_table(table.path, rows, everything, split))


def score_table(
    table: NamedTable, one: TableRows, films: Sequence[FilmAnswers], learned: learned_from.Known, primary: str
) -> tuple[dict[str, Any], list[ScoredHip]]:
    """The facts of one table, and the hips they are made of."""
    by_head = any(HEAD in truth.landmarks_px for truth in one.truths)
    hips, rows, strays = [], [], 0
    for film in films:
        mine = [k for k, row in enumerate(one.rows) if row.film == film.film]
        matched, left = match([one.rows[k] for k in mine], [one.truths[k] for k in mine], film, primary, by_head)
        rows += [one.rows[k] for k in mine]
        hips += matched
        strays += left
    pairs = [hip.pair for hip in hips]
    checked = table_checks.examine(rows, pairs, learned, primary)
    found = [
        *not_read(rows),
        *checked.findings,
        *table_checks.contradictions(rows, pairs, films),
    ]
    if not one.about["labelled_hips"]:
        found = [finding for finding in found if finding.code != "few_subjects"]
    kept = [hip for hip in hips if (hip.pair.film, hip.pair.side) not in checked.left_out]
    return {
        "world": table.world,
        "name": table.name,
        "table": one.about,
        "matched_by": "head_center" if by_head else "side",
        "hips": len(kept),
        "left_out": len(hips) - len(kept),
        "statuses": figures.statuses(kept),
        "false_reads": {"hips": sum(hip.unfit for hip in kept), "read": sum(hip.unfit and hip.read for hip in kept)},
        "stray_numbers": strays,
        "wrong_side": sum(hip.wrong_side for hip in kept),
        "groups": figures.groups(kept, primary),
        "findings": [asdict(finding) for finding in sorted(found, key=weight)],
    }, kept
