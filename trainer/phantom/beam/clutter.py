"""What else lies in the beam beside an intact hip: cloth, pads and edges of the table, calcified vessels and tissue,
calibration ball, clips, spinal screws, gonad shield, grid lines.

Everything is drawn on the film's own pixels as added mass (mineral, metal) or tissue; none of it depends on the bone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numba
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

    def distance_mm(self, points_mm: NDArray[np.float64], area: tuple[slice, slice], reach_mm: float) -> Array:
        """Distance (mm) of the pixels of `area` to a polyline (n, 2); infinite where it is beyond `reach_mm`."""
        rows, cols = area
        squared = np.full((rows.stop - rows.start, cols.stop - cols.start), np.float32(np.inf))
        corner = (rows.start - self.offset_px[1], cols.start - self.offset_px[0])
        _to_polyline(points_mm, corner, self.scale, reach_mm, squared)
        return np.sqrt(squared)

    def coordinates(self) -> tuple[Array, Array]:
        """Body-frame x (1, w) and y (h, 1) in mm of all pixels."""
        height, width = self.tissue_cm.shape
        x = (np.arange(width, dtype=np.float32)[None, :] + np.float32(0.5 - self.offset_px[0])) / np.float32(self.scale)
        y = (np.arange(height, dtype=np.float32)[:, None] + np.float32(0.5 - self.offset_px[1])) / np.float32(
            self.scale
        )
        return x, y


@numba.njit(cache=True)
def _to_polyline(
    points: NDArray[np.float64], corner: tuple[float, float], scale: float, reach: float, squared: Array
) -> None:
    """Lower `squared` (mm2) to the squared distance of every pixel within `reach` mm of each stretch of the line."""
    height, width = squared.shape
    for k in range(points.shape[0] - 1):
        ax, ay, bx, by = points[k, 0], points[k, 1], points[k + 1, 0], points[k + 1, 1]
        ex, ey = bx - ax, by - ay
        norm = max(ex * ex + ey * ey, 1e-6)
        top = max(int((min(ay, by) - reach) * scale - corner[0]) - 1, 0)
        bottom = min(int((max(ay, by) + reach) * scale - corner[0]) + 2, height)
        left = max(int((min(ax, bx) - reach) * scale - corner[1]) - 1, 0)
        right = min(int((max(ax, bx) + reach) * scale - corner[1]) + 2, width)
        for i in range(top, bottom):
            y = (i + corner[0] + 0.5) / scale
            for j in range(left, right):
                x = (j + corner[1] + 0.5) / scale
                t = min(max(((x - ax) * ex + (y - ay) * ey) / norm, 0.0), 1.0)
                near = (x - ax - t * ex) ** 2 + (y - ay - t * ey) ** 2
                if near < squared[i, j]:
                    squared[i, j] = near


def rod(canvas: Canvas, target: Array, points_mm: NDArray[np.float64], radius_mm: float, per_cm: float) -> None:
    """Add a round rod along a polyline to `target`: chord length (cm) times `per_cm`. A rod thinner than a pixel is
    spread over it.
    """
    drawn_mm = max(radius_mm, 1.0 / canvas.scale)
    area = canvas.patch(points_mm, drawn_mm + 1.0)
    if area is None:
        return
    d = canvas.distance_mm(points_mm, area, drawn_mm + 1.0)
    soft = 0.35 / canvas.scale if drawn_mm == radius_mm else 0.0
    chord_cm = 0.2 * np.sqrt(np.maximum(drawn_mm**2 - np.minimum(d, drawn_mm) ** 2, 0.0) + soft**2 * (d < drawn_mm))
    target[area] += np.float32(per_cm * (radius_mm / drawn_mm) ** 2) * chord_cm.astype(np.float32)


def add_clutter(canvas: Canvas, rng: np.random.Generator, amount: float = 1.0, wide: bool = False) -> None:
    """Random clutter, drawn in a fixed order; `amount` scales how often each thing appears (1 = finder films, 0.4 =
    BMD films). `wide`: more kinds of it, and in most films.
    """
    for chance, draw in USUAL:
        own = np.random.default_rng(rng.integers(2**63))
        if own.random() < chance * amount:
            draw(canvas, own)
    for chance, draw in WIDE if wide else ():
        own = np.random.default_rng(rng.integers(2**63))
        if own.random() < chance:
            draw(canvas, own)


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


def _bead(canvas: Canvas, target: Array, at_mm: NDArray[np.float64], radius_mm: float, per_cm: float) -> None:
    rod(canvas, target, np.vstack([at_mm, at_mm + 0.01]), radius_mm, per_cm)


def _artery(canvas: Canvas, rng: np.random.Generator) -> None:
    """Tram lines: the calcified walls of a femoral artery, from the groin over the head's inner half down the thigh."""
    for side in (-1.0, 1.0):
        start = (side * rng.uniform(58, 95), rng.uniform(-90, 10))
        path = _path(rng, start, np.pi / 2 - side * rng.normal(0.1, 0.15), rng.uniform(90, 230), 0.05)
        half, filled, density = rng.uniform(2.0, 4.5), rng.uniform(0.2, 0.9), rng.uniform(0.1, 0.7)
        for wall in (-half, half):
            for k in np.flatnonzero(rng.random(len(path) - 1) < filled):
                part = path[k : k + 2] + np.array([wall + rng.normal(0, 0.3), rng.normal(0, 1.0)])
                rod(canvas, canvas.mineral_gcm2, part, rng.uniform(0.3, 1.1), density * rng.uniform(0.4, 1.4))


