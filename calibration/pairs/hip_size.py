"""The size of a hip, head center to lesser trochanter, of a film table, or of landmarks that were found on a film."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow
from bmd_edge.table.spreadsheet import decimal

SIZE = "x_hip_size_mm"
"""Column of a film table: the size itself, in mm at the hip; of DICOM films it is taken from what the finder finds."""

_HEAD, _LESSER = "head_center", "lesser_trochanter"


def size_in_table_mm(row: HipRow) -> float:
    """From the column `SIZE`, else from `x_head_center_x` ... and `x_spacing_mm`, in mm; NaN where there are none.

    TableError: a cell is no number.
    """
    if SIZE in row.extra:
        return _number(row, SIZE)
    head, lesser = ([_number(row, f"x_{name}_{axis}") for axis in "xy"] for name in (_HEAD, _LESSER))
    return _distance(head, lesser, (_number(row, "x_spacing_mm"),) * 2)


def size_on_film_mm(landmarks_px: Mapping[str, tuple[float, float]], spacing_mm: tuple[float, float] | None) -> float:
    """From landmarks in pixels of `spacing_mm` (row, column), in mm at the hip; NaN where there are none."""
    head, lesser = landmarks_px.get(_HEAD), landmarks_px.get(_LESSER)
    return _distance(head, lesser, spacing_mm) if head and lesser and spacing_mm else math.nan


def _distance(a: Sequence[float], b: Sequence[float], spacing_mm: tuple[float, float]) -> float:
    """In mm, of two points (x, y) in pixels of `spacing_mm` (row, column)."""
    return float(np.hypot((a[0] - b[0]) * spacing_mm[1], (a[1] - b[1]) * spacing_mm[0]))


def _number(row: HipRow, column: str) -> float:
    text = row.extra.get(column)
    try:
        return math.nan if text is None else decimal(text)
    except ValueError as error:
        raise TableError(f"film {row.film}, column {column}: {text!r} is no number") from error
