"""The groups of trabeculae as lines: principal and secondary, compressive and tensile, and those of the greater
trochanter.

A group is a fan (lines that part from a point) or an arc (circles about it). In its own coordinates, across and along
the lines, one noise tile serves all: short across (1 to 5 mm), long along. Loss of bone takes the groups one by one
(Singh et al., J Bone Joint Surg Am 52, 1970).
"""

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]
F64 = NDArray[np.float64]

GROUPS = ("compressive", "tensile", "secondary_compressive", "secondary_tensile", "trochanter")
VANISHES_AT = (0.8, 2.6, 4.0, 4.4, 3.8)  # grade (1 to 6) at which half of a group is left
TILE = 256
ACROSS_MM, ALONG_MM = 0.25, 1.5
PITCHES_MM = (1.6, 2.6, 4.2)
LONGEST_MM = 9.0
LINES_SEED = 20260202


def visibility(grade: float, chance: F64) -> tuple[float, ...]:
    """How much of each group (0..1) is there at a grade; chance (5,), in grades, moves each."""
    risen = 1.0 / (1.0 + np.exp(-2.2 * (grade + chance - np.array(VANISHES_AT))))
    return tuple(float(v) for v in risen)


@lru_cache(maxsize=4)
def _tiles(pixel_um: int) -> Array:
    """(pitches, across, along) float32: zero mean, unit SD before the pixel's own blur; bright thin lines on dark."""
    rng = np.random.default_rng(LINES_SEED)
    fa = np.fft.fftfreq(TILE, ACROSS_MM)[:, None]
    fl = np.fft.rfftfreq(TILE, ALONG_MM)[None, :]
    tiles = np.empty((len(PITCHES_MM), TILE, TILE), np.float32)
    mm = pixel_um / 1000.0
    for tile, pitch in zip(tiles, PITCHES_MM, strict=True):
        band = np.exp(-0.5 * (np.log(np.maximum(np.abs(fa), 1e-6) * pitch) / 0.45) ** 2 - (fl * 14.0) ** 2)
        field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((TILE, TILE))) * band, s=(TILE, TILE))
        ridges = np.exp(0.7 * field / field.std())
        spectrum = np.fft.rfft2(ridges) * (np.abs(fa) > 1.0 / LONGEST_MM)
        sharp = np.fft.irfft2(spectrum, s=(TILE, TILE))
        seen = np.fft.irfft2(spectrum * np.sinc(fa * mm) * (np.abs(fa) < 0.5 / mm), s=(TILE, TILE))
        tile[:] = seen / sharp.std()
    return tiles


def group_table(points_px: dict[str, tuple[float, float]], pixel_mm: float) -> F64:
    """(5, 8) in mm: is it an arc, center x and y, radius and angle of the middle, width across, place and length along.

    points_px as HipLandmarks.texture_px; pixel_mm at the hip.
    """
    p = {name: np.asarray(xy, float) * pixel_mm for name, xy in points_px.items()}
    head, base, great, less = (p[k] for k in ("head_center", "neck_base", "greater_trochanter", "lesser_trochanter"))
    unit = max(float(np.linalg.norm(head - less)), 1.0)
    down = _unit(p["shaft_end"] - p["shaft_top"])
    lateral = np.array([down[1], -down[0]])
    lateral *= 1.0 if lateral @ (base - head) >= 0 else -1.0
    medial = less + 0.12 * unit * lateral - 0.15 * unit * down
    dome = head - 0.33 * unit * down
    outer = base + 0.27 * unit * lateral + 0.10 * unit * down
    arch = _unit(outer - head)
    inward = np.array([-arch[1], arch[0]])
    inward *= 1.0 if inward @ down >= 0 else -1.0
    middle = 0.5 * (head + outer)
    center = middle + 0.62 * float(np.linalg.norm(outer - head)) * inward
    reach = float(np.linalg.norm(head - center))
    lean = _turn(outer - center, middle - center) * reach * 0.35
    return np.array([
        _fan(medial + 0.8 * unit * _unit(medial - dome), head, 0.17 * unit, -0.25 * unit, 0.75 * unit),
        (1.0, *center, reach + 0.02 * unit, _angle(middle - center), 0.11 * unit, 0.0, 0.62 * unit),
        _fan(less + 0.5 * unit * down, 0.6 * great + 0.4 * base, 0.15 * unit, -0.15 * unit, 0.45 * unit),
        (1.0, *center, reach - 0.27 * unit, _angle(middle - center), 0.09 * unit, lean, 0.40 * unit),
        _fan(great + 1.4 * unit * down - 0.1 * unit * lateral, great, 0.12 * unit, -0.18 * unit, 0.28 * unit),
    ])  # fmt: skip


