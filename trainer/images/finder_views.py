"""What the finder is shown: surveys of whole films and close-ups of one hip, right, wrong and nonsensical.

The finder only knows right hips, or left ones in a mirrored image. A view's kind is that of the hip which is canonical
in it; where that hip is neither fully in the view nor fully out of it, the class counts for nothing. Views are turned,
scaled and sheared in the same step that cuts them from the film.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import KINDS
from bmd_edge.bundle.network_input import FINDER_CLOSEUP, FINDER_SURVEY, InputSpec
from trainer.images.whole_films import Edges, HipTarget, TrainingFilm, Window, cut, field_edges, upright
from trainer.run.settings import FinderConfig

IGNORED_KIND = -100
"""Target of the class head where nothing certain can be said."""

NEAR_MM, FAR_MM = 35.0, 60.0
"""A close-up shows its hip when the center is nearer than the first, and another thing beyond the second."""

_NO_LANDMARKS = (6, 2)
_NOT_A_HIP = KINDS.index("not_a_hip")

_UPRIGHT_SHARE = 0.3  # real films are upright; some views stay so
_BORDER_SHARE = 0.35  # of the views, around the exposed field
_NONSENSE = ("upside_down", "sideways", "shuffled", "scale", "scribble")


@dataclass(frozen=True, slots=True)
class View:
    """One training image before its gray levels are varied.

    region (size, size) float32, NaN outside the film; landmarks_px (6, 2) in its pixels, NaN where not visible; kind:
    index in `KINDS` or `IGNORED_KIND`.
    """

    region: NDArray[np.float32]
    landmarks_px: NDArray[np.float64]
    kind: int
    spec: InputSpec


def survey(film: TrainingFilm, config: FinderConfig, rng: Generator) -> View:
    """The whole film, or a random part of it, as it is or mirrored; some as a photograph shows a film."""
    photo = rng.random() < config.photo_share
    edges = _whole(film)
    middle, side = np.array(film.pixels.shape[::-1]) / 2, np.array(film.pixels.shape[::-1])
    if rng.random() < config.crop_share:
        off = rng.uniform(0, 0.25, 4) * (rng.random(4) < 0.5)  # half of the edges stay
        box = off[0] * side[0], off[1] * side[1], (1 - off[2]) * side[0], (1 - off[3]) * side[1]
        middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2
        edges = _collimated(edges, box, rng)
    matrix = _matrix(film, FINDER_SURVEY, config, bool(rng.random() < 0.5), rng)
    if photo:  # nobody knows the size of its pixels, and it was not aimed well
        matrix *= np.exp(rng.uniform(-0.25, 0.25))
        middle = middle + matrix @ rng.uniform(-30, 30, 2)
    view = _survey_view(film, Window(middle + matrix @ rng.uniform(-2, 2, 2), matrix, edges))
    return _on_a_table(view, rng) if photo else _bordered(view, rng)


def closeup(film: TrainingFilm, config: FinderConfig, rng: Generator) -> View:
    """One hip near the middle, as a survey that erred places it; in a quarter of the views a wrong place, or the hip
    seen the wrong way round.
    """
    hips = [hip for hip in film.hips.values() if np.isfinite(hip.center_px).all()]
    mirrored = bool(rng.random() < 0.5)
    center = rng.uniform(0.1, 0.9, 2) * film.pixels.shape[::-1]
    if hips and rng.random() < 0.85:
        hip = hips[int(rng.integers(len(hips)))]
        # A distance drawn evenly: near the center there are more views to the area, as there are in use.
        angle, away_mm = rng.uniform(0, 2 * np.pi), rng.uniform(0, config.shift_mm)
        center = hip.center_px + away_mm / film.spacing_mm * np.array([np.cos(angle), np.sin(angle)])
        mirrored = (hip.side == "L") != (rng.random() < 0.12)
    matrix = _matrix(film, FINDER_CLOSEUP, config, mirrored, rng)
    edges = _whole(film)
    if rng.random() < config.crop_share:
        away = rng.uniform(0.25, 0.6, 4) * FINDER_CLOSEUP.side_mm / film.spacing_mm
        x, y = center
        edges = _collimated(edges, (x - away[0], y - away[1], x + away[2], y + away[3]), rng)
    return _bordered(_closeup_view(film, Window(center, matrix, edges)), rng)


def nonsense(film: TrainingFilm, config: FinderConfig, rng: Generator) -> View:
    """Something that is no hip: a view upside down, sideways, shuffled, far too big or small, or no film at all."""
    wrong = str(rng.choice(_NONSENSE))
    if wrong == "scale":
        config = replace(config, scale=(1.8, 2.6) if rng.random() < 0.5 else (0.33, 0.55))
    view = (closeup if rng.random() < 0.5 else survey)(film, config, rng)
    changed = view.region
    if wrong == "upside_down":
        changed = changed[::-1]
    elif wrong == "sideways":
        changed = np.rot90(changed, int(rng.choice([1, 3])))
    elif wrong == "shuffled":
        changed = _shuffled(changed, int(rng.integers(2, 5)), rng)
    elif wrong == "scribble":
        changed = _scribble(changed, rng)
    return View(np.ascontiguousarray(changed), np.full(_NO_LANDMARKS, np.nan), _NOT_A_HIP, view.spec)


def exact_survey(film: TrainingFilm, mirrored: bool) -> View:
    """The survey as the runtime makes it."""
    matrix = upright(FINDER_SURVEY.spacing_mm / film.spacing_mm, mirrored)
    return _survey_view(film, Window(np.array(film.pixels.shape[::-1]) / 2, matrix, _whole(film)))


def exact_closeup(film: TrainingFilm, hip: HipTarget, rng: Generator) -> View:
    """The close-up as the runtime makes it after a survey that is wrong by up to 8 mm."""
    center = hip.center_px + rng.uniform(-8, 8, 2) / film.spacing_mm
    matrix = upright(FINDER_CLOSEUP.spacing_mm / film.spacing_mm, hip.side == "L")
    return _closeup_view(film, Window(center, matrix, _whole(film)))


# -- what a view shows --------------------------------------------------------------------------------------------


def _survey_view(film: TrainingFilm, window: Window) -> View:
    region, hip = cut(film, window, FINDER_SURVEY.size_px)
    if hip is None:
        return _view(region, hip, _NOT_A_HIP, FINDER_SURVEY)
    seen = np.all(np.isfinite(hip.landmarks_px), axis=1)
    in_film = np.all(np.isfinite(film.hips[hip.side].landmarks_px), axis=1)
    untouched = len(window.edges) == len(_whole(film)) and bool((seen == in_film).all())
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


# -- how it lies --------------------------------------------------------------------------------------------------


def _matrix(
    film: TrainingFilm, spec: InputSpec, config: FinderConfig, mirrored: bool, rng: Generator
) -> NDArray[np.float64]:
    """A window's matrix with a random scale (above 1 everything looks larger), turn, shear and aspect."""
    matrix = upright(spec.spacing_mm / film.spacing_mm, mirrored)
    matrix /= np.exp(rng.uniform(*np.log(config.scale)))
    if rng.random() < _UPRIGHT_SHARE:
        return matrix
    angle = np.deg2rad(rng.uniform(-config.rotation_deg, config.rotation_deg))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn @ matrix @ (np.eye(2) + rng.uniform(-config.shear, config.shear, (2, 2)))


