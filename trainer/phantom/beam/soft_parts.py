"""What soft tissue shows around a hip: muscles and the fat planes between them, buttock edges, a hanging belly, creases
of skin, bladder, stool.

Everything is drawn on the tissue's coarse grid in the body frame (mm) and is independent of the bone's density.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from trainer.phantom.shapes.coarse_grid import smooth_noise

Array = NDArray[np.float32]
Grid = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Leg:
    """One hip as the tissue needs it: head center and unit vector down the shaft, in the body frame (mm)."""

    center_mm: tuple[float, float]
    direction: tuple[float, float]


PLANES_MM = (
    ((0.0, -75.0), (52.0, 5.0)),  # between the small gluteal muscles
    ((28.0, -85.0), (68.0, 15.0)),  # between the great and the middle one
    ((-42.0, -70.0), (8.0, 62.0)),  # along the iliopsoas, to the lesser trochanter
    ((-34.0, -45.0), (-30.0, 25.0)),  # along the obturator, inside the pelvis
    ((52.0, 10.0), (62.0, 190.0)),  # outside the vastus
    ((14.0, 40.0), (2.0, 190.0)),  # between the vastus and the adductors
    ((-30.0, 35.0), (-18.0, 190.0)),  # between the adductors
    ((-8.0, -26.0), (40.0, -12.0)),  # on the capsule, above the neck
)
"""Fat planes of one leg as a film shows them: (lateral, along) of start and end, mm from the head center."""


def add_soft_parts(
    rng: np.random.Generator, legs: tuple[Leg, ...], grid: Grid, outline: Array, fat: Array, gas: Array
) -> tuple[Array, Array, Array]:
    """Outline (cm), fat share (0..1) and gas (cm), each (h, w), with the parts drawn onto them."""
    for leg in legs:
        along, lateral = _leg_grid(leg, grid)
        if np.abs(lateral).min() > 90.0 or along.max() < -90.0:
            continue
        fat = _muscles(rng, along, lateral, fat)
        if rng.random() < 0.6:
            outline = _buttock(rng, along, lateral, outline)
    for chance, part in ((0.3, _apron), (0.6, _creases), (0.4, _bladder), (0.3, _genitals)):
        if rng.random() < chance:
            outline = part(rng, grid, outline)
    if rng.random() < 0.6:
        gas = _stool(rng, grid, gas)
    return outline, np.clip(fat, 0.0, 1.0).astype(np.float32), gas


def _leg_grid(leg: Leg, grid: Grid) -> Grid:
    """Distances (mm) from the head center down the shaft and sideways, outward positive."""
    (x, y), (dx, dy), (cx, cy) = grid, leg.direction, leg.center_mm
    out = 1.0 if cx > 0 else -1.0
    along = (x - np.float32(cx)) * np.float32(dx) + (y - np.float32(cy)) * np.float32(dy)
    lateral = (x - np.float32(cx)) * np.float32(out * dy) - (y - np.float32(cy)) * np.float32(out * dx)
    return along, lateral


def _rise(value: Array) -> Array:
    """0 far below zero, 1 far above, 0.5 at zero; a cheap sigmoid."""
    return np.asarray(0.5 + 0.5 * value / (1.0 + np.abs(value)), np.float32)


def _muscles(rng: np.random.Generator, along: Array, lateral: Array, fat: Array) -> Array:
    """Fat bands between muscles, unlike fat in the muscles on either side, and the fat under the skin of the thigh."""
    depth, planes = rng.uniform(0.05, 0.5), []
    for (from_lateral, from_along), (to_lateral, to_along) in PLANES_MM:
        start = np.array([from_lateral, from_along]) + rng.normal(0.0, 7.0, 2)
        way = np.array([to_lateral, to_along]) + rng.normal(0.0, 9.0, 2) - start
        length = float(np.hypot(*way))
        bow, width = rng.normal(0.0, 0.10) * length, rng.uniform(1.2, 9.0)
        band, step = rng.uniform(0.3, 1.0) * depth, rng.normal(0.0, 0.5) * depth
        if rng.random() < 0.65:
            planes.append((*start, *(way / length), length, bow, width, band, step))
    edge = lateral - np.float32(rng.uniform(42.0, 95.0)) - np.float32(rng.normal(0.0, 0.12)) * along
    total = fat + np.float32(rng.uniform(0.0, 0.4)) * _rise((edge / rng.uniform(0.7, 4.0)).astype(np.float32))
    if planes:
        _add_planes(np.array(planes, np.float32), along, lateral, total)
    return total


@numba.njit(cache=True, fastmath=True)
def _add_planes(planes: Array, along: Array, lateral: Array, total: Array) -> None:
    """Add bowed bands and, within 40 mm of each, a step from one side to the other; both fade at the plane's ends."""
    for n in range(planes.shape[0]):
        sideways, down, unit_x, unit_y, length, bow, width, band, step = planes[n]
        for i in range(total.shape[0]):
            for j in range(total.shape[1]):
                x, y = lateral[i, j] - sideways, along[i, j] - down
                at = x * unit_x + y * unit_y
                if at <= 0.0 or at >= length:
                    continue
                share = at / length
                off = x * unit_y - y * unit_x - 4.0 * bow * share * (1.0 - share)
                inside = min(at / 12.0, (length - at) / 12.0, 1.0)
                tall = band / (1.0 + (off / width) ** 2) ** 2
                aside = off / (2.0 + abs(off)) * 0.5 * min(max((40.0 - abs(off)) / 30.0, 0.0), 1.0)
                total[i, j] += inside * (tall + step * aside)


