"""The spread fitted anew: it says the errors that it is shown, hip by hip, and moves nothing else."""

import copy

import numpy as np
import pytest
import torch
from scipy import optimize

from export.onnx_file.spread import LEAST_HIPS, PRIOR_HIPS, fit_spread
from trainer.networks.bmd_net import BmdNet
from trainer.networks.build import build
from trainer.networks.ensemble import Ensemble

N = 400


def network(seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return build("vgg11_se", width=0.125, label_mean=[0.8, 0.9], label_sd=[0.2, 0.1]).eval()


def batches(n: int = N) -> list[np.ndarray]:
    """Bright and dark images, half of each."""
    rng = np.random.default_rng(0)
    images = rng.random((n, 1, 112, 112), np.float32) * np.where(np.arange(n) % 2, 0.4, 1.0)[:, None, None, None]
    return list(images.astype(np.float32).reshape(-1, 20, 1, 112, 112))


def answers(made: torch.nn.Module, images: list[np.ndarray]) -> list[np.ndarray]:
    with torch.no_grad():
        found = [made(torch.from_numpy(batch)) for batch in images]
    return [torch.cat(parts).numpy() for parts in zip(*found, strict=True)]


def shown(made: torch.nn.Module, images: list[np.ndarray]) -> np.ndarray:
    """DEXA of these hips: errors of a Laplace distribution, of scale .02 g/cm2 for the bright and .10 for the dark."""
    noise = np.random.default_rng(1).laplace(0, 1, (N, 2))
    return answers(made, images)[0] + noise * np.where(np.arange(N) % 2, 0.10, 0.02)[:, None]


@pytest.mark.parametrize("members", [1, 2])
def test_the_spread_becomes_the_error_of_such_hips_and_estimates_stay(members: int) -> None:
    made = network(1) if members == 1 else Ensemble([network(1), network(2)]).eval()
    images = batches()
    dexa, before = shown(made, images), answers(made, images)
    assert fit_spread(made, images, dexa)
    bmd, spread, embedding = answers(made, images)
    np.testing.assert_array_equal(bmd, before[0])
    np.testing.assert_array_equal(embedding, before[2])
    assert spread.dtype == np.float32
    dark = np.arange(N) % 2 == 1
    for hips, scale in ((dark, 0.10), (~dark, 0.02)):
        np.testing.assert_allclose(spread[hips].mean(axis=0), scale, rtol=0.2)


def test_it_is_the_largest_posterior_that_scipy_finds_too() -> None:
    made, images = network(3), batches()
    dexa, trained = shown(made, images), copy.deepcopy(made.spread_head)
    bmd, _, embedding = (part.astype(np.float64) for part in answers(made, images))
    error, span, sd = np.abs(bmd - dexa), embedding.std(axis=0, ddof=1), made.label_sd.numpy().astype(np.float64)
    start = trained.weight.detach().numpy().astype(np.float64)

    def loss(values: np.ndarray, site: int) -> float:
        spread = sd[site] * (np.logaddexp(0, embedding @ values[:-1] + values[-1]) + 1e-3)
        prior = PRIOR_HIPS / N * 2 * np.sum(((values[:-1] - start[site]) * span) ** 2)
        return float(np.mean(np.log(spread) + error[:, site] / spread) + prior)

    fit_spread(made, images, dexa)
    for site in range(2):
        best = optimize.minimize(loss, [*start[site], 0.0], (site,), method="L-BFGS-B", options={"maxfun": 200_000})
        found = [*made.spread_head.weight.detach().numpy()[site], made.spread_head.bias.detach().numpy()[site]]
        assert loss(np.array(found, np.float64), site) == pytest.approx(best.fun, abs=1e-4)


def test_few_hips_change_nothing() -> None:
    made, images = network(4), batches(LEAST_HIPS - 20)
    before = copy.deepcopy(made.state_dict())
    assert not fit_spread(made, images, np.full((LEAST_HIPS - 20, 2), 0.8))
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())
    assert isinstance(made, BmdNet)
