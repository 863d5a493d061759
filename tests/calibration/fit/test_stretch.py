"""Stretched estimates: the reduced major axis, what it does to slope and RMSE, and where it is refused."""

import numpy as np
import pytest
from scipy import stats

from bmd_edge.errors import BundleError
from calibration.fit.stretch import Stretch, fit_stretch


def hips(r: float, seed: int = 0, n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Estimates of a network of least squares, which correlate with DEXA by `r`; two sites of unlike scale."""
    rng = np.random.default_rng(seed)
    dexa = rng.normal([0.75, 0.88], [0.13, 0.20], (n, 2))
    noise = rng.normal(0, np.array([0.13, 0.20]) * np.sqrt(1 / r**2 - 1), (n, 2))
    return [0.75, 0.88] + r**2 * (dexa + noise - [0.75, 0.88]), dexa


def test_the_stretched_estimates_have_mean_and_spread_of_dexa() -> None:
    estimate, dexa = hips(0.9)
    line = fit_stretch(estimate.astype(np.float32), dexa)
    stretched = line.slope * estimate + line.intercept_gcm2
    np.testing.assert_allclose(stretched.mean(axis=0), dexa.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(stretched.std(axis=0), dexa.std(axis=0), rtol=1e-5)


def test_the_line_goes_through_the_means_of_hips_as_they_are_met() -> None:
    (estimate, dexa), (far, of_far) = hips(0.9), hips(0.9, seed=1)
    far, of_far = far + 0.3, of_far + 0.2
    both, truth, people = np.r_[estimate, far], np.r_[dexa, of_far], np.arange(40_000) < 20_000
    line, all_of_them = fit_stretch(both, truth, people), fit_stretch(both, truth)
    np.testing.assert_array_equal(line.slope, all_of_them.slope)
    stretched = line.slope * both + line.intercept_gcm2
    np.testing.assert_allclose(stretched[people].mean(axis=0), dexa.mean(axis=0), atol=1e-9)
    assert (np.abs(stretched[~people].mean(axis=0) - of_far.mean(axis=0)) > 0.05).all()
    np.testing.assert_array_equal(fit_stretch(both, truth, ~people & people).intercept_gcm2, all_of_them.intercept_gcm2)


@pytest.mark.parametrize("r", [0.75, 0.9, 0.95])
def test_slope_becomes_r_and_the_rmse_rises_by_what_the_formula_says(r: float) -> None:
    estimate, dexa = hips(r)
    line = fit_stretch(estimate, dexa)
    stretched = line.slope * estimate + line.intercept_gcm2
    for k in range(2):
        before, after = (stats.linregress(dexa[:, k], found[:, k]).slope for found in (estimate, stretched))
        assert before == pytest.approx(r**2, abs=0.02)
        assert after == pytest.approx(r, abs=0.02)
        rmse = np.sqrt(np.mean((stretched[:, k] - dexa[:, k]) ** 2))
        assert rmse / dexa[:, k].std() == pytest.approx(np.sqrt(2 * (1 - r)), rel=0.02)


def test_estimates_that_know_too_little_are_not_stretched() -> None:
    with pytest.raises(
        BundleError, match=r"--stretch: r = 0\.\d\d at the femoral neck, 0\.7 or more .* export without"
    ):
        fit_stretch(*hips(0.6))
    estimate, dexa = hips(0.9)
    estimate[:, 1] = 0.5
    with pytest.raises(BundleError, match=r"r = 0\.00 at the total hip"):
        fit_stretch(estimate, dexa)


def test_a_bundles_record_names_both_sites() -> None:
    line = Stretch(np.array([1.2, 1.05]), np.array([-0.15, 0.04]))
    assert line.sentence() == "femoral_neck 1.200 x -0.150 g/cm2, total_hip 1.050 x +0.040 g/cm2"
