"""Coarse grids and back: block means and smooth upsampling, so that slow fields cost little."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def block_mean(image: Array, step: int) -> Array:
    """Mean of step x step blocks, float32 (ceil(h/step), ceil(w/step)); the last blocks repeat the border pixel."""
    if step == 1:
        return image.astype(np.float32)
    rows, cols = -image.shape[0] % step, -image.shape[1] % step
    padded = np.pad(image, ((0, rows), (0, cols)), mode="edge") if rows or cols else image
    strips = np.add.reduce(padded.reshape(-1, step, padded.shape[1]), axis=1)
    return (strips.reshape(strips.shape[0], -1, step).sum(axis=2) / np.float32(step * step)).astype(np.float32)


@lru_cache(maxsize=64)
def _interpolation(n_out: int, n_in: int, step: float, offset: float) -> Array:
    """Rows of linear weights (n_out, n_in): output pixel centers seen on a grid of blocks `step` wide, clamped at the
    ends.
    """
    where = np.clip((np.arange(n_out) + 0.5 + offset) / step - 0.5, 0.0, n_in - 1.0)
    low = np.minimum(where.astype(int), max(n_in - 2, 0))
    weights = np.zeros((n_out, n_in), np.float32)
    weights[np.arange(n_out), low] = 1.0 - (where - low)
    if n_in > 1:
        weights[np.arange(n_out), low + 1] += where - low
    return weights


def upsample(coarse: Array, shape: tuple[int, int], step: float, offset: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Bilinear view of a coarse grid on `shape` fine pixels, float32; `step` fine pixels a block, `offset` (row, col)
    fine pixels in.
    """
    down = _interpolation(shape[0], coarse.shape[0], float(step), float(offset[0]))
    across = _interpolation(shape[1], coarse.shape[1], float(step), float(offset[1]))
    return (down @ coarse.astype(np.float32)) @ across.T


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], correlation_px: float, power: float = 1.5) -> Array:
    """Zero-mean, unit-SD random field, float32: a power-law spectrum cut at a correlation length (in pixels of
    `shape`).
    """
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    amplitude = (1.0 + (frequency * correlation_px * 2.0) ** 2) ** -power
    amplitude[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * amplitude, s=shape)
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)
