"""Rows of a film table: which of them a training reads, the numbers in their further columns, and their subjects."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow, read_table
from bmd_edge.table.spreadsheet import decimal

MIN_LABELS = 20
"""Labelled hips below which a correlation on the validation split, or a label SD, means nothing."""

NO_UNLABELLED = (
    "no hip of the split unlabelled; add films without DEXA, or train a recipe that needs none, such as"
    " adaptive_triplet"
)
"""What is said of a table that a semi-supervised method cannot learn from."""


def read_rows(table: Path | str, image: str, splits: Sequence[str]) -> list[HipRow]:
    """The table's rows of these splits whose `x_image` is "roi" or "film".

    Raises:
        TableError: the table is broken, or holds no such row.
    """
    rows = [row for row in read_table(table) if row.extra.get("x_image") == image and row.split in splits]
    if not rows:
        raise TableError(
            f"{Path(table).name}: no row has x_image = {image} and split = {' or '.join(splits)}; "
            "add films of it, or make a cohort with `bmd-edge phantom`"
        )
    return rows


def split_by_subject(rows: Iterable[HipRow]) -> dict[str, list[str]]:
    """Subjects of each split, sorted: what the run folder keeps as `split.json`."""
    subjects: dict[str, set[str]] = {}
    for row in rows:
        subjects.setdefault(row.split, set()).add(row.subject)
    return {split: sorted(names) for split, names in sorted(subjects.items())}


def number(row: HipRow, column: str) -> float:
    """The number above 0 in a further column of a row; TableError if it holds none."""
    text = row.extra.get(column, "")
    try:
        value = decimal(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise TableError(f"film {row.film}, column {column}: {text!r} is not a number above 0")
    return value
