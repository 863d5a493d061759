"""Film table and PNGs to arrays in memory, and windows cut from them by the runtime's own preprocessing.

Pixels stay uint16 until a window is cut: 2,000 ROIs take 260 MB. Windows of films go through
`bmd_edge.film.area_average.resample`, ROIs through block means, which are the same, and all through
`bmd_edge.bundle.network_input.normalize`: training sees what the runtime will show.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.bundle.network_input import BMD, normalize
from bmd_edge.errors import TableError
from bmd_edge.film.area_average import resample
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import hologic_gcm2
from bmd_edge.table.film_table import HipRow, read_table

UNCLASSED = ("cut_off", "poor_exposure")
"""Kinds of hip that the runtime tells from landmarks or gray levels, not by class."""

MIN_LABELS = 20
"""Labelled hips below which a correlation on the validation split, or a label SD, means nothing."""

NO_UNLABELLED = (
    "no hip of the split unlabelled; add films without DEXA, or train a recipe that needs none, such as"
    " adaptive_triplet"
)
"""What is said of a table that a semi-supervised method cannot learn from."""

_FULL = np.float32(65535.0)


ROI_PX, ROI_SPACING_MM = 256, 0.65
"""A stored ROI: 166.4 mm, so with room around the network's window for shifts and scale."""
ROI_BLOCK = round(BMD.spacing_mm / ROI_SPACING_MM)
"""Stored pixels per pixel of the network: moved windows are cut from the finer ones and stay as sharp as in use."""


@dataclass(frozen=True, slots=True)
class Rois:
    """Regions of interest.

    pixels (n, 256, 256) uint16 at `ROI_SPACING_MM`, bone bright, canonical side, the ROI's center in the middle, 0 only
    outside the film; labels_gcm2 (n, 2) float32 in the order of `SITES`, NaN where unlabelled; rows as in the film
    table.
    """

    pixels: NDArray[np.uint16]
    labels_gcm2: NDArray[np.float32]
    rows: tuple[HipRow, ...]


@dataclass(frozen=True, slots=True)
class HipTarget:
    """What the finder has to say of one hip: `landmarks_px` (6, 2) in the film's pixels, NaN where not visible."""

    side: str
    kind: str
    landmarks_px: NDArray[np.float64]

    @property
    def center_px(self) -> NDArray[np.float64]:
        """(x, y) of the ROI's center, NaN when head or lesser trochanter are not visible."""
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


def read_png(row: HipRow) -> NDArray[np.uint16]:
    """(rows, cols) uint16 pixels of the row's 16-bit PNG.

    Raises:
        TableError: missing, unreadable or not 16-bit gray.
    """
    try:
        with Image.open(row.film_path) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise TableError(f"film {row.film}: cannot be read as PNG ({type(error).__name__})") from error
    if pixels.ndim != 2 or pixels.dtype not in (np.uint16, np.int32):
        raise TableError(f"film {row.film}: not a 16-bit gray PNG")
    return pixels.astype(np.uint16)


def read_rois(rows: Iterable[HipRow], labelled: bool = True) -> Rois:
    """Load regions of interest.

    Raises:
        TableError: a film is missing or broken, or a row that has to be `labelled` has no label at all.
    """
    rows = tuple(rows)
    labels = np.array([[_label(row, site) for site in SITES] for row in rows], np.float32)
    for row, label in zip(rows, labels, strict=True):
        if labelled and not np.isfinite(label).any():
            raise TableError(f"film {row.film}: no BMD; a row of the split {row.split} needs one")
    pixels = np.empty((len(rows), ROI_PX, ROI_PX), np.uint16)
    for place, row in zip(pixels, rows, strict=True):
        one, spacing_mm = read_png(row), number(row, "x_spacing_mm")
        if one.shape != place.shape or abs(spacing_mm - ROI_SPACING_MM) > 1e-6:
            raise TableError(
                f"film {row.film}: an ROI has {ROI_PX} x {ROI_PX} pixels of {ROI_SPACING_MM} mm, this one has"
                f" {one.shape[0]} x {one.shape[1]} of {spacing_mm:g} mm"
            )
        place[:] = one
    return Rois(pixels, labels, rows)


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


def floats(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """ROI pixels as float32 0..1, NaN outside the film."""
    shown = pixels.astype(np.float32) / _FULL
    shown[pixels == 0] = np.nan
    return shown


def roi_image(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """One stored ROI (256, 256) as the runtime would show it to the network: (1, 112, 112) float32, 0..1."""
    edge = (ROI_PX - ROI_BLOCK * BMD.size_px) // 2
    middle = floats(pixels[edge:-edge, edge:-edge])
    return normalize(middle.reshape(BMD.size_px, ROI_BLOCK, BMD.size_px, ROI_BLOCK).mean((1, 3)), BMD)


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
        resample(film.pixels[top:bottom, left:right], x0 - left, y0 - top, 2 * half, 2 * half, (size, size)) / _FULL
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


def split_by_subject(rows: Iterable[HipRow]) -> dict[str, list[str]]:
    """Subjects of each split, sorted: what the run folder keeps as `split.json`."""
    subjects: dict[str, set[str]] = {}
    for row in rows:
        subjects.setdefault(row.split, set()).add(row.subject)
    return {split: sorted(names) for split, names in sorted(subjects.items())}


def _label(row: HipRow, site: str) -> float:
    value = hologic_gcm2(row)[site]
    return np.nan if value is None else value


def number(row: HipRow, column: str) -> float:
    """The number above 0 in a further column of a row; TableError if it holds none."""
    text = row.extra.get(column, "")
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not 0 < value < np.inf:
        raise TableError(f"film {row.film}, column {column}: {text!r} is not a number above 0")
    return value


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
