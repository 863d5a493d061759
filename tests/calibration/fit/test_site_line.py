"""A recalibration: the line against statsmodels, what shrinking does, and what is refused."""

import numpy as np
import pytest
import statsmodels.api as sm

from bmd_edge.errors import UsageError
from calibration.fit.site_line import fit_line, fit_site, subjects_needed


def site(n: int, seed: int, offset: float = 0.0, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates of a network that shrinks as a least squares predictor does, their spread, and DEXA."""
    rng = np.random.default_rng(seed)
    dexa = rng.normal(0.75, 0.13, n)
    best = 0.75 + 0.82 * (dexa + rng.normal(0, 0.06, n) - 0.75)
    return offset + slope * best, rng.uniform(0.03, 0.05, n), dexa


def names(n: int) -> list[str]:
    return [f"s{k}" for k in range(n)]


@pytest.mark.parametrize("seed", range(6))
def test_the_line_is_that_of_statsmodels_shrunk_by_its_own_errors(seed: int) -> None:
    x, _, y = site(40, seed, 0.05, 0.9)
    oracle = sm.OLS(y, sm.add_constant(x - x.mean())).fit()
    (mean, steep), (mean_error, steep_error) = oracle.params, oracle.bse
    shift = mean - x.mean()
    shift *= max(0, 1 - (mean_error / shift) ** 2)
    steep = 1 + (steep - 1) * max(0, 1 - (steep_error / (steep - 1)) ** 2)
    slope, intercept = fit_line(x, y)
    assert slope == pytest.approx(steep, abs=1e-12)
    assert intercept == pytest.approx(x.mean() + shift - steep * x.mean(), abs=1e-12)


def test_what_a_sample_cannot_tell_from_nothing_does_nothing() -> None:
    untouched = 0
    for seed in range(200):
        x, _, y = site(40, seed)
        slope, intercept = fit_line(x, y)
        untouched += slope == 1 and intercept == 0
    assert untouched > 60  # both deviations are below one standard error in 47 % of such samples
    slope, intercept = fit_line(*(np.array([0.5, 0.7, 0.9, 0.6]),) * 2)
    assert (slope, intercept) == (1, 0)


def test_planted_deviations_are_removed_and_nothing_costs_next_to_nothing() -> None:
    bias, worse, covered = [], [], []
    for seed in range(200):
        for planted, found in ((True, bias), (False, worse)):
            x, spread, y = site(540, seed, *((0.05, 0.9) if planted else (0.0, 1.0)))
            line = fit_site(x[:40], spread[:40], y[:40], names(40)).line
            error = line.intercept_gcm2 + line.slope * x[40:] - y[40:]
            if planted:
                found.append(abs(error.mean()))
                covered.append(np.mean(np.abs(error) <= line.scale * line.slope * spread[40:]))
            else:
                found.append(np.sqrt(np.mean(error**2)) / np.sqrt(np.mean((x - y)[40:] ** 2)) - 1)
    assert np.median(bias) <= 0.010
    assert np.quantile(bias, 0.9) <= 0.020
    assert np.mean(worse) <= 0.02
    assert np.mean(covered) == pytest.approx(0.9, abs=0.015)


def test_the_interval_is_measured_in_corrected_spreads_by_lines_that_did_not_see_the_subject() -> None:
    """As the runtime draws it: estimate +- scale x slope x spread."""
    x, spread, y = site(40, 7, 0.05, 0.8)
    scores = []
    for k in range(40):
        slope, intercept = fit_line(np.delete(x, k), np.delete(y, k))
        scores.append(abs(intercept + slope * x[k] - y[k]) / (slope * spread[k]))
    fitted = fit_site(x, spread, y, names(40)).line
    assert abs(fitted.slope - 1) > 0.05
    assert fitted.scale == pytest.approx(np.sort(scores)[37 - 1], rel=1e-12)  # ceil(0.9 x 41)


def test_two_hips_of_a_subject_are_one_observation() -> None:
    x, spread, y = site(30, 0)
    once = fit_site(x, spread, y, names(30))
    twice = fit_site(np.tile(x, 2), np.tile(spread, 2), np.tile(y, 2), names(30) * 2)
    assert (twice.line.slope, twice.line.intercept_gcm2) == (once.line.slope, once.line.intercept_gcm2)
    assert (twice.line.hips, twice.line.subjects, twice.half_width_gcm2) == (60, 30, once.half_width_gcm2)
    with pytest.raises(UsageError, match="15 subjects"):
        fit_site(x, spread, y, names(15) * 2)


def test_ten_films_are_refused_with_the_number_that_is_needed() -> None:
    x, spread, y = site(10, 3)
    sd = np.std(y - x, ddof=1)
    needed = int(np.ceil((1.96 * sd / 0.01) ** 2))
    assert needed > 30
    message = rf"10 subjects with film and DEXA: too few, 30 are the least, and {needed} give the mean shift to \+-0.01"
    with pytest.raises(UsageError, match=message):
        fit_site(x, spread, y, names(10))
    with pytest.raises(UsageError, match=r"^1 subject with .* 30 are the least$"):
        fit_site(x[:1], spread[:1], y[:1], names(1))
    assert subjects_needed(0.06) == 139  # 1.96^2 x 36 = 138.3
    assert subjects_needed(0.001) == 30


def test_the_half_width_is_that_of_statsmodels() -> None:
    x, spread, y = site(50, 1)
    fit = fit_site(x, spread, y, names(50))
    oracle = sm.OLS(y - x, np.ones(50)).fit()
    assert fit.half_width_gcm2 == pytest.approx(1.96 * oracle.bse[0], rel=1e-12)


@pytest.mark.parametrize(("offset", "slope"), [(0.3, 1.0), (0.0, 0.5), (0.5, 0.3)])
def test_what_no_calibration_can_be_is_refused(offset: float, slope: float) -> None:
    x, spread, y = site(60, 2, offset, slope)
    with pytest.raises(UsageError, match="cannot be believed"):
        fit_site(x, spread, y, names(60))
