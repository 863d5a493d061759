"""What of a hip's region shows no bone: levels cut off by a window, the beam's edge, labels, a display shutter."""

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.network_input import constant_areas
from bmd_edge.film.film import Film
from bmd_edge.hips.landmarks import Points, to_mm

END = 0.002
"""Of what lies between a film's own black and white: half a level of 256. Nearer to an end, gray is lost."""

# Pairs of landmarks between which there is bone on this much of either side; the cortex of the shaft is farther out
_BONE, _BONE_MM = ((0, 1), (1, 2), (1, 4), (4, 5)), 12.0
# From the trochanter down the shaft: skin is farther away, so that what is black here is not air
_LATERAL, _SKIN_MM = ((2, 4), (4, 5)), 20.0
_CLIPPED, _MAX_CLIPPED = 0.03, 0.4  # share of the bone
_COVERED = 0.01  # share of the region

Box = tuple[float, float, float, float]


def levels(film: Film, region: NDArray[np.float32]) -> NDArray[np.float32]:
    """A region with the film's black at 0 and its white at 1."""
    return (region - np.float32(film.black)) / np.float32(max(film.white - film.black, 1e-6))


def hidden_objection(film: Film, points_px: Points, box_px: Box, region: NDArray[np.float32]) -> str | None:
    """`cut_off` where the display shutter hides bone of a region (h, w), `clipped` where too much of it is white."""
    if film.shutter and np.isnan(region[_bone(film, points_px, box_px, region)]).mean() > _CLIPPED:
        return "cut_off"
    return "clipped" if clipped_share(film, points_px, box_px, region) > _MAX_CLIPPED else None


def clipped_share(film: Film, points_px: Points, box_px: Box, region: NDArray[np.float32]) -> float:
    """The share of the bone between the landmarks that lies at the film's white, 0..1."""
    bone = levels(film, region)[_bone(film, points_px, box_px, region)]
    return float((bone >= 1 - END).mean())  # NaN is not


def _bone(film: Film, points_px: Points, box_px: Box, region: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of a region in which there is bone, for sure; never none, as the region lies around the landmarks."""
    return _distance_mm(film, points_px, box_px, region.shape, _BONE) < _BONE_MM


def hidden_flags(film: Film, points_px: Points, box_px: Box, region: NDArray[np.float32]) -> dict[str, bool]:
    """The flags of a region (h, w) that lies at `box_px`, and whether each stands."""
    clipped = clipped_share(film, points_px, box_px, region) > _CLIPPED
    level, flat = levels(film, region), constant_areas(region)
    near = _distance_mm(film, points_px, box_px, region.shape, _LATERAL) < _SKIN_MM
    # A black area may be air; any other level is that of something which was put there, as is black beside the shaft
    covered = flat & ((level > END) | near)
    return {
        "partly_clipped": clipped,
        "covered_region": not clipped and covered.mean() > _COVERED,
        "shutter_in_region": film.masks(*box_px, shape=region.shape) > _COVERED,
    }


def _distance_mm(
    film: Film, points_px: Points, box_px: Box, shape: tuple[int, ...], pairs: tuple[tuple[int, int], ...]
) -> NDArray[np.float64]:
    """From the pixels of a region to the nearest of the lines between pairs of landmarks, mm."""
    left, top, width, height = box_px
    row_mm, column_mm = film.spacing_mm
    x = column_mm * (left + width * (np.arange(shape[1]) + 0.5) / shape[1])
    y = row_mm * (top + height * (np.arange(shape[0]) + 0.5) / shape[0])[:, None]
    points = to_mm(film, points_px)
    nearest: NDArray[np.float64] = np.full((len(y), len(x)), np.inf)
    for a, b in pairs:
        along_x, along_y = points[b] - points[a]
        to_x, to_y = x - points[a, 0], y - points[a, 1]
        share = np.clip((to_x * along_x + to_y * along_y) / max(along_x**2 + along_y**2, 1e-9), 0.0, 1.0)
        np.minimum(nearest, (to_x - share * along_x) ** 2 + (to_y - share * along_y) ** 2, out=nearest)
    return np.sqrt(nearest, out=nearest)
