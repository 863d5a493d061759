"""One picture given to several subjects: in training and in validation, it makes a network look better than it is."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow


def check_copies(table: str, rows: Iterable[HipRow]) -> None:
    """Look for stored regions that are the same, whatever the film's file was called or its header said.

    Only files of equal size are read. Regions are written by one encoder, so equal pixels are equal bytes.

    Raises:
        TableError: two subjects have the same one; which of them it shows, and so its DEXA, is not known.
    """
    sizes: dict[int, list[HipRow]] = defaultdict(list)
    for row in rows:
        if row.film_path.is_file():  # a missing one is said where it is read
            sizes[row.film_path.stat().st_size].append(row)
    for some in sizes.values():
        if len({row.subject for row in some}) > 1:
            _check_equal_sizes(table, some)


def _check_equal_sizes(table: str, rows: Iterable[HipRow]) -> None:
    known: dict[bytes, HipRow] = {}
    for row in rows:
        first = known.setdefault(hashlib.sha256(row.film_path.read_bytes()).digest(), row)
        if first.subject != row.subject:
            raise TableError(
                f"{table}: {_named(first)} and {_named(row)} show the same pixels: give them to one subject, or leave"
                " both out"
            )


def _named(row: HipRow) -> str:
    return f"row {row.table_row} (subject {row.subject}, side {row.side}, split {row.split})"