def _phleboliths(canvas: Canvas, rng: np.random.Generator) -> None:
    for _ in range(rng.integers(1, 9)):
        at, radius = np.array([rng.normal(0, 45), rng.uniform(-20, 60)]), rng.uniform(0.8, 3.2)
        _bead(canvas, canvas.mineral_gcm2, at, radius, rng.uniform(0.2, 0.8))
        if rng.random() < 0.4:
            _bead(canvas, canvas.mineral_gcm2, at, 0.5 * radius, -0.15)


def _granulomas(canvas: Canvas, rng: np.random.Generator) -> None:
    """Old injections in the buttock: shells of mineral, often several."""
    side = rng.choice([-1.0, 1.0])
    for _ in range(rng.integers(1, 6)):
        at = np.array([side * rng.uniform(70, 165), rng.uniform(-130, 50)])
        radius, density = rng.uniform(2.0, 11.0), rng.uniform(0.05, 0.3)
        _bead(canvas, canvas.mineral_gcm2, at, radius, density)
        _bead(canvas, canvas.mineral_gcm2, at, radius * rng.uniform(0.5, 0.9), -0.9 * density)


def _calcified_tissue(canvas: Canvas, rng: np.random.Generator) -> None:
    """A cloud of mineral in tendon or muscle beside a hip."""
    center = np.array([rng.choice([-1.0, 1.0]) * rng.uniform(105, 170), rng.uniform(-50, 110)])
    spread = rng.uniform(3.0, 12.0, 2)
    for _ in range(rng.integers(4, 30)):
        _bead(
            canvas, canvas.mineral_gcm2, center + rng.normal(0, spread), rng.uniform(0.6, 3.5), rng.uniform(0.05, 0.4)
        )


def _edges(canvas: Canvas, rng: np.random.Generator) -> None:
    """Table, mattress, cushion and cassette: straight edges right across the film, steps or narrow strips."""
    x, y = canvas.coordinates()
    for _ in range(rng.integers(1, 4)):
        angle = rng.normal(0, 0.06) + rng.choice([0.0, np.pi / 2, rng.uniform(0, np.pi)])
        off = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y - np.float32(rng.uniform(-190, 190))
        soft = np.float32(rng.uniform(0.5, 4.0))
        shape = np.clip(0.5 + off / soft, 0.0, 1.0)
        if rng.random() < 0.4:
            shape = shape * np.clip(np.float32(rng.uniform(2, 40)) / soft + 0.5 - off / soft, 0.0, 1.0)
        canvas.tissue_cm[:] += np.float32(rng.uniform(0.05, 1.0)) * shape


