"""Strong random changes of gray levels, texture and objects for the finder, batched; conventions as in `augment`.

The finder has to work on films of a world it has never seen, so its changes are much the stronger.
"""

import torch
from numpy.random import Generator
from torch import Tensor

from trainer.images.augment import add_noise, local_contrast, occlude, shade, soften, stretch, tone


def vary_film(image: Tensor, rng: Generator, strength: float) -> Tensor:
    """Strong changes for the finder; NaN marks what lies outside the film, before and after."""
    if strength == 0:
        return image
    strength *= float(rng.uniform(0.25, 1.1))  # some batches stay close to the films as they are
    outside = torch.isnan(image)
    x = torch.nan_to_num(stretch(image, 0.02, 0.98), nan=0.0)
    for cells in ((4, 8), (16, 32, 64)):
        if rng.random() < 0.7:
            x = local_contrast(x, rng, -0.6 * strength, 1.5 * strength, cells)
    x = shade(x, rng, 0.25 * strength)
    x = tone(x, rng, 0.7 * strength, 0.18 * strength, 0.8 * min(strength, 1.0))
    x = soften(x, rng, min(1.0, strength))
    x = occlude(x, rng, 0.15 * strength)
    x = add_noise(x, rng, 0.15 * strength)
    return torch.where(outside, torch.nan, x)
