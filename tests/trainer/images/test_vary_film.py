import numpy as np
import pytest
import torch
from torch.nn import functional

from trainer.images.vary_film import code_blocks, equalize_locally, gray_curve, vary_film


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


def test_gray_curves_rise_and_use_the_range() -> None:
    ramp = torch.linspace(0, 1, 4096).reshape(1, 1, 64, 64).repeat(40, 1, 1, 1)
    curves = gray_curve(ramp, np.random.default_rng(0), 1.0).flatten(1)
    assert (curves.diff(dim=1) >= -1e-6).all()
    assert (curves.amin(), curves.amax()) == (pytest.approx(0, abs=0.05), pytest.approx(1, abs=0.05))
    assert (curves[:, 2048].amin(), curves[:, 2048].amax()) == (
        pytest.approx(0.2, abs=0.2),
        pytest.approx(0.8, abs=0.2),
    )


def test_local_equalization_lifts_what_is_faint() -> None:
    """The left half has a tenth of the right half's contrast and comes near it."""
    image = torch.rand(8, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    image[..., :64] = 0.5 + 0.1 * (image[..., :64] - 0.5)
    equal = equalize_locally(image, np.random.default_rng(0), 1.0)
    ratio = equal[..., 16:48].std((1, 2, 3)) / equal[..., 80:112].std((1, 2, 3))
    assert ratio.max() > 0.4


def test_coded_blocks_lose_detail_and_keep_their_mean() -> None:
    image = torch.rand(4, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    coded = code_blocks(image, np.random.default_rng(0), 0.4)
    assert coded.shape == image.shape
    assert not torch.allclose(coded, image, atol=1e-2)
    blocks = functional.avg_pool2d(coded - image, 8).abs()
    assert blocks.max() < 0.02 < (coded - image).abs().max()
    assert torch.allclose(code_blocks(image, np.random.default_rng(0), 0.0), image, atol=2e-3)
