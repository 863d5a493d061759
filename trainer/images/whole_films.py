"""Whole films of a film table as arrays in memory, and windows cut from them, in any place, size and attitude.

Pixels stay uint16 until a window is cut.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import grid_sample

from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.errors import TableError
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


Edges = NDArray[np.float64]
"""The exposed field of a film, convex: (k, 3) rows a, b, c of what holds inside, a x + b y <= c, in film pixels."""


@dataclass(frozen=True, slots=True)
class Window:
    """A square window of a film.

    The window's point d (x, y), in its pixels from its middle, lies at `center_px + matrix @ d` on the film; a matrix
    (2, 2) of negative determinant mirrors it. Beyond `edges` there is no film.
    """

    center_px: NDArray[np.float64]
    matrix: NDArray[np.float64]
    edges: Edges

    @property
    def mirrored(self) -> bool:
        """Whether it shows a left hip as a right one."""
        return bool(np.linalg.det(self.matrix) < 0)


def upright(step_px: float, mirrored: bool) -> NDArray[np.float64]:
    """The matrix of a window as the runtime has it: `step_px` film pixels per window pixel."""
    return np.diag([-step_px if mirrored else step_px, step_px])


def field_edges(box_px: tuple[float, float, float, float], angle_deg: float = 0.0) -> Edges:
    """The edges of a rectangle (left, top, right, bottom) that is turned clockwise (y down) about its middle."""
    left, top, right, bottom = box_px
    radians = np.deg2rad(angle_deg)
    across = np.array([np.cos(radians), np.sin(radians)])
    down = np.array([-across[1], across[0]])
    middle = np.array([left + right, top + bottom]) / 2
    normals = np.stack([across, -across, down, -down])
    half = np.array([right - left, right - left, bottom - top, bottom - top]) / 2
    return np.column_stack([normals, normals @ middle + half])


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

    Blocks of film pixels are averaged where a window pixel covers several, then a linear interpolation moves, scales
    and turns all at once: at whole steps the same as the area average that the runtime takes.

    Returns:
        (size, size) float32, 0..1 over the film's range, NaN outside the field; and the right hip, or the left one in a
        mirrored window, with its landmarks in the window's pixels (NaN outside field or window), None if absent.
    """
    steps = np.arange(size, dtype=np.float64) + (0.5 - size / 2)
    region = _sampled(film.pixels, window, steps)
    for a, b, c in window.edges:
        across, down = np.array([a, b]) @ window.matrix
        beyond = across * steps + (down * steps + np.dot((a, b), window.center_px))[:, None] > c
        region[beyond] = np.nan
    hip = film.hips.get("L" if window.mirrored else "R")
    return region, None if hip is None else HipTarget(hip.side, hip.kind, _seen(hip.landmarks_px, window, size))


def _sampled(pixels: NDArray[np.uint16], window: Window, steps: NDArray[np.float64]) -> NDArray[np.float32]:
    """What lies at the window's pixels, `steps` from its middle along both axes; the film's edge goes on beyond it."""
    block = max(1, round(float(np.sqrt(abs(np.linalg.det(window.matrix))))))
    rows, columns = (max(1, side // block) for side in pixels.shape)
    parts = [pixels[i : rows * block : block, j : columns * block : block] for i in range(block) for j in range(block)]
    means = parts[0].astype(np.float32)
    for part in parts[1:]:
        means += part
    unit = 2 / (block * np.array([columns, rows]))
    (xx, xy), (yx, yy) = window.matrix * unit[:, None]
    x0, y0 = window.center_px * unit - 1
    grid = np.empty((1, len(steps), len(steps), 2), np.float32)
    grid[0, ..., 0] = xx * steps + (xy * steps + x0)[:, None]
    grid[0, ..., 1] = yx * steps + (yy * steps + y0)[:, None]
    sampled = grid_sample(
        torch.from_numpy(means)[None, None], torch.from_numpy(grid), padding_mode="border", align_corners=False
    )
    region: NDArray[np.float32] = sampled[0, 0].numpy()
    region /= FULL_SCALE * block**2
    return region


def _seen(points_px: NDArray[np.float64], window: Window, size: int) -> NDArray[np.float64]:
    """Landmarks of the film in the window's pixels, NaN where they lie outside."""
    points: NDArray[np.float64] = (points_px - window.center_px) @ np.linalg.inv(window.matrix).T + size / 2
    with np.errstate(invalid="ignore"):
        points[(points_px @ window.edges[:, :2].T > window.edges[:, 2]).any(1)] = np.nan
        points[((points < 0) | (points >= size)).any(1)] = np.nan
    return points


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
