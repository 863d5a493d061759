"""A cohort to practise on: DICOM films that `calibrate` and `validate` both take, each its own subjects."""

from dataclasses import replace
from pathlib import Path

from bmd_edge.errors import UsageError, none_of
from bmd_edge.table.film_table import read_table, write_table

SPLITS = ("test", "calibrate")


def check_split(split: str) -> None:
    """UsageError for another split: what learns from films of the phantom has regions."""
    if split not in SPLITS:
        raise UsageError(f"--split: DICOM films are of none such, {none_of(split, SPLITS)}")


def share_out(table: Path, split: str) -> None:
    """Put every second subject of the DICOM films of a cohort's table into `split`; the others stay in `test`."""
    if split == "test":
        return
    rows = read_table(table)
    subjects = sorted({row.subject for row in rows if row.extra.get("x_image") == "dicom"})
    moved = set(subjects[::2])
    write_table(table, [replace(row, split=split) if row.subject in moved else row for row in rows])
