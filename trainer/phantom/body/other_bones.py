"""Bones that are not a hip: knees, hands, chests, spines, shoulders, half pelves and loose parts, for the class
not_a_hip.

Each is a set of capsules and ellipsoids turned into one signed-distance grid and projected by the same march as the
femur.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trainer.phantom.shapes.ray_march import Body
from trainer.phantom.shapes.sdf import F32, Grid, capsule, ellipsoid, finish, smooth_min

Array = NDArray[np.float64]
Parts = list[tuple[float, ...]]

MARGIN_MM = 8.0
MAX_VOXELS = 700_000


def draw_scene(rng: np.random.Generator) -> tuple[list[Body], tuple[float, float], str]:
    """Bodies of a random scene around the world origin, its size (height, width) in mm at the hip plane, and its
    name.
    """
    name = str(rng.choice(list(SCENES)))
    parts = SCENES[name](rng)
    scale = float(np.exp(rng.normal(0.0, 0.12)))
    bodies = [_body(rng, part, scale) for part in parts if part]
    size = float(rng.uniform(160.0, 340.0))
    return bodies, (size * float(rng.uniform(0.8, 1.4)), size), name


def _body(rng: np.random.Generator, parts: Parts, scale: float) -> Body:
    """One bone: rows (x0, y0, z0, x1, y1, z1, r0, r1) are capsules, rows (x, y, z, a, b, c) ellipsoids; all in mm."""
    table = np.zeros((len(parts), 9))
    for row, part in zip(table, parts, strict=True):
        row[: len(part)] = np.asarray(part) * scale
        row[8] = float(len(part) == 8)
    low, high = _bounds(table)
    step = max(1.5, float(np.cbrt(np.prod(high - low + 2 * MARGIN_MM) / MAX_VOXELS)))
    x, y, z = (np.arange(a - MARGIN_MM, b + MARGIN_MM, step) for a, b in zip(low, high, strict=True))
    rough = _distance(table, x, y, z, float(rng.uniform(2.0, 8.0)))
    distance = finish(rough, step)
    inner = np.empty((*distance.shape, 2), np.float32)
    inner[..., 0] = rng.uniform(0.6, 2.8)
    inner[..., 1] = rng.uniform(0.08, 0.22)
    grid = Grid(distance, inner, (float(x[0]), float(y[0]), float(z[0])), step)
    return Body("scene", "pelvis", grid, np.eye(3), np.zeros(3))


def _bounds(table: Array) -> tuple[Array, Array]:
    lows, highs = [], []
    for row in table:
        if row[8] > 0:
            ends, reach = row[:6].reshape(2, 3), np.full(3, max(row[6], row[7]))
        else:
            ends, reach = row[None, :3], row[3:6]
        lows.append(ends.min(axis=0) - reach)
        highs.append(ends.max(axis=0) + reach)
    return np.min(lows, axis=0), np.max(highs, axis=0)


@njit(cache=True, fastmath=True)
def _distance(table: Array, xs: Array, ys: Array, zs: Array, blend: float) -> F32:
    """Smooth union of the rows on a grid, float32 (nx, ny, nz)."""
    out = np.empty((xs.size, ys.size, zs.size), np.float32)
    for i in range(xs.size):
        for j in range(ys.size):
            for k in range(zs.size):
                best = 1e3
                for row in table:
                    if row[8] > 0:
                        d = capsule(xs[i], ys[j], zs[k], row[0:3], row[3:6], row[6], row[7])
                    else:
                        d = ellipsoid(xs[i] - row[0], ys[j] - row[1], zs[k] - row[2], row[3], row[4], row[5])
                    best = smooth_min(best, d, blend)
                out[i, j, k] = best
    return out


def _knee(rng: np.random.Generator) -> list[Parts]:
    shift = rng.normal(0.0, 4.0)
    femur: Parts = [
        (0, 0, 160, 0, 0, 40, 15, 19),
        (-20, 0, 24, 21, 26, 20),
        (20, 0, 24, 21, 26, 20),
        (0, 0, 40, 26, 20, 24),
    ]
    tibia: Parts = [
        (0, 0, -160, 0, 0, -30, 13, 18),
        (-18, 0, -12, 21, 22, 11),
        (18, 0, -12, 21, 22, 11),
        (0, 0, -30, 26, 20, 24),
    ]
    fibula: Parts = [(36, -10, -160, 36 + shift, -12, -22, 5, 8)]
    patella: Parts = [(shift, 30, 42, 20, 8, 22)]
    return [femur, tibia, fibula, patella]


def _hand(rng: np.random.Generator) -> list[Parts]:
    bones: list[Parts] = []
    for finger in range(5):
        angle = np.radians(-28 + 14 * finger + rng.normal(0, 3))
        at, width = np.array([14.0 * (finger - 2), 0.0]), 5.5
        for length in (52, 34, 24, 15) if finger else (34, 26, 20):
            end = at + length * np.array([np.sin(angle), np.cos(angle)])
            bones.append([(at[0], 0, at[1], end[0], 0, end[1], width, width * 0.9)])
            at, width = end + 9.0 * np.array([np.sin(angle), np.cos(angle)]), width * 0.85
    for _ in range(8):
        bones.append([(rng.uniform(-26, 26), 0, rng.uniform(-32, -8), rng.uniform(6, 11), 6, rng.uniform(6, 10))])
    bones.append([(-14, 0, -150, -14, 0, -46, 8, 13)])
    bones.append([(16, 0, -150, 16, 0, -46, 7, 9)])
    return bones


def _spine(rng: np.random.Generator) -> list[Parts]:
    bones: list[Parts] = []
    count, pitch, curve = int(rng.integers(3, 7)), rng.uniform(30, 40), rng.normal(0, 8)
    for k in range(count):
        z, x = (k - count / 2) * pitch, curve * np.sin(k)
        bones.append(
            [
                (x, 0, z, 22, 17, 0.42 * pitch),
                (x - 8, -30, z, x + 8, -30, z, 6, 6),
                (x, -30, z - 12, x, -34, z + 6, 4, 4),
            ]
        )
        bones.append([(x - 45, -18, z, x + 45, -18, z, 4, 4)])
    return bones


def _chest(rng: np.random.Generator) -> list[Parts]:
    bones = _spine(rng)[:4]
    for k in range(int(rng.integers(4, 7))):
        z = 110 - 34 * k
        for side in (-1, 1):
            points = [(side * (20 + 95 * np.sin(t)), -60 * np.cos(t), z - 30 * t) for t in np.linspace(0.1, 2.2, 5)]
            bones.append([(*p, *q, 4.5, 4.5) for p, q in pairwise(points)])
    bones.append([(-100, 30, 125, -12, 40, 115, 6, 6)])
    bones.append([(100, 30, 125, 12, 40, 115, 6, 6)])
    return bones


def _shoulder(rng: np.random.Generator) -> list[Parts]:
    side = rng.choice([-1.0, 1.0])
    humerus: Parts = [
        (side * 2, 0, 0, 24, 23, 24),
        (side * 14, 0, -4, side * 14, 0, -170, 17, 11),
        (side * 22, 4, 6, 10, 12, 14),
    ]
    blade: Parts = [
        (-side * 30, -14, -10, 8, 14, 19),
        (-side * 32, -15, -5, -side * 100, -30, -90, 10, 6),
        (-side * 32, -15, 0, -side * 110, -30, 20, 7, 5),
    ]
    roof: Parts = [(side * 5, -5, 38, -side * 120, 20, 50, 6, 6)]
    return [humerus, blade, roof]


def _upper_pelvis(rng: np.random.Generator) -> list[Parts]:
    wing = rng.uniform(60, 80)
    bones = _spine(rng)[:2]
    for side in (-1, 1):
        bones.append([(side * 75, 0, 40, wing * 0.75, 9, wing), (side * 118, 10, 10, side * 70, 10, -70, 9, 14)])
    bones.append([(0, -30, 20, 50, 16, 42), (0, -40, -40, 20, 10, 40)])
    return bones


def _long_bone(rng: np.random.Generator) -> list[Parts]:
    r = rng.uniform(8, 17)
    return [
        [(0, 0, 190, rng.normal(0, 10), 0, -190, r, r * rng.uniform(0.8, 1.3))],
        [(r + 18, 0, 190, r + 22, 0, -190, 5, 6)],
    ]


def _ankle(rng: np.random.Generator) -> list[Parts]:
    return [
        [(0, 0, 150, 0, 0, 20, 13, 17), (-4, 0, 8, 22, 18, 12), (-22, 0, 8, -22, 0, -8, 7, 5)],
        [(24, 0, 150, 24, 0, -12, 6, 9)],
        [(0, 6, -18, 24, 24, 14)],
        [(4, -20, -45, 20, 36, 20), (0, 40, -40, 0, 90, -45, 14, 10)],
        [(rng.normal(0, 6), 100, -46, 0, 150, -50, 7, 7)],
    ]


def _loose(rng: np.random.Generator) -> list[Parts]:
    bones: list[Parts] = []
    for _ in range(rng.integers(2, 9)):
        at = rng.uniform(-110, 110, 3) * (1, 0.3, 1)
        if rng.random() < 0.5:
            to = at + rng.normal(0, 70, 3) * (1, 0.3, 1)
            bones.append([(*at, *to, rng.uniform(3, 22), rng.uniform(3, 22))])
        else:
            bones.append([(*at, *rng.uniform(6, 45, 3))])
    return bones


def _ball_and_shaft(rng: np.random.Generator) -> list[Parts]:
    """A round head straight on a shaft, with or without a cup: what a femur is not."""
    bones = _shoulder(rng)[:1]
    if rng.random() < 0.5:
        bones.append([(0, 0, 40, rng.uniform(40, 80), 20, 12)])
    return bones


SCENES: dict[str, Callable[[np.random.Generator], list[Parts]]] = {
    "knee": _knee, "hand": _hand, "spine": _spine, "chest": _chest, "shoulder": _shoulder,
    "upper_pelvis": _upper_pelvis,
    "long_bone": _long_bone, "ankle": _ankle, "loose": _loose, "ball_and_shaft": _ball_and_shaft,
    "empty": lambda _rng: [],
}  # fmt: skip