def _whole(film: TrainingFilm) -> Edges:
    rows, columns = film.pixels.shape
    return field_edges((0, 0, columns, rows))


def _collimated(edges: Edges, box_px: tuple[float, float, float, float], rng: Generator) -> Edges:
    """The edges of a film with those of a collimator around a box, half of them turned."""
    angle = rng.uniform(-12, 12) if rng.random() < 0.5 else 0.0
    return np.concatenate([edges, field_edges(box_px, angle)])


# -- what lies around it ------------------------------------------------------------------------------------------


def _bordered(view: View, rng: Generator) -> View:
    """In some of the views, the edge of the film is a collimated border: one gray level, some way outward."""
    inside = np.isfinite(view.region)
    if rng.random() > _BORDER_SHARE or not inside.any() or inside.all():
        return view
    rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    grow = (rng.random(4) * 60).astype(int)
    top, bottom = max(0, rows[0] - grow[0]), rows[-1] + 1 + grow[1]
    left, right = max(0, cols[0] - grow[2]), cols[-1] + 1 + grow[3]
    region = view.region.copy()
    frame = region[top:bottom, left:right]
    frame[np.isnan(frame)] = _level(region, rng)
    return replace(view, region=region)


def _on_a_table(view: View, rng: Generator) -> View:
    """A photograph or a screenshot of the film: everything around it has gray levels, and they run across."""
    steps = np.linspace(-1, 1, len(view.region), dtype=np.float32)
    slope = rng.uniform(-0.3, 0.3, 2).astype(np.float32)
    around = _level(view.region, rng) + slope[0] * steps + slope[1] * steps[:, None]
    return replace(view, region=np.where(np.isnan(view.region), around, view.region))


def _level(region: NDArray[np.float32], rng: Generator) -> np.float32:
    """A gray level for what is no film: black, white, or as in the film."""
    inside = region[np.isfinite(region)]
    low, high = (float(inside.min()), float(inside.max())) if len(inside) else (0.0, 1.0)
    return np.float32((low, high, rng.uniform(low, high), 0.0, 1.0)[int(rng.integers(5))])


# -- nonsense -----------------------------------------------------------------------------------------------------


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


def _scribble(region: NDArray[np.float32], rng: Generator) -> NDArray[np.float32]:
    """Bright bars and disks at random on a plain ground, within the film's outline: pens, pages, phantoms."""
    size = len(region)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    drawn = np.full_like(region, rng.random())
    for _ in range(int(rng.integers(1, 9))):
        (cx, cy), angle = rng.uniform(0, size, 2), rng.uniform(0, np.pi)
        along = (x - cx) * np.float32(np.cos(angle)) + (y - cy) * np.float32(np.sin(angle))
        across = (y - cy) * np.float32(np.cos(angle)) - (x - cx) * np.float32(np.sin(angle))
        length, width = rng.uniform(4, size / 2), rng.uniform(2, size / 8)
        shape = (along / length) ** 2 + (across / width) ** 2 < 1
        if rng.random() < 0.5:
            shape = (np.abs(along) < length) & (np.abs(across) < width)
        drawn[shape] += np.float32(rng.uniform(-0.6, 0.6))
    drawn[np.isnan(region)] = np.nan
    return drawn
