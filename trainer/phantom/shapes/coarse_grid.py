"""Coarse grids and back: block means and smooth upsampling, so that slow fields cost little."""

from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float32]


def block_mean(image: Array, step: int) -> Array:
    """Mean of step x step blocks, float32 (ceil(h/step), ceil(w/step)); the last blocks repeat the border pixel."""
    if step == 1:
        return image.astype(np.float32)
    rows, cols = -image.shape[0] % step, -image.shape[1] % step
    padded = np.pad(image, ((0, rows), (0, cols)), mode="edge") if rows or cols else image
    strips = np.add.reduce(padded.reshape(-1, step, padded.shape[1]), axis=1)
    means: Array = strips.reshape(strips.shape[0], -1, step).sum(axis=2) / np.float32(step * step)
    return means.astype(np.float32)


@lru_cache(maxsize=64)
def _interpolation(n_out: int, n_in: int, step: float, offset: float) -> tuple[NDArray[np.int64], Array]:
    """Left neighbor and weight of the right one (n_out,) for output pixel centers on a grid of blocks `step` wide,
    clamped at the ends.
    """
    where = np.clip((np.arange(n_out) + 0.5 + offset) / step - 0.5, 0.0, n_in - 1.0)
    low = np.minimum(where.astype(np.int64), max(n_in - 2, 0))
    return low, (where - low).astype(np.float32)


def upsample(coarse: Array, shape: tuple[int, int], step: float, offset: tuple[float, float] = (0.0, 0.0)) -> Array:
    """Bilinear view of a coarse grid on `shape` fine pixels, float32; `step` fine pixels a block, `offset` (row, col)
    fine pixels in.
    """
    top, down = _interpolation(shape[0], coarse.shape[0], float(step), float(offset[0]))
    left, across = _interpolation(shape[1], coarse.shape[1], float(step), float(offset[1]))
    fine = np.empty(shape, np.float32)
    _blend(np.ascontiguousarray(coarse, np.float32), top, down, left, across, fine)
    return fine


@njit(cache=True)
def _blend(
    coarse: Array, top: NDArray[np.int64], down: Array, left: NDArray[np.int64], across: Array, fine: Array
) -> None:
    line = np.empty(coarse.shape[1], np.float32)
    for i in range(fine.shape[0]):
        above, below = coarse[top[i]], coarse[min(top[i] + 1, coarse.shape[0] - 1)]
        for k in range(line.size):
            line[k] = above[k] + down[i] * (below[k] - above[k])
        for j in range(fine.shape[1]):
            a, b = line[left[j]], line[min(left[j] + 1, line.size - 1)]
            fine[i, j] = a + across[j] * (b - a)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], correlation_px: float, power: float = 1.5) -> Array:
    """Zero-mean, unit-SD random field, float32: a power-law spectrum cut at a correlation length (in pixels of
    `shape`).
    """
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    amplitude = (1.0 + (frequency * correlation_px * 2.0) ** 2) ** -power
    amplitude[0, 0] = 0.0
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(shape)) * amplitude, s=shape)
    return (field / max(float(field.std()), 1e-9)).astype(np.float32)
