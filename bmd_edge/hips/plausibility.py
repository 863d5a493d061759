"""Every reason to refuse a found hip, and the flags beside one that is measured.

Refusal rests first on checks that need no examples of bad films: the peaks of the heat maps, the agreement of the two
looks, the size and shape of the six landmarks, the distance of the embedding from those of training films. Why a hip
fails them is named only where the network's class head is sure of it; else the hip is in doubt, `not_measurable`.
"""

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import Plausibility
from bmd_edge.film.film import Film
from bmd_edge.hips.class_head import SURE_CLOSE_UP, named
from bmd_edge.hips.hidden import END, Box, hidden_flags, levels
from bmd_edge.hips.landmarks import CORE, DISTAL, HEAD, LESSER, Look, Points, canonical, shape_of, to_mm

HEAD_TO_LESSER_MM = (40.0, 95.0)
"""Head center to lesser trochanter of an adult, with room for a wrong magnification."""

_MIN_SHAFT_MM = 15.0  # the total hip needs the shaft to about 12 mm below the lesser trochanter
_SHORT_SHAFT_MM = 35.0
_MIN_CONTRAST = 0.08
_MAX_OUTSIDE = 0.20  # share of the region beyond the film
_MAX_MASKED = 0.4  # share of the region under a display shutter
_MAX_SATURATED = 0.35  # share of the region inside the film
_MIN_RANGE = 0.02  # of what lies between the film's own black and white: five levels of 256, which show noise


def objection(film: Film, numbers: Plausibility, first: Look, look: Look) -> str | None:
    """The code of the first reason to refuse a hip, from what both looks gave; None where there is none."""
    reason = named(look.kind, SURE_CLOSE_UP, film.age_years) or "not_measurable"
    if look.kind[0] < numbers.min_intact or look.score < numbers.min_peak:
        return reason
    points_mm = to_mm(film, look.points_px)
    if _incomplete(film, numbers, look):
        return "cut_off"
    if not HEAD_TO_LESSER_MM[0] <= np.hypot(*(points_mm[LESSER] - points_mm[HEAD])) <= HEAD_TO_LESSER_MM[1]:
        return "implausible_scale"
    if points_mm[DISTAL, 1] - points_mm[LESSER, 1] < _MIN_SHAFT_MM:
        return "cut_off"
    moved_mm = np.hypot(*(points_mm - to_mm(film, first.points_px))[CORE].T)
    if np.median(moved_mm) > numbers.max_disagreement_mm:
        return reason
    shape = _mahalanobis(shape_of(canonical(points_mm)), numbers.shape_mean, numbers.shape_precision)
    if shape > numbers.max_shape_distance:
        return reason
    embedding = _mahalanobis(look.embedding, numbers.embedding_mean, numbers.embedding_precision)
    return reason if embedding > numbers.max_embedding_distance else None


def _incomplete(film: Film, numbers: Plausibility, look: Look) -> bool:
    """A landmark that the region of interest stands on is missing or outside the film."""
    rows, columns = film.shape
    core = look.points_px[CORE]
    outside = (core < 0) | (core > (columns, rows))
    return bool(outside.any() or (look.peaks[CORE] < numbers.min_peak / 2).any())


def _mahalanobis(value: Points, mean: tuple[float, ...], precision: tuple[tuple[float, ...], ...]) -> float:
    offset = value - np.array(mean)
    return float(np.sqrt(max(float(offset @ np.array(precision) @ offset), 0.0)))


def exposure_objection(film: Film, region: NDArray[np.float32], masked: float = 0.0) -> str | None:
    """`cut_off` or `poor_exposure` where a region (h, w) cannot be measured.

    `masked` is the share of it that may be missing beside what lies beyond the film: a shutter's, where it hides no
    bone.
    """
    inside = region[np.isfinite(region)]
    if inside.size < (1 - _MAX_OUTSIDE - min(masked, _MAX_MASKED)) * region.size:
        return "cut_off"
    level = levels(film, inside)
    if ((level <= END) | (level >= 1 - END)).mean() > _MAX_SATURATED or np.ptp(level) < _MIN_RANGE:
        return "poor_exposure"
    return None


def hip_flags(
    film: Film, numbers: Plausibility, side: str, look: Look, box_px: Box, region: NDArray[np.float32]
) -> tuple[str, ...]:
    """The flags of a hip, from its close-up and its region of interest (h, w)."""
    low, high = np.nanpercentile(levels(film, region), (5, 95))
    shaft_mm = to_mm(film, look.points_px[DISTAL : DISTAL + 1] - look.points_px[LESSER : LESSER + 1])[0, 1]
    embedding = _mahalanobis(look.embedding, numbers.embedding_mean, numbers.embedding_precision)
    cautions = {
        "side_contradiction": film.side in ("R", "L") and film.side != side,
        "shaft_short": shaft_mm < _SHORT_SHAFT_MM,
        "low_contrast": high - low < _MIN_CONTRAST,
        "unlike_training_films": embedding > numbers.flag_embedding_distance,
        **hidden_flags(film, look.points_px, box_px, region),
    }
    return tuple(code for code, stands in cautions.items() if stands)
