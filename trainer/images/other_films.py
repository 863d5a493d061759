"""What films of other units show, batched in torch: their sharpness, detail, gray curves, windows, collimation, labels.

Images are (n, 1, h, w) float32, bone bright, NaN outside the film; they are changed before `normalize`. Each image gets
a share of the changes, of a size of its own. What is drawn over the square stays away from its middle, where the bone
is: a beam's edge or a label that hides bone would change the truth.
"""

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from trainer.images.augment import stretch

BONE_MM = 55.0
"""From the square's center, the midpoint of head center and lesser trochanter, to where nothing is drawn over it."""

_KNOTS = 9
_BANDS = (2, 4, 8, 16)
_EDGES = 3


def as_other_film(image: Tensor, rng: Generator, strength: float, side_mm: float) -> Tensor:
    """Random changes of levels and detail, then what is put over a film; 1 is a strength meant for training."""
    outside = torch.isnan(image)
    x = torch.nan_to_num(stretch(image), nan=0.0)
    x = boost_detail(x, rng, strength)
    x = bend(x, rng, strength)
    x = cut_window(x, rng, strength)
    x = torch.where(outside, torch.nan, x)
    x = put_labels(x, rng, min(1.0, 0.35 * strength), side_mm)
    return collimate(x, rng, min(1.0, 0.5 * strength), side_mm)


def reread(image: Tensor, rng: Generator, share: float) -> Tensor:
    """Read a share of the images between their pixels: a value is a sample in the middle of its pixel, linear between.

    Integrated over a pixel, that hat weighs it and its neighbors 1/8, 3/4, 1/8; each image gets a mixture of this and
    of itself, as films decoded at reduced size are softer by their pixel size. Pixels beside NaN become NaN.
    """
    chosen = torch.from_numpy(np.flatnonzero(rng.random(len(image)) < share))
    sharp = softer = image[chosen]
    for axis in (2, 3):
        padded = torch.cat([softer.narrow(axis, 0, 1), softer, softer.narrow(axis, softer.shape[axis] - 1, 1)], axis)
        ends = padded.narrow(axis, 0, image.shape[axis]) + padded.narrow(axis, 2, image.shape[axis])
        softer = 0.75 * softer + 0.125 * ends
    mixed = torch.lerp(sharp, softer, _per_image(rng.uniform(0, 1, len(chosen))))
    return image.index_copy(0, chosen, mixed)


def boost_detail(image: Tensor, rng: Generator, strength: float) -> Tensor:
    """Add a random multiple, often none, of each of four bands of detail: what makers' multi-scale processing does."""
    n, coarse, total = len(image), image, image
    for size in _BANDS:
        pooled = functional.avg_pool2d(image, size, ceil_mode=True, count_include_pad=False)
        smooth = functional.interpolate(pooled, size=image.shape[2:], mode="bilinear", align_corners=False)
        gain = rng.uniform(-0.4, 1.0, n) * (rng.random(n) < 0.5) * strength
        total = total + _per_image(np.maximum(gain, -0.9)) * (coarse - smooth)
        coarse = smooth
    return total


def bend(image: Tensor, rng: Generator, strength: float) -> Tensor:
    """A random rising curve of gray levels through nine knots, for half of the images."""
    n = len(image)
    bent = strength * (rng.random((n, 1)) < 0.5)
    smooth = np.cumsum(rng.standard_normal((n, _KNOTS - 1)), axis=1)  # neighbors rise alike: a curve, not noise
    rises = np.exp(0.35 * bent * (smooth - smooth.mean(1, keepdims=True)))
    curve = np.concatenate([np.zeros((n, 1)), np.cumsum(rises, axis=1)], axis=1)
    levels = torch.from_numpy((curve / curve[:, -1:]).astype(np.float32))
    place = ((image + 0.1) / 1.2).clamp(0, 1).flatten(1) * (_KNOTS - 1)
    knot = place.floor().clamp(max=_KNOTS - 2).long()
    low, high = levels.gather(1, knot), levels.gather(1, knot + 1)
    bent_image: Tensor = (low + (place - knot) * (high - low)).reshape(image.shape)
    return bent_image


