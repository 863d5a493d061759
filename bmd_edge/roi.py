"""Film and finder network to hips: landmarks, side, region of interest; refuses what is not an intact adult AP hip.

The finder is one network that knows right hips only (femoral head toward image right); left hips are found by showing
it the mirrored film. It looks twice: a *survey* of the whole film, then a *close-up* around what the survey found.
Refusal rests first on checks that need no examples of bad films: the peaks of the heat maps, the agreement of the two
looks, the size and shape of the six landmarks, the distance of the embedding from those of training films. The class
the network names decides when these hold, and names the reason when they do not.
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

HEAD_TO_LESSER_MM = (40.0, 95.0)
"""Head center to lesser trochanter of an adult, with room for a wrong magnification."""

_HEAD, _GREATER, _LESSER, _DISTAL = 0, 2, 3, 5
_CORE = slice(0, 4)  # what the region of interest stands on; the shaft may end early
_FAINT = (
    0.5  # where no hip stands out, one of this share of the peak gets a close-up: it may be one, or tell the reason
)
_MIN_SHAFT_MM = 15.0  # the total hip needs the shaft to about 12 mm below the lesser trochanter
_SHORT_SHAFT_MM = 35.0
_MIN_CONTRAST = 0.08
_MAX_SATURATED = 0.35
_MAX_OUTSIDE = 0.20

Points = NDArray[np.float64]
Inputs = Mapping[str, InputSpec]
"""The inputs of a bundle's networks by name: "finder_survey", "finder_closeup" and "bmd" (`Bundle.inputs`)."""