def _pad(canvas: Canvas, rng: np.random.Generator) -> None:
    """Bandage, wet pad or sandbag: a turned rectangle, quilted or crumpled."""
    x, y = canvas.coordinates()
    cx, cy = rng.choice([-1.0, 1.0]) * rng.uniform(0, 170), rng.uniform(-110, 150)
    turn, half = rng.normal(0, 0.4), rng.uniform([15, 12], [110, 70])
    u = (x - np.float32(cx)) * np.float32(np.cos(turn)) + (y - np.float32(cy)) * np.float32(np.sin(turn))
    v = (y - np.float32(cy)) * np.float32(np.cos(turn)) - (x - np.float32(cx)) * np.float32(np.sin(turn))
    inside = np.minimum(np.float32(half[0]) - np.abs(u), np.float32(half[1]) - np.abs(v))
    depth = np.float32(rng.uniform(0.1, 1.2)) * np.clip(inside / np.float32(rng.uniform(0.7, 8.0)), 0.0, 1.0)
    quilt = np.float32(rng.uniform(0, 0.15)) * np.sin(v * np.float32(2 * np.pi / rng.uniform(4, 25)))
    canvas.tissue_cm[:] += depth * (1.0 + quilt)


def _wrinkles(canvas: Canvas, rng: np.random.Generator) -> None:
    """A crumpled sheet or garment: many nearly parallel folds, wide and faint to narrow and plain."""
    heading, center = rng.uniform(0, np.pi), np.array([rng.uniform(-150, 150), rng.uniform(-120, 150)])
    for _ in range(rng.integers(4, 15)):
        start = center + rng.normal(0, 45, 2)
        path = _path(rng, (start[0], start[1]), heading + rng.normal(0, 0.2), rng.uniform(40, 200), 0.06)
        rod(canvas, canvas.tissue_cm, path, rng.uniform(0.8, 6.0), rng.uniform(0.05, 0.5))


def _ball_beside(canvas: Canvas, rng: np.random.Generator) -> None:
    """A calibration ball where it hides neither neck nor trochanter: outside the hip, beside the shaft, between the
    legs.
    """
    side = rng.choice([-1.0, 1.0])
    places = (((150, 200), (-60, 170)), ((15, 40), (40, 170)), ((60, 170), (115, 180)))
    (left, right), (top, bottom) = places[rng.integers(len(places))]
    at = np.array([side * rng.uniform(left, right), rng.uniform(top, bottom)])
    _bead(canvas, canvas.metal_gcm2, at, rng.uniform(8, 15), rng.choice([4.4, 7.8]))


def gonad_shield(canvas: Canvas, rng: np.random.Generator) -> None:
    """A plate of lead between the thighs, round, or narrowing downward; it hides no part of a femur."""
    x, y = canvas.coordinates()
    half_x, half_y, taper = rng.uniform(22, 42), rng.uniform(25, 50), rng.uniform(0.0, 0.5)
    across = (x - np.float32(rng.normal(0, 5))) / np.float32(half_x)
    down = (y - np.float32(rng.uniform(40, 100))) / np.float32(half_y)
    inside = np.hypot(across * (1 + np.float32(taper) * down), down) < 1
    canvas.metal_gcm2[:] += np.float32(rng.uniform(2.0, 8.0)) * inside


Draw = Callable[[Canvas, np.random.Generator], None]
USUAL: tuple[tuple[float, Draw], ...] = (
    (0.35, _cloth),
    (0.25, _vessel),
    (0.10, _clips),
    (0.08, _ball),
    (0.06, _screws),
    (0.10, _band),
    (0.05, _tube),
    (0.06, _grid_lines),
)
WIDE: tuple[tuple[float, Draw], ...] = (
    (0.25, _artery),
    (0.35, _phleboliths),
    (0.12, _granulomas),
    (0.10, _calcified_tissue),
    (0.35, _edges),
    (0.15, _pad),
    (0.35, _wrinkles),
    (0.15, _ball_beside),
    (0.08, _tube),
    (0.04, _grid_lines),
    (0.06, gonad_shield),
)
