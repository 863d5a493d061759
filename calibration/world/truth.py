"""What a film table says of its hips beside their DEXA: status, landmarks, scale and style. Every column may be absent.

    x_status      `intact`: a number is right. `fracture`, `implant`, `immature`, `cut_off`, `wrong_view`, `not_a_hip`
                  (a film without a hip, in one row of any side): no number may stand. `hidden` (nobody can tell) and
                  `borderline`: number and refusal are both right. `unknown`: nobody has looked. Empty: intact beside a
                  DEXA, otherwise unknown.
    x_<landmark>_x_px, x_<landmark>_y_px
                  landmarks of the finder, e.g. x_head_center_x_px: stored pixels, the film's corner at (0, 0)
    x_mm_per_px   mm of one stored pixel, in which landmarks are judged; empty: the film's own pixel size at the hip
    x_style       how the film was processed

Cohorts of the digital phantom name them x_kind and x_cut_off, x_<landmark>_x, x_<landmark>_y, x_spacing_mm and
x_maker_style; of their rows only the whole DICOM films count (`x_image` is dicom).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.errors import TableError, nearest, none_of
from bmd_edge.table.film_table import KNOWN_FURTHER, HipRow
from bmd_edge.table.spreadsheet import decimal
from calibration.pairs.finding import Finding

INTACT, UNKNOWN = "intact", "unknown"
UNFIT = ("fracture", "implant", "immature", "cut_off", "wrong_view", "not_a_hip")
"""No number may stand on such a hip."""

EITHER = ("hidden", "borderline")
STATUSES = (INTACT, *UNFIT, *EITHER)

IMAGES = ("dicom", "film", "roi")
"""What `x_image` says of a row of the phantom: only the first is a whole film."""

_LANDMARK_COLUMN = re.compile(r"x_(\w+)_[xy]_px")
_COLUMNS = ("x_status", "x_mm_per_px", "x_style", *(f"x_{name}_{axis}_px" for name in LANDMARKS for axis in "xy"))
_PHANTOMS = (
    "x_kind", "x_cut_off", "x_spacing_mm", "x_maker_style", "x_image",
    *(f"x_{name}_{axis}" for name in LANDMARKS for axis in "xy"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Truth:
    """What is known of one hip; landmarks are (x, y) in stored pixels, the film's corner at (0, 0)."""

    status: str
    landmarks_px: dict[str, tuple[float, float]]
    mm_per_px: float | None
    style: str | None


def whole_films(rows: Iterable[HipRow]) -> list[HipRow]:
    """The rows that a bundle can read: a phantom's table also holds pictures for training.

    Raises:
        TableError: a row is of no known image.
    """
    kept = []
    for row in rows:
        if (image := row.extra.get("x_image", "dicom")) not in IMAGES:
            raise _broken(row, "x_image", none_of(image, IMAGES))
        if image == "dicom":
            kept.append(row)
    return kept


def not_read(rows: Iterable[HipRow]) -> list[Finding]:
    """Columns that are nearly one of this page, which no row has: what they say counts for nothing."""
    there = {column for row in rows for column in row.extra}
    lacking = [column for column in _COLUMNS if column not in there]
    others = sorted(there.difference(_COLUMNS, _PHANTOMS, KNOWN_FURTHER))
    return [
        Finding("column_not_read", "warning", f"Column {column} is not read{near}; if so, rename it.")
        for column in others
        if (near := nearest(column, lacking))
    ]


def truth_of(row: HipRow) -> Truth:
    """Read the columns of one row.

    Raises:
        TableError: an unknown status or landmark, half a landmark, or what is no number.
    """
    for column in row.extra:
        named = _LANDMARK_COLUMN.fullmatch(column)
        if named and named[1] not in LANDMARKS:
            raise TableError(f"column {column}: {none_of(named[1], LANDMARKS)}")
    landmarks = {name: point for name in LANDMARKS if (point := _point(row, name))}
    style = row.extra.get("x_style") or row.extra.get("x_maker_style")
    mm_per_px = _number(row, "x_mm_per_px", "x_spacing_mm")
    if mm_per_px is not None and mm_per_px <= 0:
        raise _broken(row, "x_mm_per_px", "must be above 0")
    return Truth(_status(row), landmarks, mm_per_px, style)


def _status(row: HipRow) -> str:
    known = any(value is not None for value in row.bmd_gcm2.values())
    phantom = "cut_off" if row.extra.get("x_cut_off") == "1" else row.extra.get("x_kind")
    status = row.extra.get("x_status") or phantom or (INTACT if known else UNKNOWN)
    if status not in (*STATUSES, UNKNOWN):
        raise _broken(row, "x_status" if "x_status" in row.extra else "x_kind", none_of(status, (*STATUSES, UNKNOWN)))
    return status


def _point(row: HipRow, name: str) -> tuple[float, float] | None:
    x, y = (_number(row, f"x_{name}_{axis}_px", f"x_{name}_{axis}") for axis in "xy")
    if x is None and y is None:
        return None
    if x is None or y is None:
        raise _broken(row, f"x_{name}_{'x' if x is None else 'y'}_px", "empty beside its other coordinate")
    return x, y


def _number(row: HipRow, column: str, phantoms: str) -> float | None:
    column = column if row.extra.get(column) else phantoms
    text = row.extra.get(column)
    if not text:
        return None
    try:
        value = decimal(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _broken(row, column, f"{text[:40]!r} is not a number")
    return value


def _broken(row: HipRow, column: str, what: str) -> TableError:
    return TableError(f"row {row.table_row} (film {row.film}, side {row.side}), column {column}: {what}")
