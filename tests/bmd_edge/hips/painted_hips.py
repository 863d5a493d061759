"""Films of painted hips, and a finder that recognizes their six gray levels."""

from collections.abc import Callable

import numpy as np

from bmd_edge.bundle.manifest import Plausibility
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import HipRefused
from bmd_edge.film.film import Film
from bmd_edge.hips.finder import find_hips
from bmd_edge.hips.region import Hip
from tests.support.screening import INPUTS, plausibility

# A right hip as displayed: head toward image right; millimeters relative to the head center.
RIGHT_MM = np.array([[0, 0], [-25, 14], [-60, 5], [-22, 62], [-42, 88], [-42, 118]], float)
LEVELS = np.linspace(0.35, 0.85, 6)
SIZE_MM = (330, 400)
HEAT, EMBEDDING = 128, 4


def painted_film(hips: dict[str, tuple[float, float]], spacing_mm=(0.5, 0.5), side=None) -> Film:
    """A film with the six landmarks of each hip (head center given in mm) as 9 mm squares of their own level.

    A black and a white square beside each hip give every view of it the full range of gray.
    """
    rows, columns = (round(size / step) for size, step in zip(SIZE_MM, spacing_mm, strict=True))
    y, x = (np.arange(rows)[:, None] + 0.5) * spacing_mm[0], (np.arange(columns)[None] + 0.5) * spacing_mm[1]
    bright = np.full((rows, columns), 0.2, np.float32)
    for hip_side, head in hips.items():
        medial = 1 if hip_side == "R" else -1
        for level, down in ((0.0, -15), (1.0, 26)):
            bright[(abs(y - head[1] - down) <= 20) & (abs(x - head[0] - 55 * medial) <= 30)] = level
        for level, (px, py) in zip(LEVELS, points_mm(hip_side, head), strict=True):
            bright[(abs(y - py) <= 4.5) & (abs(x - px) <= 4.5)] = level
    stored = np.round(bright * 4095).astype(np.uint16)
    return Film(
        film_id="0" * 16,
        stored=stored,
        lookup=np.linspace(0, 1, 4096, dtype=np.float32),
        lookup_first=0,
        spacing_mm=spacing_mm,
        spacing_source="given",
        side=side,
    )


def points_mm(side: str, head: tuple[float, float]) -> np.ndarray:
    return np.array(head) + RIGHT_MM * ((1, 1) if side == "R" else (-1, 1))


def painted_finder(
    kind: int | tuple[float, ...] = 0,
    alter: Callable[[np.ndarray, int], np.ndarray] | None = None,
    survey_kind: tuple[float, ...] = (),
) -> FunctionEngine:
    """Finds the painted levels where they form a right hip (greater trochanter to the image left of the head).

    `kind` is the class it is sure of, or the probability of each; `survey_kind` those of the survey, where they differ.
    """

    def run(feeds):
        image = feeds["image"]
        heatmaps = np.full((len(image), 6, HEAT, HEAT), -12, np.float32)
        for n, (gray,) in enumerate(image):
            spots = [np.argwhere(eroded(abs(gray - level) < 0.03)) for level in LEVELS]
            pairs = _right_hips(spots)
            for k, spot in pairs.items():
                y, x = (spot + 0.5) * HEAT / gray.shape[0]
                yy, xx = np.mgrid[:HEAT, :HEAT] + 0.5
                heatmaps[n, k] = 8 - 10 * np.minimum(((yy - y) ** 2 + (xx - x) ** 2) / 4, 2)
            if alter:
                heatmaps[n] = alter(heatmaps[n], len(image))
        logits = np.zeros((len(image), 6), np.float32)
        if isinstance(kind, tuple):
            logits[:] = np.log(kind)
        else:
            logits[:, kind] = 8
        if survey_kind and len(image) == 2:
            logits[:] = np.log(survey_kind)
        return {"heatmaps": heatmaps, "kind": logits, "embedding": np.ones((len(image), EMBEDDING), np.float32)}

    outputs = {
        "heatmaps": ((None, 6, HEAT, HEAT), "float32"),
        "kind": ((None, 6), "float32"),
        "embedding": ((None, EMBEDDING), "float32"),
    }
    engine = FunctionEngine(run, {"image": ((None, 1, 256, 256), "float32")}, outputs)
    engine.open()
    return engine


def eroded(mask: np.ndarray) -> np.ndarray:
    """Without the one-pixel rims where two levels mix."""
    for axis in (0, 1):
        mask = mask & np.roll(mask, 1, axis) & np.roll(mask, -1, axis)
    return mask


def _right_hips(spots: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Centers of the painted squares of a hip whose trochanter lies to the left of its head; {} where there is none."""
    greater, head = spots[2], spots[0]
    for start in greater:
        cluster = {}
        near_head = [h for h in head if 0 < h[1] - start[1] < 110]
        if not near_head:
            continue
        for k, found in enumerate(spots):
            anchor = near_head[0] if k == 0 else start
            close = found[np.abs(found - anchor).max(axis=1) < (30 if k in (0, 2) else 190)]
            close = close[close[:, 1] < near_head[0][1] + 30]
            if len(close):
                cluster[k] = close[:400].mean(axis=0)
        return cluster
    return {}


def found(film: Film, finder: FunctionEngine, limits: Plausibility | None = None) -> list[Hip | HipRefused]:
    return find_hips(film, finder, INPUTS, limits or plausibility())