def _fan(apex: F64, through: F64, width: float, place: float, length: float) -> tuple[float, ...]:
    """Lines from an apex, seen around a point: place and length are counted from that point outward."""
    radius = float(np.linalg.norm(through - apex))
    return (0.0, float(apex[0]), float(apex[1]), radius, _angle(through - apex), width, place, length)


def _unit(v: F64) -> F64:
    return np.asarray(v / max(float(np.linalg.norm(v)), 1e-6))


def _angle(v: F64) -> float:
    return float(np.arctan2(v[1], v[0]))


def _turn(v: F64, w: F64) -> float:
    """Angle from w to v, radians, -pi to pi."""
    return float((_angle(v) - _angle(w) + np.pi) % (2 * np.pi) - np.pi)


def lines(
    mass: Array,
    points_px: dict[str, tuple[float, float]],
    pixel_mm: float,
    visible: tuple[float, ...],
    coarseness: float,
    rng: np.random.Generator,
    pixel_um: int,
) -> Array:
    """The groups' lines over a mass map, float32 of its shape: relative, local mean 0, SD about `visible` within a
    group."""
    gains = np.maximum(1.0 - np.abs(coarseness * 2.0 - np.arange(3.0)), 0.0)
    tile = np.tensordot(gains / np.sqrt((gains**2).sum()), _tiles(pixel_um), 1).astype(np.float32)
    out = np.zeros(mass.shape, np.float32)
    table, shifts = group_table(points_px, pixel_mm), rng.integers(0, TILE, (len(GROUPS), 2)).astype(float)
    _draw(mass, table, np.array(visible), tile, shifts, pixel_mm, out)
    return out


@njit(cache=True, fastmath=True)
def _draw(mass: Array, table: F64, visible: F64, tile: Array, shifts: F64, pixel_mm: float, out: Array) -> None:
    for g in range(table.shape[0]):
        arc, cx, cy, radius, angle, width, place, length = table[g]
        if visible[g] < 0.02:
            continue
        for i in range(mass.shape[0]):
            for j in range(mass.shape[1]):
                if mass[i, j] <= 0.0:
                    continue
                x, y = (j + 0.5) * pixel_mm - cx, (i + 0.5) * pixel_mm - cy
                rho = np.sqrt(x * x + y * y)
                if abs(rho - radius) > (3.0 * width if arc > 0.5 else abs(place) + 1.6 * length):
                    continue
                turn = np.arctan2(y, x) - angle
                turn -= 2.0 * np.pi * np.round(turn / (2.0 * np.pi))
                across, along = turn * radius, rho - radius
                if arc > 0.5:
                    across, along = along, across
                q = (across / width) ** 2 + 2.0 * ((along - place) / length) ** 4
                if q > 8.0:
                    continue
                a, b = across / ACROSS_MM + shifts[g, 0] + 4096.0, along / ALONG_MM + shifts[g, 1] + 4096.0
                ia, ib = int(a), int(b)
                u, v = a - ia, b - ib
                ia, ib = ia % TILE, ib % TILE
                ja, jb = (ia + 1) % TILE, (ib + 1) % TILE
                value = (tile[ia, ib] * (1 - u) + tile[ja, ib] * u) * (1 - v)
                value += (tile[ia, jb] * (1 - u) + tile[ja, jb] * u) * v
                out[i, j] += visible[g] * np.exp(-0.5 * q) * value
