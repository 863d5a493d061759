import numpy as np
import torch

from trainer.images.vary_film import vary_film


def test_no_strength_changes_nothing() -> None:
    image = torch.rand(2, 1, 64, 64)
    assert vary_film(image, np.random.default_rng(0), 0) is image


def test_film_variation_keeps_the_outside_and_stays_finite() -> None:
    for seed in range(8):
        image = torch.rand(4, 1, 128, 128) * 0.3 + 0.2
        image[0, :, :30] = torch.nan
        image[1] = torch.nan  # nothing of the film
        image[2] = 0.5  # no contrast
        varied = vary_film(image.clone(), np.random.default_rng(seed), 1.0)
        assert (varied.isnan() == image.isnan()).all()
        assert varied[~varied.isnan()].isfinite().all()
        assert varied[~varied.isnan()].abs().max() < 60
