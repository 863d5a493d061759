import numpy as np
import pytest
import torch

from trainer.images.other_films import (
    BONE_MM,
    as_other_film,
    bend,
    boost_detail,
    collimate,
    cut_window,
    put_labels,
    reread,
)

SIDE_MM = 145.6


def gray(n: int = 40, size: int = 112) -> torch.Tensor:
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(0))


def middle(size: int = 112) -> np.ndarray:
    """Pixels within `BONE_MM` of the center, less one for edges that are not sharp."""
    steps = (np.arange(size) + 0.5 - size / 2) * SIDE_MM / size
    return np.hypot(steps, steps[:, None]) < BONE_MM - 2 * SIDE_MM / size


@pytest.mark.parametrize("put", [collimate, put_labels])
def test_nothing_is_put_over_the_bone(put) -> None:
    image = gray()
    covered = put(image.clone(), np.random.default_rng(0), 1.0, SIDE_MM)
    same = (covered == image).numpy()[:, 0]
    assert same[:, middle()].all()
    touched = (~same).any((1, 2))
    assert touched.mean() > 0.5
    untouched = put(image, np.random.default_rng(0), 0.0, SIDE_MM)
    assert torch.equal(untouched, image)


def test_a_beam_ends_white_black_gray_or_nowhere() -> None:
    covered = collimate(torch.full((200, 1, 112, 112), 0.5), np.random.default_rng(0), 1.0, SIDE_MM)
    assert covered.isnan().any((1, 2, 3)).float().mean() > 0.1
    assert (covered.nan_to_num(0.5).amax((1, 2, 3)) >= 1).float().mean() > 0.1
    assert (covered.nan_to_num(0.5).amin((1, 2, 3)) <= 0).float().mean() > 0.1


def test_rereading_weighs_a_pixel_and_its_neighbors() -> None:
    """One eighth, three quarters, one eighth along each axis, or less of it; a plane and the far away stay."""
    image = torch.zeros(60, 1, 9, 9)
    image[:, :, 4, 4] = 1
    soft = reread(image, np.random.default_rng(0), 1.0)
    assert soft.sum((1, 2, 3)).numpy() == pytest.approx(1, abs=1e-5)
    assert 0.5625 <= soft[:, 0, 4, 4].min() < 0.6
    assert soft[:, 0, 4, 4].max() > 0.9
    share = (1 - soft[:, 0, 4, 4]) / (1 - 0.75**2)
    assert soft[:, 0, 4, 5].numpy() == pytest.approx(share.numpy() * 0.75 / 8, abs=1e-5)
    assert torch.equal(reread(image, np.random.default_rng(0), 0.0), image)


def test_levels_keep_their_order() -> None:
    ramp = torch.linspace(0, 1, 4096).reshape(1, 1, 64, 64).repeat(40, 1, 1, 1)
    for change in (bend, cut_window):
        levels = change(ramp, np.random.default_rng(0), 1.0).flatten(1)
        assert (levels.diff(dim=1) >= -1e-6).all()
        assert (levels - ramp.flatten(1)).abs().amax(1).max() > 0.1
    cut = cut_window(ramp, np.random.default_rng(0), 1.0).flatten(1)
    assert ((cut == 0).float().mean(1) > 0.05).float().mean() > 0.1  # what a window cuts off is of one level


def test_detail_is_boosted_and_planes_are_not() -> None:
    flat = torch.full((9, 1, 112, 112), 0.4)
    assert torch.allclose(boost_detail(flat, np.random.default_rng(0), 1.0), flat, atol=1e-5)
    image = gray(30)
    ratio = boost_detail(image, np.random.default_rng(0), 1.0).std((1, 2, 3)) / image.std((1, 2, 3))
    assert ratio.min() < 0.9
    assert ratio.max() > 1.3


def test_another_film_stays_finite_and_keeps_the_outside() -> None:
    for seed in range(4):
        image = gray(6) * 0.3
        image[0, :, :30] = torch.nan
        image[1] = torch.nan
        image[2] = 0.5
        other = as_other_film(image.clone(), np.random.default_rng(seed), 1.0, SIDE_MM)
        assert other[0, 0, 10, 56].isnan()
        assert other[~other.isnan()].isfinite().all()
        assert not other[3:, 0, 56, 56].isnan().any()
