import numpy as np
import pytest
from crepes import ConformalRegressor

from bmd_edge.errors import UsageError
from calibration.statistics.conformal import conformal_scale


def draws(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors whose spread is known only up to a factor, heavy tails included."""
    rng = np.random.default_rng(seed)
    spread = rng.uniform(0.02, 0.1, n)
    return rng.standard_t(4, n) * spread * 0.7, spread


@pytest.mark.parametrize("n", [10, 21, 57, 100, 333, 1001])  # not where (n + 1) coverage is whole: crepes rounds it up
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_the_interval_is_that_of_crepes(n: int, coverage: float) -> None:
    errors, spread = draws(n, n)
    oracle = ConformalRegressor().fit(residuals=errors, sigmas=spread)
    low, high = oracle.predict_int(y_hat=np.array([0.7]), sigmas=np.array([0.05]), confidence=coverage)[0]
    half = conformal_scale(errors, spread, coverage) * 0.05
    np.testing.assert_allclose([0.7 - half, 0.7 + half], [low, high], atol=1e-12)


@pytest.mark.parametrize(("n", "rank"), [(9, 9), (19, 18), (99, 90), (999, 900), (100, 91)])
def test_a_whole_rank_is_not_rounded_up(n: int, rank: int) -> None:
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n + 1))
    assert conformal_scale(scores, np.ones(n), 0.9) == rank


def test_mean_coverage_over_many_draws_is_what_is_promised() -> None:
    covered = []
    for seed in range(400):
        errors, spread = draws(99, seed)
        scale = conformal_scale(errors, spread, 0.9)
        new_errors, new_spread = draws(500, 10_000 + seed)
        covered.append(np.mean(np.abs(new_errors) <= scale * new_spread))
    # exact coverage is 0.9 for n = 99; standard error over 400 draws is about 0.0016
    assert abs(np.mean(covered) - 0.9) < 0.006


def test_width_follows_difficulty() -> None:
    errors, spread = draws(2000, 1)
    scale = conformal_scale(errors, spread, 0.9)
    for hard in (spread < 0.05, spread >= 0.05):
        assert abs(np.mean(np.abs(errors[hard]) <= scale * spread[hard]) - 0.9) < 0.03


def test_too_few_hips_say_how_many_are_needed() -> None:
    errors, spread = draws(8, 0)
    with pytest.raises(UsageError, match="needs 9 hips or more, there are 8"):
        conformal_scale(errors, spread, 0.9)
    assert conformal_scale(*draws(9, 0), 0.9) == pytest.approx(np.max(np.abs(draws(9, 0)[0]) / draws(9, 0)[1]))


@pytest.mark.parametrize(("error", "spread"), [(np.nan, 0.1), (0.1, 0.0), (0.1, -0.1), (0.1, np.nan)])
def test_impossible_values_are_refused(error: float, spread: float) -> None:
    with (
        np.errstate(divide="ignore"),
        pytest.raises(UsageError, match="finite"),
    ):
        conformal_scale(np.full(20, error), np.full(20, spread), 0.9)
