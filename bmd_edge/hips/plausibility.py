"""Every reason to refuse a found hip, and the flags beside one that is measured.

Refusal rests first on checks that need no examples of bad films: the peaks of the heat maps, the agreement of the two
looks, the size and shape of the six landmarks, the distance of the embedding from those of training films. Why a hip
fails them is named only where the network's class head is sure of it; else the hip is in doubt, `not_measurable`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import KINDS, Plausibility
from bmd_edge.film.film import Film
from bmd_edge.hips.class_head import SURE_CLOSE_UP, named
from bmd_edge.hips.hidden import END, Box, hidden_flags, levels
from bmd_edge.hips.landmarks import (
    CORE,
    DISTAL,
    HEAD,
    LESSER,
    NECK,
    PROXIMAL,
    Look,
    Points,
    canonical,
    log_odds,
    shape_of,
    to_mm,
)  # fmt: skip
from bmd_edge.hips.region import SCALES

HEAD_TO_LESSER_MM = (35.0, 95.0)
"""Head center to lesser trochanter of an adult, with room for small ones and for a wrong magnification."""

# By how much one look at a hip may pass a limit that all of them together keep: twice the SD of one look around the
# merged one, of 600 looks at phantom hips (`python -m export.proofs.steady_verdict` measures it anew). Log-odds; of
# distances the factor.
INTACT_SLACK, PEAK_SLACK = 0.29, 0.11
SHAPE_SLACK, EMBEDDING_SLACK = 1.15, 1.28

# Where the shaft may lie, given the rest of the hip, as a Mahalanobis distance; a second look at what the class head
# judges. Of 199 intact phantom hips none lies beyond, of as many whose film was cut through the shaft and displaced 106
# (`python -m export.proofs.steady_verdict --n 200`).
MAX_SHAFT_DISTANCE = 3.5

# No implant, other view or growing hip is ever likely of a sound one.
MOST_OTHER = 0.2
_OTHERS = [KINDS.index(name) for name in ("implant", "wrong_view", "immature")]

_MIN_SHAFT_MM = 15.0  # the total hip needs the shaft to about 12 mm below the lesser trochanter
_SHORT_SHAFT_MM = 35.0
_SHAFT = 6  # where a shape's numbers of the shaft begin
_MIN_CONTRAST = 0.08
_MAX_OUTSIDE = 0.20  # share of the region beyond the film
_MAX_MASKED = 0.4  # share of the region under a display shutter
_MAX_SATURATED = 0.35  # share of the region inside the film
_MIN_RANGE = 0.02  # of what lies between the film's own black and white: five levels of 256, which show noise


def objection(film: Film, numbers: Plausibility, first: Look, look: Look) -> str | None:
    """The code of the first reason to refuse a hip, from the survey and the merged close-up; None without one."""
    reason = named(look.kind, SURE_CLOSE_UP, film.age_years) or "not_measurable"
    if look.kind[0] < numbers.min_intact or look.score < numbers.min_peak or look.kind[_OTHERS].max() > MOST_OTHER:
        return reason
    if first.kind[0] < numbers.min_survey_intact:  # it shows more of the shaft
        return reason
    points_mm = to_mm(film, look.points_px)
    if _incomplete(film, numbers, look):
        return "cut_off"
    if not HEAD_TO_LESSER_MM[0] <= _head_to_lesser_mm(points_mm) <= HEAD_TO_LESSER_MM[1]:
        return "implausible_scale"
    if points_mm[DISTAL, 1] - points_mm[LESSER, 1] < _MIN_SHAFT_MM:
        return "cut_off"
    moved_mm = np.hypot(*(points_mm - to_mm(film, first.points_px))[CORE].T)
    if np.median(moved_mm) > numbers.max_disagreement_mm:
        return reason
    if shape_distance(numbers, points_mm) > numbers.max_shape_distance:
        return reason
    if shaft_distance(numbers, points_mm) > MAX_SHAFT_DISTANCE:
        return reason
    return reason if embedding_distance(numbers, look) > numbers.max_embedding_distance else None


def doubt(film: Film, numbers: Plausibility, looks: Sequence[Look]) -> str | None:
    """`not_measurable` where a look at one of `SCALES` clearly fails a check that all of them together pass.

    The looks are at one hip: each may pass a limit by as much as such looks differ, so that a verdict near a limit is
    theirs together. A size that is implausible at one of the scales is a doubt too.
    """
    together = np.median([look.points_px for look in looks], axis=0)
    astray = any(_astray(film, numbers, together, look) for look in looks)
    sizes = [_head_to_lesser_mm(to_mm(film, together)) / scale for scale in SCALES]
    unsure = min(sizes) < HEAD_TO_LESSER_MM[0] or max(sizes) > HEAD_TO_LESSER_MM[1]
    return "not_measurable" if astray or unsure else None


def _astray(film: Film, numbers: Plausibility, together_px: Points, look: Look) -> bool:
    points_mm = to_mm(film, look.points_px)
    apart_mm = np.hypot(*(points_mm - to_mm(film, together_px))[CORE].T)
    intact, peak = log_odds(np.array([look.kind[0], look.score]))
    least_intact, least_peak = log_odds(np.array([numbers.min_intact, numbers.min_peak]))
    return bool(
        intact < least_intact - INTACT_SLACK
        or peak < least_peak - PEAK_SLACK
        or np.median(apart_mm) > numbers.max_disagreement_mm
        or shape_distance(numbers, points_mm) > SHAPE_SLACK * numbers.max_shape_distance
        or embedding_distance(numbers, look) > EMBEDDING_SLACK * numbers.max_embedding_distance
    )


def _head_to_lesser_mm(points_mm: Points) -> float:
    return float(np.hypot(*(points_mm[LESSER] - points_mm[HEAD])))


def shape_distance(numbers: Plausibility, points_mm: Points) -> float:
    """Mahalanobis distance of landmarks (6, 2) in mm from the shapes of intact hips."""
    return _mahalanobis(shape_of(canonical(points_mm)), numbers.shape_mean, numbers.shape_precision)


def shaft_distance(numbers: Plausibility, points_mm: Points) -> float:
    """How far the shaft's landmarks lie from where those of intact hips do that are alike above it.

    Mahalanobis distance of the last two of the landmarks (6, 2) in mm, given the others, from mean m and precision P of
    shapes: of r = x - m + inverse(P_ss) P_so (y - n), where x and m are the shaft's part, y and n the others'.
    """
    offset = shape_of(canonical(points_mm)) - np.array(numbers.shape_mean)
    precision = np.array(numbers.shape_precision)
    shaft, others = slice(_SHAFT, None), slice(0, _SHAFT)
    expected = -np.linalg.solve(precision[shaft, shaft], precision[shaft, others] @ offset[others])
    return _mahalanobis(offset[shaft], tuple(expected.tolist()), precision[shaft, shaft])


def embedding_distance(numbers: Plausibility, look: Look) -> float:
    """Mahalanobis distance of a look's embedding from those of training films."""
    return _mahalanobis(look.embedding, numbers.embedding_mean, numbers.embedding_precision)


