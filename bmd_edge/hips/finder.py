"""Film and finder network to hips: two looks, and a hip or its refusal for each side that was found.

The finder is one network that knows right hips only (femoral head toward image right); left hips are found by showing
it the mirrored film. It looks twice: a *survey* of the whole film, then a *close-up* around what the survey found. The
close-up is made of several looks, at the pixel size as read and at its doubt to either side (`SCALES`): what they say
together hangs less on the third digit of a magnification, and a hip that one of them clearly refuses is a doubt.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import KINDS, LANDMARKS, Plausibility
from bmd_edge.bundle.network_input import InputSpec, normalize
from bmd_edge.engine.base import Engine
from bmd_edge.errors import FilmRefused, HipRefused
from bmd_edge.film.film import Film
from bmd_edge.hips.class_head import SURE_SURVEY, named
from bmd_edge.hips.hidden import hidden_objection
from bmd_edge.hips.landmarks import CORE, HEAD, Look, Points, merged, to_mm
from bmd_edge.hips.plausibility import dark_bone, doubt, exposure_objection, hip_flags, objection
from bmd_edge.hips.region import SCALES, Hip, roi_box

# Where no hip stands out, one of this share of the peak gets a close-up: it may be one, or tell the reason.
FAINT = 0.5

# Where both orientations put the landmarks nearer to each other than this (median), they saw one hip: the heads of an
# adult's two hips lie well above 100 mm apart.
_SAME_HIP_MM = 60.0

# From head center to head center of an adult, mm: 98 in 100 subjects of the phantom lie between.
_OTHER_HEAD_MM = (155.0, 210.0)
_OTHER_PX = 64  # of the square between, in which the other head would lie

Inputs = Mapping[str, InputSpec]
"""The inputs of a bundle's networks by name: "finder_survey", "finder_closeup" and "bmd" (`Bundle.inputs`)."""


def find_hips(film: Film, finder: Engine, inputs: Inputs, plausibility: Plausibility) -> list[Hip | HipRefused]:
    """Find the hips of a film, the patient's right one first.

    Args:
        film: the film as read.
        finder: engine with input `image` (n, 1, size, size) float32 and outputs `heatmaps` (n, 6, h, w) logits, `kind`
            (n, 6) logits, `embedding` (n, d).
        inputs: those of the same bundle, `Bundle.inputs`; the region of interest is as large as the input "bmd".
        plausibility: the numbers of the same bundle, `Bundle.manifest.plausibility`.

    Returns:
        One or two entries: a `Hip`, or the `HipRefused` that says why that hip gets no number. Where the film reaches
        over a second hip that was not found, its entry is `hip_not_found`, without landmarks.

    Raises:
        FilmRefused: `not_a_hip`, `turned_film` or another class when no hip was found at all.
    """
    surveys = survey(film, finder, inputs)
    found = [look.score >= plausibility.min_peak for look in surveys]
    if all(found) and _same_hip(film, *surveys):
        found[int(surveys[0].score > surveys[1].score)] = False
    if not any(found):
        best = int(surveys[1].score > surveys[0].score)
        if surveys[best].score < FAINT * plausibility.min_peak:
            raise FilmRefused(_turned_or(film, _film_reason(surveys, film.age_years)))
        found[best] = True
    hips: list[Hip | HipRefused] = []
    others = zip("LR", reversed(surveys), strict=True)
    for side, first, wanted, other in zip("RL", surveys, found, others, strict=True):
        if wanted:
            try:
                hips.append(_examine(film, finder, inputs, plausibility, side, first))
            except HipRefused as refusal:
                code = _turned_or(film, refusal.code)
                hips.append(HipRefused(code, refusal.detail, refusal.side, refusal.landmarks_px))
        elif _shows_other(film, *other):
            hips.append(HipRefused("hip_not_found", side=side))
    return hips


def survey(film: Film, finder: Engine, inputs: Inputs) -> list[Look]:
    """The first look, at the whole film: for the patient's right hip, and (mirrored) for the left one."""
    center = (film.shape[1] / 2, film.shape[0] / 2)
    spec = inputs["finder_survey"]
    return _look(film, finder, spec, [_frame(film, center, spec, side) for side in "RL"])


def settle_polarity(film: Film, finder: Engine, inputs: Inputs) -> Film:
    """The film, or the inverted one where the finder sees a hip more clearly on that: the picture decides.

    For films whose header contradicts itself on which end of the gray scale is white (`polarity_uncertain`).
    """
    return max(film, film.inverted(), key=lambda one: max(look.peaks.mean() for look in survey(one, finder, inputs)))


def close_up(film: Film, finder: Engine, inputs: Inputs, side: str, points_px: Points) -> list[Look]:
    """The second look, around landmarks (6, 2) in stored-image pixels that the first one found, at each of `SCALES`."""
    left, top, width, height = roi_box(points_px, film.spacing_mm, inputs["bmd"].side_mm)
    spec = inputs["finder_closeup"]
    center = (left + width / 2, top + height / 2)
    return _look(film, finder, spec, [_frame(film, center, spec, side, scale) for scale in SCALES])