def cut_window(image: Tensor, rng: Generator, strength: float) -> Tensor:
    """Cut levels off at either end, hard or softly, as a display's window burned into the pixels does."""
    n = len(image)
    low = rng.uniform(0, 0.3, n) * (rng.random(n) < 0.3) * min(strength, 1.0)
    high = 1 - rng.uniform(0, 0.3, n) * (rng.random(n) < 0.3) * min(strength, 1.0)
    hard = ((image - _per_image(low)) / _per_image(high - low)).clamp(0, 1)
    steep = _per_image(rng.uniform(0.5, 4.0, n))
    soft = 0.5 + 0.5 * torch.tanh(steep * (hard - 0.5)) / torch.tanh(steep / 2)
    return torch.where(_per_image(rng.random(n) < 0.3 * min(strength, 1.0)) > 0, soft, hard)


def collimate(image: Tensor, rng: Generator, chance: float, side_mm: float) -> Tensor:
    """Up to three beam edges or ends of the film beside the bone; what lies beyond is white, black, gray or NaN."""
    n, size = len(image), image.shape[-1]
    there = (rng.random((n, _EDGES)) < (0.8, 0.4, 0.2)) & (rng.random((n, 1)) < chance)
    angle = np.deg2rad(rng.choice([0.0, 90.0, 180.0, 270.0], (n, _EDGES)) + rng.normal(0, 8, (n, _EDGES)))
    away = np.where(there, rng.uniform(BONE_MM, BONE_MM + 20, (n, _EDGES)), 1e3)
    steps = (torch.arange(size, dtype=torch.float32) + 0.5 - size / 2) * (side_mm / size)
    cos, sin, far = (
        torch.from_numpy(one.astype(np.float32))[..., None, None] for one in (np.cos(angle), np.sin(angle), away)
    )
    beyond = (cos * steps + sin * steps[:, None] - far).amax(1, keepdim=True)  # mm
    width = rng.uniform(0.2, 3.0, n)
    cover = (0.5 + beyond / _per_image(width)).clamp(0, 1)
    kind = rng.integers(0, 4, n)
    level = np.select(
        [kind == 0, kind == 1, kind == 2], [rng.uniform(1, 1.4, n), rng.uniform(-0.3, 0, n), rng.random(n)]
    )
    lost = _per_image(kind == 3)
    covered = torch.lerp(image, _per_image(level).expand_as(image), cover * (1 - lost))
    return torch.where((cover * lost) > 0.5, torch.nan, covered)


def put_labels(image: Tensor, rng: Generator, chance: float, side_mm: float) -> Tensor:
    """Boxes and frames of one level beside the bone, up to two an image: markers, plates, burned-in text blocks."""
    image, size = image.clone(), image.shape[-1]
    per_mm = size / side_mm
    for one in image[:, 0]:
        for _ in range(int(rng.random() < chance) * int(rng.integers(1, 3))):
            angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(BONE_MM + 1, side_mm / 2)
            half = rng.uniform(2, 12, 2)
            away += np.hypot(*half)  # so no box reaches over the bone
            x, y = away * np.cos(angle), away * np.sin(angle)
            left, right = (int(np.clip(size / 2 + (x + s * half[0]) * per_mm, 0, size)) for s in (-1, 1))
            top, bottom = (int(np.clip(size / 2 + (y + s * half[1]) * per_mm, 0, size)) for s in (-1, 1))
            box, level = one[top:bottom, left:right], float(rng.choice([1.3, 1.0, 0.0, -0.2]))
            if rng.random() < 0.3 and min(box.shape) > 4:
                inner = box[1:-1, 1:-1].clone()
                box.fill_(level)
                box[1:-1, 1:-1] = inner
            else:
                box.fill_(level)
    return image


def _per_image(values: NDArray[np.float64] | NDArray[np.bool_] | NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))[:, None, None, None]