def _incomplete(film: Film, numbers: Plausibility, look: Look) -> bool:
    """A landmark that the region of interest stands on is missing or outside the film."""
    rows, columns = film.shape
    core = look.points_px[CORE]
    outside = (core < 0) | (core > (columns, rows))
    return bool(outside.any() or (look.peaks[CORE] < numbers.min_peak / 2).any())


def _mahalanobis(value: Points, mean: Sequence[float], precision: Points | tuple[tuple[float, ...], ...]) -> float:
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


def dark_bone(points_px: Points, box_px: Box, region: NDArray[np.float32]) -> bool:
    """Whether a hip is darker than its surroundings: a film whose black and white are exchanged, whatever it says.

    The median along head, neck and shaft, landmarks (6, 2) in pixels of the film, against that of the region (h, w) in
    the box.
    """
    left, top, width, height = box_px
    axis = points_px[[HEAD, NECK, LESSER, PROXIMAL, DISTAL]]
    along = np.linspace(0, len(axis) - 1, 33)
    x, y = (np.interp(along, np.arange(len(axis)), values) for values in axis.T)
    rows, columns = (
        ((y - top) / height * region.shape[0]).astype(int),
        ((x - left) / width * region.shape[1]).astype(int),
    )
    seen = (rows >= 0) & (rows < region.shape[0]) & (columns >= 0) & (columns < region.shape[1])
    return bool(np.nanmedian(region[rows[seen], columns[seen]]) < np.nanmedian(region))


def hip_flags(
    film: Film, numbers: Plausibility, side: str, look: Look, box_px: Box, region: NDArray[np.float32]
) -> tuple[str, ...]:
    """The flags of a hip, from its close-up and its region of interest (h, w)."""
    low, high = np.nanpercentile(levels(film, region), (5, 95))
    shaft_mm = to_mm(film, look.points_px[DISTAL : DISTAL + 1] - look.points_px[LESSER : LESSER + 1])[0, 1]
    cautions = {
        "perhaps_not_intact": look.kind[0] < numbers.flag_intact,
        "side_contradiction": film.side in ("R", "L") and film.side != side,
        "shaft_short": shaft_mm < _SHORT_SHAFT_MM,
        "low_contrast": high - low < _MIN_CONTRAST,
        "unlike_training_films": embedding_distance(numbers, look) > numbers.flag_embedding_distance,
        **hidden_flags(film, look.points_px, box_px, region),
    }
    return tuple(code for code, stands in cautions.items() if stands)