def peaks_of(heatmaps: NDArray[np.float32], size_px: int) -> tuple[Points, NDArray[np.float64]]:
    """Heat maps (6, h, w) of logits -> points (6, 2) in input pixels and peak probabilities (6,).

    The point is the center of mass of the probability in the 7 x 7 cells around the maximum.
    """
    count, height, width = heatmaps.shape
    points, peaks = np.zeros((count, 2)), np.zeros(count)
    for index, logits in enumerate(heatmaps):
        row, column = np.unravel_index(int(logits.argmax()), logits.shape)
        top, left = max(int(row) - 3, 0), max(int(column) - 3, 0)
        window = logits[top : top + 7, left : left + 7].astype(np.float64)
        weight = 1 / (1 + np.exp(-np.clip(window, -30, 30)))
        y, x = np.mgrid[: window.shape[0], : window.shape[1]] + 0.5
        points[index] = (left + (weight * x).sum() / weight.sum(), top + (weight * y).sum() / weight.sum())
        peaks[index] = weight.max()
    return points * (size_px / width, size_px / height), peaks


# -- the two looks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """A square of the film as the finder sees it: left, top, width, height in stored-image pixels, mirrored or not."""

    box_px: tuple[float, float, float, float]
    mirrored: bool


def _frame(film: Film, center_px: tuple[float, float], spec: InputSpec, side: str, scale: float = 1.0) -> _Frame:
    width, height = scale * spec.side_mm / film.spacing_mm[1], scale * spec.side_mm / film.spacing_mm[0]
    return _Frame((center_px[0] - width / 2, center_px[1] - height / 2, width, height), side == "L")


def _look(film: Film, finder: Engine, spec: InputSpec, frames: list[_Frame]) -> list[Look]:
    boxes = {frame.box_px for frame in frames}
    made = {box: normalize(film.region(*box, shape=(spec.size_px, spec.size_px)), spec) for box in boxes}
    images = [made[frame.box_px][..., ::-1] if frame.mirrored else made[frame.box_px] for frame in frames]
    raw = finder.run({"image": np.stack(images)})
    looks = []
    for frame, heatmaps, logits, embedding in zip(frames, raw["heatmaps"], raw["kind"], raw["embedding"], strict=True):
        points, peaks = peaks_of(heatmaps, spec.size_px)
        looks.append(Look(_to_film(points / spec.size_px, frame), peaks, _softmax(logits), embedding.astype(float)))
    return looks


def _to_film(unit: Points, frame: _Frame) -> Points:
    """Points of a frame (0..1 across and down) -> stored-image pixels."""
    left, top, width, height = frame.box_px
    across = 1 - unit[:, 0] if frame.mirrored else unit[:, 0]
    return np.stack([left + across * width, top + unit[:, 1] * height], axis=1)


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    power = np.exp(logits.astype(np.float64) - logits.max())
    return np.asarray(power / power.sum())


def _same_hip(film: Film, first: Look, second: Look) -> bool:
    """Whether both orientations saw one and the same hip."""
    distance = np.hypot(*(to_mm(film, first.points_px - second.points_px)[CORE]).T)
    return bool(np.median(distance) < _SAME_HIP_MM)


def _film_reason(surveys: list[Look], age_years: float | None) -> str:
    """Why a film without a hip is refused: the class either orientation is sure of, else `not_a_hip`."""
    kinds = np.stack([look.kind for look in surveys]).max(axis=0)
    return named(kinds, SURE_SURVEY, age_years) or "not_a_hip"


def _turned_or(film: Film, code: str) -> str:
    """`turned_film` where nothing more is known of a film than that its header calls it turned or mirrored."""
    turned = "unusual_orientation" in film.flags and code in ("not_a_hip", "not_measurable")
    return "turned_film" if turned else code


def _shows_other(film: Film, side: str, first: Look) -> bool:
    """Whether the film reaches over the hip of the other side: where its head should be it has an image.

    `side` is that of the hip that was found and `first` the survey that found it. A film of another body part, where
    what was found is none, shows no other hip either.
    """
    medial = 1 if side == "R" else -1
    x, y = to_mm(film, first.points_px[HEAD : HEAD + 1])[0]
    near, far = (x + medial * reach for reach in _OTHER_HEAD_MM)
    width = abs(far - near)
    row_mm, column_mm = film.spacing_mm
    if first.kind.argmax() == KINDS.index("not_a_hip") or not 0 <= far <= film.shape[1] * column_mm:
        return False
    box = (min(near, far) / column_mm, (y - width / 2) / row_mm, width / column_mm, width / row_mm)
    return exposure_objection(film, film.region(*box, shape=(_OTHER_PX, _OTHER_PX))) is None


# -- the examination ----------------------------------------------------------------------------------------------


def _examine(film: Film, finder: Engine, inputs: Inputs, numbers: Plausibility, side: str, first: Look) -> Hip:
    """Look closely at one hip. Raises HipRefused with the first objection."""
    looks = close_up(film, finder, inputs, side, first.points_px)
    look = merged(looks)
    landmarks = {name: (float(x), float(y)) for name, (x, y) in zip(LANDMARKS, look.points_px, strict=True)}
    reason = objection(film, numbers, first, look) or doubt(film, numbers, looks)
    if reason is None:
        box = roi_box(look.points_px, film.spacing_mm, inputs["bmd"].side_mm)
        region = film.region(*box, shape=(inputs["bmd"].size_px, inputs["bmd"].size_px))
        masked = film.masks(*box, shape=region.shape)
        reason = exposure_objection(film, region, masked) or hidden_objection(film, look.points_px, box, region)
        if reason is None and dark_bone(look.points_px, box, region):
            reason = "not_measurable"
    if reason is not None:
        raise HipRefused(reason, side=side, landmarks_px=landmarks)
    return Hip(side, landmarks, box, hip_flags(film, numbers, side, look, box, region), look.score, region)