def _buttock(rng: np.random.Generator, along: Array, lateral: Array, outline: Array) -> Array:
    """The lower edge of the buttock crosses the thigh: thicker above a soft arc, fading upward."""
    arc = rng.uniform(20.0, 120.0) + rng.normal(-10.0, 18.0) * (lateral / 70.0) ** 2 + rng.normal(0.0, 0.25) * lateral
    above = (np.asarray(arc, np.float32) - along) / np.float32(rng.uniform(1.0, 7.0))
    fading = rng.uniform(0.3, 2.6) / (1.0 + np.maximum(arc - along, 0.0) / rng.uniform(30.0, 120.0))
    return _thicker(outline, _rise(above) * fading.astype(np.float32))


def _thicker(outline: Array, by_cm: Array) -> Array:
    """Tissue is added where there is some already."""
    thick: Array = (outline + by_cm * np.clip(outline / 6.0, 0.0, 1.0)).astype(np.float32)
    return thick


def _apron(rng: np.random.Generator, grid: Grid, outline: Array) -> Array:
    """A belly that hangs over the hips: tissue above a lower edge that sags in the middle, round at its rim."""
    x, y = grid
    edge = rng.uniform(-70.0, 110.0) - rng.uniform(0.0, 70.0) * ((x - rng.normal(0.0, 25.0)) / 160.0) ** 2
    inward = np.maximum(edge.astype(np.float32) - y, 0.0)
    hanging = rng.uniform(0.8, 7.0) * np.sqrt(inward / (inward + rng.uniform(6.0, 50.0)))
    return _thicker(outline, hanging.astype(np.float32))


def _creases(rng: np.random.Generator, grid: Grid, outline: Array) -> Array:
    """Creases of the groin and under the belly: thin lines with less tissue, and one lip thicker than the other."""
    x, y = grid
    for _ in range(rng.integers(1, 5)):
        side = rng.choice([-1.0, 1.0])
        from_middle = side * x - 75.0
        line = rng.uniform(-60.0, 90.0) - rng.normal(0.45, 0.35) * from_middle + rng.normal(0.0, 0.002) * from_middle**2
        off = (y - line).astype(np.float32) / np.float32(rng.uniform(1.2, 4.0))
        here = np.clip(1.0 - np.abs(from_middle) / rng.uniform(40.0, 110.0), 0.0, 1.0).astype(np.float32)
        cut = np.float32(rng.uniform(0.0, 1.3)) / (1.0 + off**2) ** 2
        lip = np.float32(rng.uniform(0.0, 1.2)) * _rise(-off) / (1.0 + np.abs(off) / 10.0)
        outline = _thicker(outline, here * (lip - cut))
    return outline


def _blob(grid: Grid, center_mm: tuple[float, float], half_mm: tuple[float, float]) -> Array:
    """Relative depth (0..1) of an ellipsoid."""
    x, y = grid
    u, v = (x - np.float32(center_mm[0])) / half_mm[0], (y - np.float32(center_mm[1])) / half_mm[1]
    return np.sqrt(np.maximum(1.0 - u * u - v * v, 0.0)).astype(np.float32)


def _bladder(rng: np.random.Generator, grid: Grid, outline: Array) -> Array:
    at = (float(rng.normal(0.0, 10.0)), float(rng.uniform(-55.0, 5.0)))
    filled = _blob(grid, at, (rng.uniform(22.0, 65.0), rng.uniform(18.0, 50.0)))
    return _thicker(outline, np.float32(rng.uniform(0.2, 1.8)) * filled)


def _genitals(rng: np.random.Generator, grid: Grid, outline: Array) -> Array:
    at = (float(rng.normal(0.0, 12.0)), float(rng.uniform(70.0, 125.0)))
    hanging = _blob(grid, at, (rng.uniform(18.0, 45.0), rng.uniform(25.0, 55.0)))
    added: Array = outline + np.float32(rng.uniform(1.0, 5.0)) * hanging
    return added


def _stool(rng: np.random.Generator, grid: Grid, gas: Array) -> Array:
    """Mottled gas of bowel contents over the iliac wings, the sacrum and, now and then, a hip."""
    shape = (gas.shape[0], gas.shape[1])
    fine, broad = smooth_noise(rng, shape, float(rng.uniform(1.0, 2.5)), 1.2), smooth_noise(rng, shape, 5.0)
    mottle = np.maximum(fine + broad, 0.0) / (1.0 + np.abs(fine + broad))
    where = np.zeros_like(gas)
    for _ in range(rng.integers(1, 5)):
        at = (float(rng.uniform(-130.0, 130.0)), float(rng.uniform(-190.0, 5.0)))
        where = np.maximum(where, _blob(grid, at, (rng.uniform(15.0, 60.0), rng.uniform(15.0, 60.0))))
    mottled: Array = gas + np.float32(rng.uniform(0.3, 2.5)) * where * mottle
    return mottled
