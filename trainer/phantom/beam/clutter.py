"""What else lies in the beam beside an intact hip: cloth folds, calcified vessels, calibration ball, clips, spinal
screws, grid lines.

Everything is drawn on the film's own pixels as added mass (mineral, metal) or tissue; none of it depends on the bone.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Film-sized maps that clutter is added to, float32 (h, w): mineral and metal in g/cm2, tissue in cm; `scale` px
    per mm.
    """

    mineral_gcm2: Array
    metal_gcm2: Array
    tissue_cm: Array
    scale: float
    offset_px: tuple[float, float]

    def patch(self, points_mm: NDArray[np.float64], reach_mm: float) -> tuple[slice, slice] | None:
        """Rows and columns around the points (n, 2) of the body frame (x, y in mm), or None outside the film."""
        low = self.to_px(points_mm.min(axis=0) - reach_mm)
        high = self.to_px(points_mm.max(axis=0) + reach_mm)
        height, width = self.mineral_gcm2.shape
        left, top = (int(np.clip(v, 0, n)) for v, n in zip(low, (width, height), strict=True))
        right, bottom = (int(np.clip(v + 1, 0, n)) for v, n in zip(high, (width, height), strict=True))
        return None if left >= right or top >= bottom else (slice(top, bottom), slice(left, right))

    def to_px(self, point_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Body frame (mm) to film pixels, top-left corner of the film = (0, 0)."""
        moved: NDArray[np.float64] = point_mm * self.scale + np.asarray(self.offset_px)
        return moved

    def distance_mm(self, points_mm: NDArray[np.float64], area: tuple[slice, slice]) -> Array:
        """Distance (mm) of the pixels of `area` to a polyline (n, 2)."""
        rows, cols = area
        y = (np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + 0.5 - self.offset_px[1]) / self.scale
        x = (np.arange(cols.start, cols.stop, dtype=np.float32)[None, :] + 0.5 - self.offset_px[0]) / self.scale
        best = np.full((y.size, x.size), np.inf, np.float32)
        for (ax, ay), (bx, by) in pairwise(points_mm):
            ex, ey = float(bx - ax), float(by - ay)
            t = np.clip(((x - ax) * ex + (y - ay) * ey) / max(ex * ex + ey * ey, 1e-6), 0.0, 1.0)
            best = np.minimum(best, (x - ax - t * ex) ** 2 + (y - ay - t * ey) ** 2)
        return np.sqrt(best)


def rod(canvas: Canvas, target: Array, points_mm: NDArray[np.float64], radius_mm: float, per_cm: float) -> None:
    """Add a round rod along a polyline to `target`: chord length (cm) times `per_cm`."""
    area = canvas.patch(points_mm, radius_mm + 1.0)
    if area is None:
        return
    d = canvas.distance_mm(points_mm, area)
    soft = 0.35 / canvas.scale
    chord_cm = 0.2 * np.sqrt(np.maximum(radius_mm**2 - np.minimum(d, radius_mm) ** 2, 0.0) + soft**2 * (d < radius_mm))
    target[area] += per_cm * chord_cm.astype(np.float32)


def add_clutter(canvas: Canvas, rng: np.random.Generator, amount: float = 1.0) -> None:
    """Random clutter, drawn in a fixed order; `amount` scales how often each thing appears (1 = finder films, 0.4 =
    BMD films).
    """
    for chance, draw in (
        (0.35, _cloth),
        (0.25, _vessel),
        (0.10, _clips),
        (0.08, _ball),
        (0.06, _screws),
        (0.10, _band),
        (0.05, _tube),
    ):
        own = np.random.default_rng(rng.integers(2**63))
        if own.random() < chance * amount:
            draw(canvas, own)
    own = np.random.default_rng(rng.integers(2**63))
    if own.random() < 0.06 * amount:
        _grid_lines(canvas, own)


def _path(
    rng: np.random.Generator, start: tuple[float, float], heading: float, length: float, bend: float
) -> NDArray[np.float64]:
    steps = 14
    angles = heading + np.cumsum(rng.normal(0.0, bend, steps)) + rng.normal(0.0, bend) * np.arange(steps) / 3
    moves = length / steps * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.vstack([[start], np.asarray(start) + np.cumsum(moves, axis=0)])


def _cloth(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 8)):
        path = _path(
            rng, (rng.uniform(-200, 200), rng.uniform(-150, 220)), rng.uniform(0, 6.3), rng.uniform(50, 250), 0.08
        )
        rod(canvas, canvas.tissue_cm, path, rng.uniform(0.8, 4.0), rng.uniform(0.3, 1.2))


def _vessel(canvas: Canvas, rng: np.random.Generator) -> None:
    side = rng.choice([-1.0, 1.0])
    path = _path(
        rng,
        (side * rng.uniform(45, 75), rng.uniform(-60, 60)),
        np.pi / 2 - side * rng.uniform(-0.3, 0.5),
        rng.uniform(60, 150),
        0.08,
    )
    offset = rng.uniform(2.0, 4.0)
    for shift in (-offset, offset):
        for k in range(len(path) - 1):
            if rng.random() < 0.6:
                rod(
                    canvas,
                    canvas.mineral_gcm2,
                    path[k : k + 2] + np.array([shift, 0.0]),
                    rng.uniform(0.5, 1.3),
                    rng.uniform(0.2, 0.9),
                )


def _clips(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 7)):
        start = (rng.uniform(-130, 130), rng.uniform(-100, 120))
        rod(canvas, canvas.metal_gcm2, _path(rng, start, rng.uniform(0, 6.3), rng.uniform(3, 7), 0.02), 0.6, 4.4)


def _ball(canvas: Canvas, rng: np.random.Generator) -> None:
    center = np.array([[rng.choice([-1.0, 1.0]) * rng.uniform(0, 190), rng.uniform(20, 170)]])
    rod(canvas, canvas.metal_gcm2, np.vstack([center, center + 0.01]), rng.uniform(12, 15), 7.8)


def _screws(canvas: Canvas, rng: np.random.Generator) -> None:
    for side in (-1.0, 1.0):
        x, y = side * rng.uniform(15, 28), rng.uniform(-160, -110)
        rod(canvas, canvas.metal_gcm2, np.array([[x, y - 200.0], [x + rng.normal(0, 4), y]]), 2.8, 4.4)
        for step in range(3):
            tip = (x - side * 8.0, y - 40.0 * step + rng.normal(0, 3))
            rod(canvas, canvas.metal_gcm2, np.array([[x + side * 4.0, tip[1]], tip]), 3.4, 4.4)


def _band(canvas: Canvas, rng: np.random.Generator) -> None:
    y = rng.uniform(-170, -40)
    path = _path(rng, (-230.0, y), rng.normal(0, 0.05), 460.0, 0.02)
    for shift in np.arange(0, rng.uniform(8, 35), 3.0):
        rod(canvas, canvas.tissue_cm, path + np.array([0.0, shift]), 1.2, rng.uniform(0.8, 1.5))


def _tube(canvas: Canvas, rng: np.random.Generator) -> None:
    path = _path(rng, (rng.uniform(-60, 60), 220.0), -np.pi / 2 + rng.normal(0, 0.5), rng.uniform(150, 300), 0.12)
    rod(canvas, canvas.mineral_gcm2, path, rng.uniform(1.5, 3.0), rng.uniform(0.1, 0.4))


def _grid_lines(canvas: Canvas, rng: np.random.Generator) -> None:
    height, width = canvas.tissue_cm.shape
    period = rng.uniform(2.2, 6.0)
    wave = 0.06 * np.sin(2 * np.pi * np.arange(max(height, width)) / period).astype(np.float32)
    canvas.tissue_cm[:] += wave[None, :width] if rng.random() < 0.7 else wave[:height, None]
