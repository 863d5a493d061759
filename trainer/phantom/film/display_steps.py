"""Steps of a display chain beyond bands and S-curve: smoothing that keeps edges, unsharp masking, local equalization, a
drawn LUT, soft clipping.

Images are float32 (h, w). None of the named makers' styles uses these; the wide random ones do.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from trainer.phantom.shapes.coarse_grid import block_mean, upsample

Array = NDArray[np.float32]

EQUALIZE_BINS = 64


@dataclass(frozen=True, slots=True)
class Steps:
    """Extra steps; the defaults change nothing.

    `linear`: exponent p of the detector response (1 - signal**p) / p that stays in; 0 is the logarithm, 1 none at all.
    `smooth_mm`, `smooth_sd`: reach of the edge-keeping smoothing and the contrast (share of the body's spread) that it
    takes for an edge. `sharp_mm`, `sharp`: unsharp mask. `level_error`: how far (in ranges) exposure recognition sets
    its lower and upper level too high. `lut`: display values at even steps from 0 to 1. `tile_mm`, `equalize`: tiles of
    local equalization and its share. `soft_clip`: how gently (display units) values are clipped at 0 and 1.
    """

    linear: float = 0.0
    smooth_mm: float = 0.0
    smooth_sd: float = 0.1
    sharp_mm: float = 1.0
    sharp: float = 0.0
    level_error: tuple[float, float] = (0.0, 0.0)
    lut: tuple[float, ...] = ()
    tile_mm: float = 40.0
    equalize: float = 0.0
    soft_clip: float = 0.0


PLAIN = Steps()


def draw_steps(rng: np.random.Generator) -> Steps:
    """Random steps, each in a share of the films."""

    def some(share: float, value: float) -> float:
        return float(value) if rng.random() < share else 0.0

    increments = np.exp(rng.normal(0.0, rng.uniform(0.0, 0.6), 4))
    curve = np.cumsum(np.interp(np.linspace(0, 3, 16), np.arange(4), increments))
    below, above = some(0.4, rng.normal(0.0, 0.25)), some(0.5, rng.normal(-0.05, 0.25))
    sharp_mm = float(np.exp(rng.uniform(np.log(0.4), np.log(12.0))))
    return Steps(
        linear=some(0.25, rng.uniform(0.05, 0.7)),
        smooth_mm=some(0.25, rng.uniform(0.8, 2.5)),
        smooth_sd=float(rng.uniform(0.02, 0.10)),
        sharp_mm=sharp_mm,
        sharp=some(0.35, rng.uniform(0.1, 1.8) / (1.0 + 0.25 * sharp_mm)),
        level_error=(min(below, above + 0.35), above),
        lut=(0.0, *(float(v) for v in curve / curve[-1])) if rng.random() < 0.4 else (),
        tile_mm=float(rng.uniform(20.0, 90.0)),
        equalize=some(0.2, rng.uniform(0.15, 0.8)),
        soft_clip=some(0.4, rng.uniform(0.03, 0.25)),
    )


def respond(signal: Array, linear: float) -> Array:
    """Detector signal as attenuation, bone high: -ln s, or (1 - s**p) / p."""
    if linear == 0.0:
        return np.asarray(-np.log(signal))
    return ((1.0 - signal ** np.float32(linear)) / np.float32(linear)).astype(np.float32)


def smoothed(image: Array, steps: Steps, spread: float, pixel_mm: float) -> Array:
    """Edge-keeping smoothing: He, Sun, Tang 2013, guided filter, the image its own guide."""
    size = 2 * max(round(steps.smooth_mm / pixel_mm), 1) + 1
    if steps.smooth_mm < 0.6 * pixel_mm:
        return image
    mean = uniform_filter(image, size, mode="nearest")
    variance = np.maximum(uniform_filter(image * image, size, mode="nearest") - mean * mean, 0.0)
    keep = variance / (variance + np.float32((steps.smooth_sd * spread) ** 2))
    shift = uniform_filter((1.0 - keep) * mean, size, mode="nearest")
    result: Array = uniform_filter(keep, size, mode="nearest") * image + shift
    return result


def sharpened(image: Array, steps: Steps, pixel_mm: float) -> Array:
    """Unsharp mask; a wide one is blurred on a coarse grid."""
    sigma = steps.sharp_mm / pixel_mm
    step = max(int(sigma / 2.0), 1)
    blurred = gaussian_filter(block_mean(image, step), sigma / step, mode="nearest", truncate=3.0)
    if step > 1:
        blurred = upsample(blurred, (image.shape[0], image.shape[1]), step)
    result: Array = image + np.float32(steps.sharp) * (image - blurred)
    return result


def finished(shown: Array, steps: Steps, pixel_mm: float) -> Array:
    """Display values through LUT, local equalization and soft clipping; nominal range 0..1."""
    if steps.lut:
        inside = np.clip(shown, 0.0, 1.0)
        shown = _look_up(inside, np.asarray(steps.lut, np.float32)) + (shown - inside)
    if steps.equalize:
        shown = shown + np.float32(steps.equalize) * (_equalized(shown, steps.tile_mm / pixel_mm) - shown)
    if steps.soft_clip:
        width = np.float32(steps.soft_clip)
        shown = 0.5 * (shown + np.sqrt(shown * shown + width * width))
        shown = 0.5 * (1.0 + shown - np.sqrt((shown - 1.0) ** 2 + width * width))
    return shown.astype(np.float32, copy=False)


@numba.njit(cache=True)
def _look_up(values: Array, lut: Array) -> Array:
    """Linear interpolation of `lut`, given at even steps from 0 to 1, at values of 0..1."""
    out = np.empty_like(values)
    last = lut.size - 1
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            at = values[i, j] * last
            k = min(int(at), last - 1)
            out[i, j] = lut[k] + (at - k) * (lut[k + 1] - lut[k])
    return out


def _equalized(shown: Array, tile_px: float) -> Array:
    """Contrast-limited adaptive equalization (Zuiderveld 1994): clipped histograms of tiles, blended between them."""
    rows, cols = (max(round(n / max(tile_px, 8.0)), 2) for n in shown.shape)
    return _blend_tiles(shown, _tile_curves(shown, rows, cols, 3.0))


@numba.njit(cache=True)
def _tile_curves(shown: Array, rows: int, cols: int, limit: float) -> Array:
    """Cumulative histograms (rows, cols, bins + 1) of the tiles; no bin counts more than `limit` times the mean."""
    curves = np.zeros((rows, cols, EQUALIZE_BINS + 1), np.float32)
    height, width = shown.shape
    for r in range(rows):
        for c in range(cols):
            counts = np.zeros(EQUALIZE_BINS, np.float32)
            for i in range(r * height // rows, (r + 1) * height // rows):
                for j in range(c * width // cols, (c + 1) * width // cols):
                    value = min(max(shown[i, j], np.float32(0.0)), np.float32(1.0))
                    counts[min(int(value * EQUALIZE_BINS), EQUALIZE_BINS - 1)] += 1.0
            mean = counts.sum() / EQUALIZE_BINS
            excess = np.maximum(counts - limit * mean, 0.0).sum() / EQUALIZE_BINS
            total = np.float32(0.0)
            for b in range(EQUALIZE_BINS):
                total += min(counts[b], np.float32(limit * mean)) + excess
                curves[r, c, b + 1] = total
            curves[r, c] /= max(total, np.float32(1e-6))
    return curves


@numba.njit(cache=True)
def _blend_tiles(shown: Array, curves: Array) -> Array:
    rows, cols, last = curves.shape[0], curves.shape[1], curves.shape[2] - 1
    height, width = shown.shape
    out = np.empty_like(shown)
    for i in range(height):
        y = min(max((i + 0.5) * rows / height - 0.5, 0.0), rows - 1.0)
        r = min(int(y), rows - 2)
        v = y - r
        for j in range(width):
            x = min(max((j + 0.5) * cols / width - 0.5, 0.0), cols - 1.0)
            c = min(int(x), cols - 2)
            u = x - c
            value = min(max(shown[i, j], np.float32(0.0)), np.float32(1.0)) * last
            k = min(int(value), last - 1)
            f = value - k
            low = (1 - v) * ((1 - u) * curves[r, c, k] + u * curves[r, c + 1, k]) + v * (
                (1 - u) * curves[r + 1, c, k] + u * curves[r + 1, c + 1, k]
            )
            high = (1 - v) * ((1 - u) * curves[r, c, k + 1] + u * curves[r, c + 1, k + 1]) + v * (
                (1 - u) * curves[r + 1, c, k + 1] + u * curves[r + 1, c + 1, k + 1]
            )
            out[i, j] = low + f * (high - low)
    return out
