"""Soft tissue around the bone: body outline, thighs, perineum, skin folds, fat planes, bowel gas; and things that lie
in the way.

Body frame: mm at the hip, origin midway between the two head centers, x toward image right, y down. Maps are drawn on
a coarse grid (3 mm) and brought to film pixels by bilinear interpolation; nothing here reads the bone's density.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from trainer.phantom.beam.soft_parts import Leg, add_soft_parts
from trainer.phantom.shapes.coarse_grid import smooth_noise

Array = NDArray[np.float32]
COARSE_MM = 3.0


@dataclass(frozen=True, slots=True)
class Tissue:
    """Coarse maps (h, w) float32: thickness in cm with gas already taken out, and fat share 0..1."""

    thickness_cm: Array
    fat_share: Array


def draw_tissue(
    rng: np.random.Generator,
    bmi: float,
    legs: tuple[Leg, ...],
    x_mm: Array,
    y_mm: Array,
    size: float = 1.0,
    wide: bool = False,
) -> Tissue:
    """Tissue maps on the grid of body-frame coordinates `x_mm` (w,) and `y_mm` (h,); a pure function of the arguments.

    `size` < 1 is a child: coordinates are in units of an adult body, thickness comes out smaller. `wide`: outline,
    thickness and fat are drawn far wider, each by itself and not by the BMI, and muscles, folds and bowel are added.
    """
    rows, cols = y_mm.size, x_mm.size
    if wide:
        x_mm, y_mm = _fast_length(x_mm), _fast_length(y_mm)
    x, y = np.meshgrid(x_mm.astype(np.float32), y_mm.astype(np.float32))
    shape = (x.shape[0], x.shape[1])
    shape_bmi, fat_bmi = rng.uniform([15.0, 8.0], [46.0, 48.0]) if wide else (bmi, bmi)
    torso = _torso(rng, shape_bmi, x, y)
    thighs = [_thigh(rng, shape_bmi, leg, x, y) for leg in legs]
    outline = _soft_max([torso, *thighs])
    uneven = rng.uniform(0.006, 0.025)
    outline *= 1.0 + uneven * smooth_noise(rng, shape, float(rng.uniform(10.0, 40.0)) if wide else 14.0)
    outline = _folds(rng, outline, x, y)
    fat = _fat(rng, fat_bmi, outline, shape, float(rng.uniform(0.0, 0.9)) if wide else 1.0)
    gas = _gas(rng, x, y)
    if wide:
        outline = outline * np.float32(np.exp(rng.normal(0.0, 0.15)))
        outline, fat, gas = add_soft_parts(rng, legs, (x, y), outline, fat, gas)
    left = np.maximum(outline - np.minimum(gas, 0.6 * outline), 0.0)
    return Tissue((size * left).astype(np.float32)[:rows, :cols], fat[:rows, :cols])


def _fast_length(axis_mm: Array) -> Array:
    """An even axis grown to a length that the Fourier transforms of the noise like: up to four times cheaper."""
    longer: Array = axis_mm[0] + (axis_mm[1] - axis_mm[0]) * np.arange(next_fast_len(axis_mm.size, real=True))
    return longer


def draw_limb(rng: np.random.Generator, x_mm: Array, y_mm: Array) -> Tissue:
    """Tissue of another body part: a tube or a trunk around the vertical axis, or almost nothing; for scenes without
    a hip.
    """
    x, y = np.meshgrid(x_mm.astype(np.float32), y_mm.astype(np.float32))
    half, lean = rng.uniform(35.0, 220.0), rng.normal(0.0, 0.06)
    depth = min(2.0 * half / 10.0, 20.0) * rng.uniform(0.5, 1.0)
    width = half * (1.0 + rng.normal(0.0, 0.15) * np.tanh(y / 80.0))
    outline = depth * np.maximum(1.0 - np.abs((x + lean * y) / np.maximum(width, 10.0)) ** 2.2, 0.0) ** 0.5
    outline = _folds(
        rng, outline.astype(np.float32) * (1.0 + 0.06 * smooth_noise(rng, (x.shape[0], x.shape[1]), 10.0)), x, y
    )
    fat = _fat(rng, 25.0, outline, x.shape)
    gas = _gas(rng, x, y) if rng.random() < 0.3 else np.zeros_like(x)
    left = np.maximum(outline - np.minimum(2.0 * gas, 0.7 * outline), 0.0)
    return Tissue(left.astype(np.float32), fat)


def _soft_max(parts: list[Array]) -> Array:
    """The 7-norm, by products: a float power costs ten times as much."""
    total = np.zeros_like(parts[0])
    for part in parts:
        cube = np.maximum(part, 0.0) ** 2 * np.maximum(part, 0.0)
        total += cube * cube * np.maximum(part, 0.0)
    return np.asarray(total ** np.float32(1.0 / 7.0), np.float32)


def _torso(rng: np.random.Generator, bmi: float, x: Array, y: Array) -> Array:
    width = 170.0 + 5.5 * (bmi - 25.0) + rng.normal(0.0, 7.0)
    depth_cm = np.clip(18.0 + 0.55 * (bmi - 25.0) + rng.normal(0.0, 1.2), 12.0, 34.0)
    waist = rng.uniform(0.02, 0.16)
    belly_cm = max(rng.normal(0.12 * (bmi - 24.0), 0.9), -1.5)
    half = width * (1.0 - waist * np.exp(-(((y + 190.0) / 80.0) ** 2)) + 0.03 * np.exp(-(((y - 30.0) / 50.0) ** 2)))
    depth = depth_cm + belly_cm / (1.0 + np.exp((y + 90.0) / 22.0))
    power = rng.uniform(2.1, 3.0)
    profile = depth * np.maximum(1.0 - np.abs(x / half) ** power, 0.0) ** (1.0 / power)
    end = rng.uniform(60.0, 90.0) - 0.10 * np.abs(x)
    return np.asarray(profile * np.maximum(1.0 - np.maximum((y - end + 60.0) / 60.0, 0.0) ** 2, 0.0) ** 0.5, np.float32)


def _thigh(rng: np.random.Generator, bmi: float, leg: Leg, x: Array, y: Array) -> Array:
    half0 = 84.0 + 2.6 * (bmi - 25.0) + rng.normal(0.0, 5.0)
    (dx, dy), sign = leg.direction, 1.0 if leg.center_mm[0] > 0 else -1.0
    along = (x - leg.center_mm[0]) * dx + (y - leg.center_mm[1]) * dy
    across = (x - leg.center_mm[0]) * dy - (y - leg.center_mm[1]) * dx - sign * rng.uniform(-4.0, 10.0)
    half = np.maximum(half0 - 0.11 * np.maximum(along - 60.0, 0.0), 45.0)
    thickness = 2.0 * half * rng.uniform(0.86, 1.02) / 10.0
    profile = thickness * np.maximum(1.0 - (across / half) ** 2, 0.0) ** 0.5
    start = np.clip((along + 90.0) / 130.0, 0.0, 1.0)
    return np.asarray(profile * start * start * (3.0 - 2.0 * start), np.float32)


def _folds(rng: np.random.Generator, outline: Array, x: Array, y: Array) -> Array:
    """Abdominal apron, groin and buttock creases: smooth steps of thickness along gently curved lines."""
    for _ in range(rng.integers(0, 4)):
        level, slope, bend = rng.uniform(-60.0, 110.0), rng.normal(0.0, 0.35), rng.normal(0.0, 0.0015)
        side = rng.choice([-1.0, 1.0])
        offset = y - level - side * slope * x - bend * x * x
        width, step_cm = rng.uniform(2.0, 12.0), rng.uniform(0.2, 1.8)
        outline = outline + step_cm / (1.0 + np.exp(np.clip(offset / width, -30, 30))) * np.clip(
            outline / 8.0, 0.0, 1.0
        )
    return outline


def _fat(rng: np.random.Generator, bmi: float, outline: Array, shape: tuple[int, ...], mottled: float = 1.0) -> Array:
    base = np.clip(0.28 + 0.018 * (bmi - 25.0) + rng.normal(0.0, 0.08), 0.08, 0.7)
    shape2 = (shape[0], shape[1])
    clouds = 0.05 * smooth_noise(rng, shape2, 9.0) + 0.02 * smooth_noise(rng, shape2, 2.0)
    planes = 0.10 * np.tanh(3.0 * smooth_noise(rng, shape2, 8.0, 2.0)) * rng.uniform(0.2, 1.0)
    rim = 0.5 * np.exp(-outline / 5.0)
    share: Array = np.clip(base + mottled * (clouds + planes) + rim, 0.0, 1.0).astype(np.float32)
    return share


def _gas(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Bowel gas (cm): clusters of bubbles above the hips, sometimes the rectum; zero in a third of the films."""
    gas = np.zeros_like(x)
    if rng.random() < 0.33:
        return gas
    for _ in range(rng.integers(1, 6)):
        cx, cy = rng.uniform(-130.0, 130.0), rng.uniform(-220.0, -35.0)
        for _ in range(rng.integers(1, 7)):
            px, py = cx + rng.normal(0.0, 18.0), cy + rng.normal(0.0, 14.0)
            a, b, turn = rng.uniform(6.0, 26.0), rng.uniform(5.0, 16.0), rng.uniform(0.0, np.pi)
            reach, deep = max(a, b), rng.uniform(0.8, 3.5)
            rows = slice(*np.searchsorted(y[:, 0], (py - reach, py + reach)))
            cols = slice(*np.searchsorted(x[0], (px - reach, px + reach)))
            right, down = x[rows, cols] - px, y[rows, cols] - py
            u = (right * np.cos(turn) + down * np.sin(turn)) / a
            v = (down * np.cos(turn) - right * np.sin(turn)) / b
            bubble = deep * np.maximum(1.0 - u * u - v * v, 0.0) ** 0.4
            gas[rows, cols] = np.maximum(gas[rows, cols], bubble.astype(np.float32))
    uneven: Array = gas * np.clip(1.0 + 0.3 * smooth_noise(rng, (x.shape[0], x.shape[1]), 4.0), 0.3, 2.0)
    return uneven
