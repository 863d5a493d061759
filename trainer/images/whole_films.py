"""Whole films of a film table as arrays in memory, and windows cut from them as the runtime cuts its own.

Pixels stay uint16 until a window is cut.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.errors import TableError
from bmd_edge.film.area_average import area_average
from bmd_edge.table.film_table import HipRow
from trainer.images.gray_png import FULL_SCALE, read_png
from trainer.images.rows import number

UNCLASSED = ("cut_off", "poor_exposure")
"""Kinds of hip that the runtime tells from landmarks or gray levels, not by class."""


@dataclass(frozen=True, slots=True)
class HipTarget:
    """What the finder has to say of one hip: `landmarks_px` (6, 2) in the film's pixels, NaN where not visible."""

    side: str
    kind: str
    landmarks_px: NDArray[np.float64]

    @property
    def center_px(self) -> NDArray[np.float64]:
        """(x, y) of the region's center, NaN when head or lesser trochanter are not visible."""
        middle: NDArray[np.float64] = self.landmarks_px[[0, 3]].mean(0)
        return middle


@dataclass(frozen=True, slots=True)
class TrainingFilm:
    """A whole film: pixels (rows, cols) uint16, bone bright, not mirrored; its hips by side, none if it shows none."""

    pixels: NDArray[np.uint16]
    spacing_mm: float
    row: HipRow
    hips: dict[str, HipTarget] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Window:
    """A square window of a film.

    `center_px` (x, y) and `step_px` (film pixels per window pixel) place it; `mirrored` flips it left to right;
    `crop_px` (left, top, right, bottom) is the part of the film that exists, in whole pixels.
    """

    center_px: tuple[float, float]
    step_px: float
    mirrored: bool
    crop_px: tuple[int, int, int, int]


def read_films(rows: Iterable[HipRow]) -> list[TrainingFilm]:
    """Load whole films; the rows of one film are its hips.

    Raises:
        TableError: a film is missing or broken, a kind is unknown, or an intact hip has no head or lesser trochanter.
    """
    by_film: dict[str, list[HipRow]] = {}
    for row in rows:
        by_film.setdefault(row.film, []).append(row)
    films = []
    for group in by_film.values():
        hips = {row.side: _hip_target(row) for row in group if row.extra.get("x_kind") != "not_a_hip"}
        films.append(TrainingFilm(read_png(group[0]), number(group[0], "x_spacing_mm"), group[0], hips))
    return films


def cut(film: TrainingFilm, window: Window, size: int) -> tuple[NDArray[np.float32], HipTarget | None]:
    """A window of a film and the hip that is canonical in it.

    Returns:
        (size, size) float32, 0..1 over the film's range, NaN outside the crop; and the right hip, or the left one in a
        mirrored window, with its landmarks in the window's pixels (NaN outside the crop or window), None if absent.
    """
    left, top, right, bottom = window.crop_px
    half = size * window.step_px / 2
    x0, y0 = window.center_px[0] - half, window.center_px[1] - half
    region = (
        area_average(film.pixels[top:bottom, left:right], x0 - left, y0 - top, 2 * half, 2 * half, (size, size))
        / FULL_SCALE
    )
    if window.mirrored:
        region = np.ascontiguousarray(region[:, ::-1])
    hip = film.hips.get("L" if window.mirrored else "R")
    if hip is None:
        return region, None
    points = hip.landmarks_px.copy()
    with np.errstate(invalid="ignore"):
        points[((points < (left, top)) | (points >= (right, bottom))).any(1)] = np.nan
        points = (points - (x0, y0)) / window.step_px
        if window.mirrored:
            points[:, 0] = size - points[:, 0]
        points[((points < 0) | (points >= size)).any(1)] = np.nan
    return region, HipTarget(hip.side, hip.kind, points)


def _hip_target(row: HipRow) -> HipTarget:
    kind = row.extra.get("x_kind", "")
    if kind not in KINDS + UNCLASSED:
        raise TableError(f"film {row.film}, column x_kind: {kind!r} is not one of {', '.join(KINDS + UNCLASSED)}")
    points = np.full((len(LANDMARKS), 2), np.nan)
    for index, name in enumerate(LANDMARKS):
        texts = [row.extra.get(f"x_{name}_{axis}", "") for axis in "xy"]
        if all(texts):
            try:
                points[index] = [float(text) for text in texts]
            except ValueError as error:
                raise TableError(f"film {row.film}, column x_{name}: {texts} are not numbers") from error
    target = HipTarget(row.side, kind, points)
    if kind == "intact" and not np.isfinite(target.center_px).all():
        raise TableError(f"film {row.film}: an intact hip needs head_center and lesser_trochanter")
    return target
