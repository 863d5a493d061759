import numpy as np
import pytest
import torch

from trainer.images.augment import (
    add_noise,
    block_means,
    local_contrast,
    stretch,
    tone,
    vary_roi,
    window,
)


def spot(x: int, y: int, size: int = 64) -> torch.Tensor:
    image = torch.zeros(1, 1, size, size)
    image[0, 0, y - 1 : y + 2, x - 1 : x + 2] = 1
    return image


def test_a_window_of_whole_pixels_is_exact() -> None:
    image = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    image[1, :, :20] = torch.nan
    taken = window(image, 48, np.array([[3.0, -5.0], [0.0, 0.0]]), np.ones(2), np.zeros(2))
    assert taken[0] == pytest.approx(image[0, :, 3:51, 11:59], abs=1e-5)
    assert taken[1].numpy() == pytest.approx(image[1, :, 8:56, 8:56].numpy(), abs=1e-5, nan_ok=True)


def test_a_turned_window_marks_what_was_outside() -> None:
    image = torch.ones(1, 1, 64, 64)
    image[..., :20] = torch.nan
    turned = window(image, 64, np.zeros((1, 2)), np.ones(1), np.array([10.0]))
    assert turned[0, 0, 0, 15].isnan() != turned[0, 0, 63, 15].isnan()
    assert turned[~turned.isnan()] == pytest.approx(1)


def test_a_window_scales_and_turns_about_the_middle() -> None:
    """A scale of 2 shows things half as large; what is seen turns clockwise; beyond the image its edge goes on."""
    image = torch.nn.functional.avg_pool2d(spot(45, 32), 3, 1, 1)
    found = window(image, 32, np.zeros((1, 2)), np.array([2.0]), np.array([90.0]))[0, 0].numpy()
    y, x = np.mgrid[:32, :32] + 0.5
    assert ((found * x).sum() / found.sum(), (found * y).sum() / found.sum()) == pytest.approx((15.75, 22.75), abs=0.1)
    assert window(torch.ones(1, 1, 64, 64), 64, np.full((1, 2), 40.0), np.ones(1), np.zeros(1)) == pytest.approx(1)


def test_stretch_sets_quantiles() -> None:
    image = (
        torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
        * torch.tensor([3.0, 50])[:, None, None, None]
    )
    image[1, :, :20] = torch.nan
    stretched = stretch(image, 0.1, 0.9)
    sample = stretched[:, :, ::4, ::4].flatten(1)
    quantiles = torch.nanquantile(sample, torch.tensor([0.1, 0.9]), dim=1)
    assert quantiles == pytest.approx(torch.tensor([[0.0, 0], [1, 1]]), abs=1e-4)


def test_tone_never_reverses_gray_levels() -> None:
    ramp = torch.linspace(0, 1, 4096).reshape(1, 1, 64, 64).repeat(20, 1, 1, 1)
    curves = tone(ramp, np.random.default_rng(0), 0.8, 0.2, 0.95).flatten(1)
    assert (curves.diff(dim=1) >= -1e-6).all()
    assert (curves.amin(), curves.amax()) == pytest.approx((0, 1), abs=0.2)


def test_local_contrast_acts_on_detail_only() -> None:
    flat = torch.full((1, 1, 64, 64), 0.4)
    assert local_contrast(flat, np.random.default_rng(0), 0.5, 1, (8,)) == pytest.approx(flat)
    edge = spot(30, 30)
    assert local_contrast(edge, np.random.default_rng(0), 0.5, 1, (8,)).amax() > 1.3


def test_noise_stays_below_its_limit() -> None:
    noisy = add_noise(torch.zeros(50, 1, 64, 64), np.random.default_rng(0), 0.1)
    levels = noisy.std((1, 2, 3))
    assert 0.05 < levels.max() <= 0.101
    assert levels.min() < 0.01


def test_no_strength_changes_nothing() -> None:
    image = torch.rand(2, 1, 64, 64)
    assert vary_roi(image, np.random.default_rng(0), 0) is image


def test_roi_variation_keeps_the_outside_and_stays_finite() -> None:
    image = torch.rand(4, 1, 128, 128) * 0.3 + 0.2
    image[0, :, :30] = torch.nan
    for seed in range(8):
        varied = vary_roi(image.clone(), np.random.default_rng(seed), 1.0)
        assert (varied.isnan() == image.isnan()).all()
        assert varied[~varied.isnan()].abs().max() < 10


@pytest.mark.parametrize("size", [1, 2, 4])
def test_block_means_are_those_of_pooling(size: int) -> None:
    image = torch.rand(3, 1, 16, 24)
    image[1, 0, 5, 7] = torch.nan
    expected = torch.nn.functional.avg_pool2d(image, size)
    assert torch.allclose(block_means(image, size), expected, equal_nan=True, rtol=1e-6)
