"""What the finder is shown: surveys of whole films and close-ups of one hip, right, wrong and nonsensical.

The finder only knows right hips, or left ones in a mirrored image. A view's kind is that of the hip which is canonical
in it; where that hip is neither fully in the view nor fully out of it, the class counts for nothing.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import KINDS
from bmd_edge.bundle.network_input import FINDER_CLOSEUP, FINDER_SURVEY, InputSpec
from trainer.images.whole_films import HipTarget, TrainingFilm, Window, cut
from trainer.run.settings import FinderConfig

IGNORED_KIND = -100
"""Target of the class head where nothing certain can be said."""

NEAR_MM, FAR_MM = 35.0, 60.0
"""A close-up shows its hip when the center is nearer than the first, and another thing beyond the second."""

_NO_LANDMARKS = (6, 2)
_NOT_A_HIP = KINDS.index("not_a_hip")


@dataclass(frozen=True, slots=True)
class View:
    """One training image before augmentation.

    region (size, size) float32, NaN outside the film; landmarks_px (6, 2) in its pixels, NaN where not visible; kind:
    index in `KINDS` or `IGNORED_KIND`.
    """

    region: NDArray[np.float32]
    landmarks_px: NDArray[np.float64]
    kind: int
    spec: InputSpec


def survey(film: TrainingFilm, config: FinderConfig, rng: Generator) -> View:
    """The whole film, or a random part of it, as it is or mirrored."""
    crop = _random_crop(film, rng, 0.25) if rng.random() < config.crop_share else _whole(film)
    step = _step(film, FINDER_SURVEY, rng.uniform(*config.scale))
    center = _middle(crop) + rng.uniform(-2, 2, 2) * step
    window = Window((center[0], center[1]), step, bool(rng.random() < 0.5), crop)
    return _bordered(_survey_view(film, window), rng)


def closeup(film: TrainingFilm, config: FinderConfig, rng: Generator) -> View:
    """One hip near the middle; in a quarter of the views a wrong place, or the hip seen the wrong way round."""
    hips = [hip for hip in film.hips.values() if np.isfinite(hip.center_px).all()]
    mirrored = bool(rng.random() < 0.5)
    center = rng.uniform(0.1, 0.9, 2) * film.pixels.shape[::-1]
    if hips and rng.random() < 0.85:
        hip = hips[int(rng.integers(len(hips)))]
        center = hip.center_px + rng.uniform(-config.shift_mm, config.shift_mm, 2) / film.spacing_mm
        mirrored = (hip.side == "L") != (rng.random() < 0.12)
    step = _step(film, FINDER_CLOSEUP, rng.uniform(*config.scale))
    crop = _whole(film)
    if rng.random() < config.crop_share:
        crop = _crop_around(film, center, step * FINDER_CLOSEUP.size_px, rng)
    window = Window((float(center[0]), float(center[1])), step, mirrored, crop)
    return _bordered(_closeup_view(film, window), rng)


def nonsense(film: TrainingFilm, config: FinderConfig, rng: Generator) -> View:
    """Something that is no hip: a view upside down, sideways, shuffled, or far too big or small."""
    wrong = str(rng.choice(["upside_down", "sideways", "shuffled", "scale"]))
    if wrong == "scale":
        wild = replace(config, scale=(1.8, 2.6) if rng.random() < 0.5 else (0.33, 0.6))
        region = (closeup if rng.random() < 0.5 else survey)(film, wild, rng)
        return _as_nonsense(region, region.region)
    view = (closeup if rng.random() < 0.5 else survey)(film, config, rng)
    if wrong == "upside_down":
        changed = view.region[::-1]
    elif wrong == "sideways":
        changed = np.rot90(view.region, int(rng.choice([1, 3])))
    else:
        changed = _shuffled(view.region, int(rng.integers(2, 5)), rng)
    return _as_nonsense(view, np.ascontiguousarray(changed))


def exact_survey(film: TrainingFilm, mirrored: bool) -> View:
    """The survey exactly as the runtime makes it."""
    crop = _whole(film)
    center = _middle(crop)
    return _survey_view(film, Window((center[0], center[1]), _step(film, FINDER_SURVEY, 1.0), mirrored, crop))


def exact_closeup(film: TrainingFilm, hip: HipTarget, rng: Generator) -> View:
    """The close-up as the runtime makes it after a survey that is wrong by up to 8 mm."""
    center = hip.center_px + rng.uniform(-8, 8, 2) / film.spacing_mm
    step = _step(film, FINDER_CLOSEUP, 1.0)
    return _closeup_view(film, Window((center[0], center[1]), step, hip.side == "L", _whole(film)))


def _survey_view(film: TrainingFilm, window: Window) -> View:
    region, hip = cut(film, window, FINDER_SURVEY.size_px)
    if hip is None:
        return _view(region, hip, _NOT_A_HIP, FINDER_SURVEY)
    seen = np.all(np.isfinite(hip.landmarks_px), axis=1)
    in_film = np.all(np.isfinite(film.hips[hip.side].landmarks_px), axis=1)
    untouched = window.crop_px == _whole(film) and bool((seen == in_film).all())
    # A crop may have left a part of the hip that nobody can name, or nothing of it.
    named = hip.kind in KINDS and (untouched or seen[:4].all())
    return _view(region, hip, KINDS.index(hip.kind) if named else IGNORED_KIND, FINDER_SURVEY)


def _closeup_view(film: TrainingFilm, window: Window) -> View:
    region, hip = cut(film, window, FINDER_CLOSEUP.size_px)
    kind = _NOT_A_HIP
    if hip is not None:
        center = film.hips[hip.side].center_px
        away_mm = float(np.hypot(*(center - window.center_px))) * film.spacing_mm
        kind = _closeup_kind(hip, away_mm)
    return _view(region, hip, kind, FINDER_CLOSEUP)


def _closeup_kind(hip: HipTarget, away_mm: float) -> int:
    if away_mm > FAR_MM:
        return _NOT_A_HIP
    if not away_mm < NEAR_MM or hip.kind not in KINDS:  # NaN: nobody knows where the hip is
        return IGNORED_KIND
    if not np.isfinite(hip.landmarks_px[:4]).all() and hip.kind == "intact":
        return IGNORED_KIND
    return KINDS.index(hip.kind)


def _view(region: NDArray[np.float32], hip: HipTarget | None, kind: int, spec: InputSpec) -> View:
    points = np.full(_NO_LANDMARKS, np.nan) if hip is None else hip.landmarks_px
    return View(region, points, kind, spec)


def _as_nonsense(view: View, region: NDArray[np.float32]) -> View:
    return View(region, np.full(_NO_LANDMARKS, np.nan), _NOT_A_HIP, view.spec)


def _shuffled(region: NDArray[np.float32], parts: int, rng: Generator) -> NDArray[np.float32]:
    """The tiles of a parts x parts grid in another order, each possibly upside down."""
    side = region.shape[0] // parts
    changed = region.copy()
    order = np.roll(rng.permutation(parts * parts), 1)
    for place, source in enumerate(order):
        (row, col), (from_row, from_col) = divmod(place, parts), divmod(int(source), parts)
        tile = region[from_row * side : (from_row + 1) * side, from_col * side : (from_col + 1) * side]
        flipped = tile[::-1] if rng.random() < 0.5 else tile
        changed[row * side : (row + 1) * side, col * side : (col + 1) * side] = flipped
    return changed


def _bordered(view: View, rng: Generator) -> View:
    """In a third of the views, the edge of the film is a collimated border: one gray level, some way outward."""
    if rng.random() > 0.33:
        return view
    inside = np.isfinite(view.region)
    if not inside.any() or inside.all():
        return view
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    grow = (rng.random(4) * 60).astype(int)
    top, bottom = max(0, rows[0] - grow[0]), rows[-1] + 1 + grow[1]
    left, right = max(0, cols[0] - grow[2]), cols[-1] + 1 + grow[3]
    region = view.region.copy()
    low, high = np.nanmin(region), np.nanmax(region)
    level = (float(low), float(high), float(rng.uniform(low, high)), 0.0, 1.0)[int(rng.integers(5))]
    frame = region[top:bottom, left:right]
    frame[np.isnan(frame)] = level
    return replace(view, region=region)


def _step(film: TrainingFilm, spec: InputSpec, scale: float) -> float:
    """Film pixels per window pixel; `scale` > 1 makes everything look larger."""
    return spec.spacing_mm / film.spacing_mm / scale


def _whole(film: TrainingFilm) -> tuple[int, int, int, int]:
    rows, cols = film.pixels.shape
    return 0, 0, cols, rows


def _middle(crop: tuple[int, int, int, int]) -> NDArray[np.float64]:
    return np.array([(crop[0] + crop[2]) / 2, (crop[1] + crop[3]) / 2])


def _random_crop(film: TrainingFilm, rng: Generator, most: float) -> tuple[int, int, int, int]:
    """Cut up to this share off each edge; half of the edges stay."""
    rows, cols = film.pixels.shape
    off = rng.uniform(0, most, 4) * (rng.random(4) < 0.5)
    return int(off[0] * cols), int(off[1] * rows), cols - int(off[2] * cols), rows - int(off[3] * rows)


def _crop_around(
    film: TrainingFilm, center: NDArray[np.float64], side_px: float, rng: Generator
) -> tuple[int, int, int, int]:
    """A collimated field around a close-up's center: each edge 25-60 % of the window's side away from it."""
    rows, cols = film.pixels.shape
    away = rng.uniform(0.25, 0.6, 4) * side_px
    left, right = np.clip([center[0] - away[0], center[0] + away[1]], 0, cols).astype(int)
    top, bottom = np.clip([center[1] - away[2], center[1] + away[3]], 0, rows).astype(int)
    if right - left < 16 or bottom - top < 16:
        return _whole(film)
    return int(left), int(top), int(right), int(bottom)
