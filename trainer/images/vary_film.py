"""Strong random changes of gray levels, texture and objects for the finder, batched; conventions as in `augment`.

The finder has to work on films of a world it has never seen, so its changes are much the stronger: every maker's
processing is taken for one draw among many (domain randomization as in SyntheX, Gao et al., Nature Machine Intelligence
2023). All gray curves of an image are one table, so that a dozen of them cost no more than one.
"""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainer.images.augment import add_noise, local_contrast, occlude, shade, soften, stretch

_LEVELS = 1024  # of a table of gray levels
_BLOCK = 8  # pixels a side of what JPEG codes at once


def vary_film(image: Tensor, rng: Generator, strength: float) -> Tensor:
    """Strong changes for the finder; NaN marks what lies outside the film, before and after."""
    if strength == 0:
        return image
    strength *= float(rng.uniform(0.25, 1.1))  # some batches stay close to the films as they are
    outside = torch.isnan(image)
    x = torch.nan_to_num(stretch(image, 0.02, 0.98), nan=0.0)
    if rng.random() < 0.4:
        x = equalize_locally(x, rng, min(1.0, strength))
    x = shade(x, rng, 0.25 * strength)
    x = gray_curve(x, rng, strength)
    for cells in ((3, 4, 6, 8), (16, 32, 64)):  # sharpening that overshoots, or a blur; a maker's detail boost
        if rng.random() < 0.6:
            x = local_contrast(x, rng, -0.6 * strength, 1.5 * strength, cells)
    if rng.random() < 0.6:
        x = soften(x, rng, min(1.0, strength))
    x = occlude(x, rng, 0.15 * strength)
    if rng.random() < 0.7:
        x = add_noise(x, rng, 0.12 * strength)
    if rng.random() < 0.25:
        x = code_blocks(x, rng, 0.4 * strength)
    return torch.where(outside, torch.nan, x)


def equalize_locally(image: Tensor, rng: Generator, most: float) -> Tensor:
    """Blend with the image whose mean and SD are the same everywhere, on a coarse scale (like CLAHE)."""
    moments = functional.avg_pool2d(torch.cat([image, image.square()], 1), 16)
    moments = functional.avg_pool2d(moments, size := int(rng.choice((3, 5))), 1, size // 2, count_include_pad=False)
    moments = functional.interpolate(moments, size=image.shape[2:], mode="bilinear", align_corners=False)
    mean, square = moments[:, :1], moments[:, 1:]
    flat = 0.5 + 0.2 * (image - mean) * (square - mean.square()).clamp(min=1e-3).rsqrt()
    return torch.lerp(image, flat, _draw(len(image), rng, 0, most))


def gray_curve(image: Tensor, rng: Generator, strength: float) -> Tensor:
    """Each image through a gray curve of its own that never falls; the result is in 0..1.

    In turn: its histogram made even by a random share, saturation at either end, gamma, an S of either sign, bends at
    random places and, in some images, few gray levels.
    """
    n = len(image)
    even = _evened(image, rng.uniform(-0.5, 1, n).clip(0) * min(1.0, strength))
    contrast = 0.18 * strength
    low, high = rng.uniform(-contrast, contrast, (n, 1)), 1 + rng.uniform(-contrast, contrast, (n, 1))
    x = ((even - low) / (high - low)).clip(1e-4, 1)
    x = x ** np.exp(rng.uniform(-0.7, 0.7, (n, 1)) * strength)
    # x + a sin(2 pi x) / (2 pi) rises everywhere for |a| < 1.
    x = x + rng.uniform(-0.8, 0.8, (n, 1)) * min(strength, 1.0) * np.sin(2 * np.pi * x) / (2 * np.pi)
    bends = np.cumsum(rng.gamma(2.0 / max(strength, 0.1), size=(n, 7)) + 1e-3, 1)
    for one, (curve, knots) in enumerate(zip(x, bends / bends[:, -1:], strict=True)):
        if rng.random() < 0.5:
            x[one] = np.interp(curve, np.linspace(0, 1, len(knots) + 1), [0.0, *knots])
        if rng.random() < 0.1 * strength:
            steps = rng.integers(10, 64)
            x[one] = np.rint(x[one] * steps) / steps
    tables = torch.from_numpy(x.astype(np.float32))
    index = (image * (_LEVELS - 1)).round_().clamp_(0, _LEVELS - 1).long().flatten(1)
    return tables.gather(1, index).view_as(image)


def _evened(image: Tensor, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, levels) tables: by their share from the plain ramp to the one that makes an image's histogram even."""
    ramp = np.linspace(0, 1, _LEVELS)
    tables = np.tile(ramp, (len(image), 1))
    for table, part, sample in zip(tables, share, image[:, 0, ::4, ::4].flatten(1).numpy(), strict=True):
        if part > 0:
            counted = np.searchsorted(np.sort(sample[(sample > 0) & (sample < 1)]), ramp)
            table += part * (counted / max(1, counted[-1]) - ramp)
    return tables


def code_blocks(image: Tensor, rng: Generator, most: float) -> Tensor:
    """Round the cosine coefficients of blocks of 8 x 8 pixels, the fine ones more coarsely, as JPEG does."""
    n, size = len(image), image.shape[-1]
    k = np.arange(_BLOCK)
    basis = np.sqrt(2 / _BLOCK) * np.cos(np.pi * (k + 0.5) * k[:, None] / _BLOCK)
    basis[0] /= np.sqrt(2)
    transform = torch.from_numpy(basis.astype(np.float32))
    blocks = image.view(n, size // _BLOCK, _BLOCK, size // _BLOCK, _BLOCK).transpose(2, 3)
    coarse = torch.from_numpy((1.0 + k + k[:, None]).astype(np.float32) / _BLOCK)
    step = coarse * _draw(n, rng, 0.02, max(0.02, most))[..., None].square()
    coded = torch.round(transform @ blocks @ transform.T / step) * step
    return (transform.T @ coded @ transform).transpose(2, 3).reshape(image.shape)


def _draw(n: int, rng: Generator, low: float, high: float) -> Tensor:
    return torch.from_numpy(rng.uniform(low, high, (n, 1, 1, 1)).astype(np.float32))
