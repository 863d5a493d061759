"""The size of a hip, head center to lesser trochanter, where a film table or a film's report has the landmarks."""

import math
from collections.abc import Sequence

import numpy as np

from bmd_edge.report.film_report import FilmReport, HipReport
from bmd_edge.table.film_table import HipRow

_HEAD, _LESSER = "head_center", "lesser_trochanter"


def size_in_table_mm(row: HipRow) -> float:
    """From the columns `x_head_center_x` ... and `x_spacing_mm`, in mm; NaN where there are none."""
    head, lesser = ([_or_nan(row.extra.get(f"x_{name}_{axis}")) for axis in "xy"] for name in (_HEAD, _LESSER))
    return _distance(head, lesser, (_or_nan(row.extra.get("x_spacing_mm")),) * 2)


def size_on_film_mm(hip: HipReport, report: FilmReport) -> float:
    """From the landmarks that were found, in mm at the hip; NaN where there are none."""
    head, lesser = hip.landmarks_px.get(_HEAD), hip.landmarks_px.get(_LESSER)
    return _distance(head, lesser, report.spacing_mm) if head and lesser and report.spacing_mm else math.nan


def _distance(a: Sequence[float], b: Sequence[float], spacing_mm: tuple[float, float]) -> float:
    """In mm, of two points (x, y) in pixels of `spacing_mm` (row, column)."""
    return float(np.hypot((a[0] - b[0]) * spacing_mm[1], (a[1] - b[1]) * spacing_mm[0]))


def _or_nan(value: str | None) -> float:
    return math.nan if value is None else float(value)
