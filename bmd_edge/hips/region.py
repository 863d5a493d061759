"""A hip and its region of interest: the square on the film, and the image of it that the BMD network takes."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.network_input import InputSpec, normalize
from bmd_edge.film.film import Film
from bmd_edge.hips.landmarks import HEAD, LESSER, Points

SCALES = (0.95, 1.0, 1.05)
"""The sides at which a hip is looked at and measured, in units of the one asked for. Pixel size and magnification are
never known better: the assumed magnification is 1.15 +- 0.05, a stated one is the maker's guess of the patient."""


_GRID_MM = 0.1
"""Where a region may lie: processors differ in the last digits of a landmark, and INT8 turns these into the fourth of
an estimate."""


@dataclass(frozen=True, slots=True)
class Hip:
    """One intact adult AP hip on a film.

    `side` is the patient's ("R" or "L"), from the anatomy. `landmarks_px` maps each of `LANDMARKS` to (x, y) and
    `box_px` is (left, top, width, height) of the region of interest, both in stored-image pixels; the top-left corner
    of the film is (0, 0) (PS3.3 C.18.6). `score` is the mean heat-map peak of the core landmarks, 0..1. `region`, where
    it is known, is the film at `box_px`, so that it need not be cut again.
    """

    side: str
    landmarks_px: dict[str, tuple[float, float]]
    box_px: tuple[float, float, float, float]
    flags: tuple[str, ...]
    score: float
    region: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)


def hip_image(film: Film, hip: Hip, spec: InputSpec, scale: float = 1.0) -> NDArray[np.float32]:
    """The region of interest as the BMD network takes it: (1, size, size) float32, 0..1, mirrored to a right hip.

    `spec` is the bundle's input "bmd", the one that `hip` was found with; the region is `scale` times as wide and high.
    """
    left, top, width, height = hip.box_px
    box = (left - (scale - 1) / 2 * width, top - (scale - 1) / 2 * height, scale * width, scale * height)
    shape = spec.size_px, spec.size_px
    region = hip.region if scale == 1 else None
    if region is None or region.shape != shape:
        region = film.region(*box, shape=shape)
    return normalize(region[:, ::-1] if hip.side == "L" else region, spec)


def roi_box(points_px: Points, spacing_mm: tuple[float, float], side_mm: float) -> tuple[float, float, float, float]:
    """The square around the midpoint of head center and lesser trochanter, to a tenth of a millimeter.

    Args:
        points_px: (6, 2) landmarks, (x, y) in pixels.
        spacing_mm: (row, column) spacing of these pixels, mm at the hip.
        side_mm: side of the square, mm at the hip.

    Returns:
        (left, top, width, height) in pixels; it may reach beyond the film.
    """
    per_step = _GRID_MM / np.array([spacing_mm[1], spacing_mm[0]])
    x, y = np.round((points_px[HEAD] + points_px[LESSER]) / 2 / per_step) * per_step
    width, height = side_mm / spacing_mm[1], side_mm / spacing_mm[0]
    return (float(x - width / 2), float(y - height / 2), width, height)