@dataclass(frozen=True, slots=True)
class Hip:
    """One intact adult AP hip on a film.

    `side` is the patient's ("R" or "L"), from the anatomy. `landmarks_px` maps each of `LANDMARKS` to (x, y) and
    `box_px` is (left, top, width, height) of the region of interest, both in stored-image pixels; the top-left corner
    of the film is (0, 0) (PS3.3 C.18.6). `score` is the mean heat-map peak of the core landmarks, 0..1.
    """

    side: str
    landmarks_px: dict[str, tuple[float, float]]
    box_px: tuple[float, float, float, float]
    flags: tuple[str, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Look:
    """What one look of the finder gave.

    `points_px` (6, 2) in stored-image pixels, `peaks` (6,) and `kind` (6,) probabilities, `embedding` (d,).
    """

    points_px: Points
    peaks: NDArray[np.float64]
    kind: NDArray[np.float64]
    embedding: NDArray[np.float64]

    @property
    def score(self) -> float:
        """Mean peak of the four landmarks that the region of interest stands on, 0..1."""
        return float(self.peaks[_CORE].mean())


def find_hips(film: Film, finder: Engine, inputs: Inputs, plausibility: Plausibility) -> list[Hip | HipRefused]:
    """Find the hips of a film, the patient's right one first.

    Args:
        film: the film as read.
        finder: engine with input `image` (n, 1, size, size) float32 and outputs `heatmaps` (n, 6, h, w) logits, `kind`
            (n, 6) logits, `embedding` (n, d).
        inputs: those of the same bundle, `Bundle.inputs`; the region of interest is as large as the input "bmd".
        plausibility: the numbers of the same bundle, `Bundle.manifest.plausibility`.

    Returns:
        One or two entries: a `Hip`, or the `HipRefused` that says why that hip gets no number.

    Raises:
        FilmRefused: `not_a_hip` or another class when no hip was found at all.
    """
    surveys = survey(film, finder, inputs)
    found = [look.score >= plausibility.min_peak for look in surveys]
    if all(found) and _same_hip(film, *surveys):
        found[int(surveys[0].score > surveys[1].score)] = False
    if not any(found):
        best = int(surveys[1].score > surveys[0].score)
        if surveys[best].score < _FAINT * plausibility.min_peak:
            raise FilmRefused(_film_reason(surveys))
        found[best] = True
    hips: list[Hip | HipRefused] = []
    for side, first, wanted in zip("RL", surveys, found, strict=True):
        if wanted:
            try:
                hips.append(_examine(film, finder, inputs, plausibility, side, first))
            except HipRefused as refusal:
                hips.append(refusal)
    return hips


def hip_image(film: Film, hip: Hip, spec: InputSpec) -> NDArray[np.float32]:
    """The region of interest as the BMD network takes it: (1, size, size) float32, 0..1, mirrored to a right hip.

    `spec` is the bundle's input "bmd", the one that `hip` was found with.
    """
    region = film.region(*hip.box_px, shape=(spec.size_px, spec.size_px))
    return normalize(region[:, ::-1] if hip.side == "L" else region, spec)


def survey(film: Film, finder: Engine, inputs: Inputs) -> list[Look]:
    """The first look, at the whole film: for the patient's right hip, and (mirrored) for the left one."""
    center = (film.shape[1] / 2, film.shape[0] / 2)
    spec = inputs["finder_survey"]
    return _look(film, finder, spec, [_frame(film, center, spec, side) for side in "RL"])


def close_up(film: Film, finder: Engine, inputs: Inputs, side: str, points_px: Points) -> Look:
    """The second look, around landmarks (6, 2) in stored-image pixels that the first one found."""
    left, top, width, height = roi_box(points_px, film.spacing_mm, inputs["bmd"].side_mm)
    spec = inputs["finder_closeup"]
    frame = _frame(film, (left + width / 2, top + height / 2), spec, side)
    return _look(film, finder, spec, [frame])[0]


def roi_box(points_px: Points, spacing_mm: tuple[float, float], side_mm: float) -> tuple[float, float, float, float]:
    """The square around the midpoint of head center and lesser trochanter.

    Args:
        points_px: (6, 2) landmarks, (x, y) in pixels.
        spacing_mm: (row, column) spacing of these pixels, mm at the hip.
        side_mm: side of the square, mm at the hip.

    Returns:
        (left, top, width, height) in pixels; it may reach beyond the film.
    """
    x, y = (points_px[_HEAD] + points_px[_LESSER]) / 2
    width, height = side_mm / spacing_mm[1], side_mm / spacing_mm[0]
    return (float(x - width / 2), float(y - height / 2), width, height)


def shape_of(points_mm: Points) -> Points:
    """Landmarks (6, 2) -> (10,): relative to the head center, in units of head center to lesser trochanter."""
    relative = points_mm[1:] - points_mm[_HEAD]
    return np.asarray(relative / max(float(np.hypot(*relative[_LESSER - 1])), 1e-6)).ravel()


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


def _frame(film: Film, center_px: tuple[float, float], spec: InputSpec, side: str) -> _Frame:
    width, height = spec.side_mm / film.spacing_mm[1], spec.side_mm / film.spacing_mm[0]
    return _Frame((center_px[0] - width / 2, center_px[1] - height / 2, width, height), side == "L")


def _look(film: Film, finder: Engine, spec: InputSpec, frames: list[_Frame]) -> list[Look]:
    regions = {frame.box_px: film.region(*frame.box_px, shape=(spec.size_px, spec.size_px)) for frame in frames}
    images = [normalize(regions[f.box_px][:, ::-1] if f.mirrored else regions[f.box_px], spec) for f in frames]
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


def _to_mm(film: Film, points_px: Points) -> Points:
    return points_px * (film.spacing_mm[1], film.spacing_mm[0])


def _same_hip(film: Film, first: Look, second: Look) -> bool:
    """Whether both orientations saw one and the same hip (two hips of one patient are further apart)."""
    distance = np.hypot(*(_to_mm(film, first.points_px - second.points_px)[_CORE]).T)
    return bool(np.median(distance) < 60)


def _film_reason(surveys: list[Look]) -> str:
    """Why a film without a hip is refused: the class either orientation is sure of, else `not_a_hip`."""
    kinds = np.stack([look.kind for look in surveys]).max(axis=0)
    sure = 1 + int(kinds[1:5].argmax())
    return KINDS[sure] if kinds[sure] > 0.5 else "not_a_hip"


# -- the examination ----------------------------------------------------------------------------------------------


def _examine(film: Film, finder: Engine, inputs: Inputs, numbers: Plausibility, side: str, first: Look) -> Hip:
    """Look closely at one hip. Raises HipRefused with the first objection."""
    look = close_up(film, finder, inputs, side, first.points_px)
    landmarks = {name: (float(x), float(y)) for name, (x, y) in zip(LANDMARKS, look.points_px, strict=True)}
    reason = _objection(film, numbers, first, look)
    if reason is None:
        box = roi_box(look.points_px, film.spacing_mm, inputs["bmd"].side_mm)
        region = film.region(*box, shape=(inputs["bmd"].size_px, inputs["bmd"].size_px))
        reason = _exposure_objection(region)
    if reason is not None:
        raise HipRefused(reason, side=side, landmarks_px=landmarks)
    return Hip(side, landmarks, box, _flags(film, numbers, side, look, region), look.score)


def _objection(film: Film, numbers: Plausibility, first: Look, look: Look) -> str | None:
    likeliest = KINDS[1 + int((first.kind + look.kind)[1:].argmax())]
    if look.kind[0] < numbers.min_intact or look.score < numbers.min_peak:
        return likeliest
    points_mm = _to_mm(film, look.points_px)
    if _incomplete(film, numbers, look):
        return "cut_off"
    if not HEAD_TO_LESSER_MM[0] <= np.hypot(*(points_mm[_LESSER] - points_mm[_HEAD])) <= HEAD_TO_LESSER_MM[1]:
        return "implausible_scale"
    if points_mm[_DISTAL, 1] - points_mm[_LESSER, 1] < _MIN_SHAFT_MM:
        return "cut_off"
    moved_mm = np.hypot(*(points_mm - _to_mm(film, first.points_px))[_CORE].T)
    if np.median(moved_mm) > numbers.max_disagreement_mm:
        return likeliest
    shape = _mahalanobis(shape_of(canonical(points_mm)), numbers.shape_mean, numbers.shape_precision)
    if shape > numbers.max_shape_distance:
        return likeliest
    embedding = _mahalanobis(look.embedding, numbers.embedding_mean, numbers.embedding_precision)
    return likeliest if embedding > numbers.max_embedding_distance else None


def _incomplete(film: Film, numbers: Plausibility, look: Look) -> bool:
    """A landmark that the region of interest stands on is missing or outside the film."""
    rows, columns = film.shape
    core = look.points_px[_CORE]
    outside = (core < 0) | (core > (columns, rows))
    return bool(outside.any() or (look.peaks[_CORE] < numbers.min_peak / 2).any())


def canonical(points_mm: Points) -> Points:
    """Mirror a left hip to a right one: the greater trochanter lies to the image left of the head."""
    mirrored = points_mm[_GREATER, 0] > points_mm[_HEAD, 0]
    return points_mm * (-1.0, 1.0) if mirrored else points_mm


def _mahalanobis(value: Points, mean: tuple[float, ...], precision: tuple[tuple[float, ...], ...]) -> float:
    offset = value - np.array(mean)
    return float(np.sqrt(max(float(offset @ np.array(precision) @ offset), 0.0)))


def _exposure_objection(region: NDArray[np.float32]) -> str | None:
    """`cut_off` or `poor_exposure` where the region of interest (h, w) cannot be measured."""
    inside = region[np.isfinite(region)]
    if inside.size < (1 - _MAX_OUTSIDE) * region.size:
        return "cut_off"
    if ((inside <= 0.002) | (inside >= 0.998)).mean() > _MAX_SATURATED or np.ptp(inside) < 0.02:
        return "poor_exposure"
    return None


def _flags(film: Film, numbers: Plausibility, side: str, look: Look, region: NDArray[np.float32]) -> tuple[str, ...]:
    low, high = np.nanpercentile(region, (5, 95))
    shaft_mm = _to_mm(film, look.points_px[_DISTAL : _DISTAL + 1] - look.points_px[_LESSER : _LESSER + 1])[0, 1]
    embedding = _mahalanobis(look.embedding, numbers.embedding_mean, numbers.embedding_precision)
    cautions = {
        "side_contradiction": film.side in ("R", "L") and film.side != side,
        "shaft_short": shaft_mm < _SHORT_SHAFT_MM,
        "low_contrast": high - low < _MIN_CONTRAST,
        "unlike_training_films": embedding > numbers.flag_embedding_distance,
    }
    return tuple(code for code, stands in cautions.items() if stands)
