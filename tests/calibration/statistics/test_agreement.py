"""Figures of agreement against oracle libraries."""

from pathlib import Path

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn import metrics
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from bmd_edge.sites import SITES
from calibration.statistics import agreement, bootstrap, detection
from export.make_bundle import accuracy
from tests.calibration.statistics.paired_values import one, paired_cohort
from trainer.methods.supervised import site_metrics
from trainer.phantom.judge import score
from trainer.phantom.judge.score import HipScore

PACKAGES = ("bmd_edge", "trainer", "export", "calibration")


def test_agreement_is_what_the_libraries_say():
    data = paired_cohort()
    found = one(agreement.figures(data, np.ones((1, 200))))
    line = OLS(data.y, add_constant(data.x)).fit()
    difference = data.x - data.y
    sd = difference.std(ddof=1)
    expected = {
        "r": stats.pearsonr(data.x, data.y).statistic,
        "ccc": 2 * np.cov(data.x, data.y, ddof=0)[0, 1] / (data.x.var() + data.y.var() + difference.mean() ** 2),
        "rmse_gcm2": metrics.root_mean_squared_error(data.y, data.x),
        "mae_gcm2": metrics.mean_absolute_error(data.y, data.x),
        "bias_gcm2": difference.mean(),
        "sd_difference_gcm2": sd,
        "loa_low_gcm2": difference.mean() - 1.959964 * sd,
        "loa_high_gcm2": difference.mean() + 1.959964 * sd,
        "slope": line.params[1],
        "intercept_gcm2": line.params[0],
        "within_lsc": np.mean(np.abs(difference) <= 2.77 * 0.015 * data.y),
        "coverage": np.mean((data.low <= data.y) & (data.y <= data.high)),
    }
    assert found == pytest.approx(expected, abs=1e-6)


def test_weights_count_hips_like_repeating_them():
    data, times = paired_cohort(50), np.random.default_rng(1).integers(0, 4, 50)
    repeated = agreement.Data(*(np.repeat(values, times) for values in data))
    weighted = one(agreement.figures(data, times[None].astype(float)))
    assert weighted == pytest.approx(one(agreement.figures(repeated, np.ones((1, times.sum())))))
    low = data.y < 0.7
    weighted = one(detection.areas(data.x, low, times[None].astype(float)))
    again = detection.areas(repeated.x, np.repeat(low, times), np.ones((1, times.sum())))
    assert weighted == pytest.approx(one(again))


def test_figures_that_do_not_exist_are_none():
    found = bootstrap.by_subject(lambda w: agreement.figures(agreement.Data(*np.ones((5, 4))), w), list("abcd"))
    assert found["r"] == (None, None, None)
    assert found["coverage"] == (1.0, None, None)
    empty = bootstrap.by_subject(lambda w: agreement.figures(agreement.Data(*np.ones((5, 0))), w), [])
    assert set(empty.values()) == {(None, None, None)}


def test_demings_line_minimizes_the_weighted_distance():
    data = paired_cohort()
    ratio = agreement.error_ratio(data)
    found = one(agreement.deming(data, ratio, np.ones((1, 200))))

    def distance(line):
        return np.sum((data.y - line[0] * data.x - line[1]) ** 2 / (ratio + line[0] ** 2))

    best = optimize.minimize(distance, (1.0, 0.0), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}).x
    assert [found["deming_slope"], found["deming_intercept_gcm2"]] == pytest.approx(list(best), abs=1e-5)


def test_exact_limits_hold_what_they_promise():
    """The interval of the upper limit of agreement covers the true one in 95 % of samples, even of 12 hips."""
    rng = np.random.default_rng(3)
    draws = rng.normal(0.01, 0.05, (4000, 12))
    true = 0.01 + agreement.Z * 0.05
    found = [agreement.exact_limits(draw).high for draw in draws]
    inside = [low <= true <= high for _, low, high in found]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.011)  # three standard errors


def test_exact_limits_approach_those_of_bland_and_altman():
    difference = np.random.default_rng(4).normal(0, 0.05, 5000)
    low, high = agreement.exact_limits(difference)
    half = stats.t.ppf(0.975, 4999) * difference.std(ddof=1) * np.sqrt(1 / 5000 + agreement.Z**2 / (2 * 4999))
    assert high[2] - high[1] == pytest.approx(2 * half, rel=0.01)
    assert low[1] < low[0] < low[2] < high[1] < high[0] < high[2]
    assert agreement.exact_limits(difference[:2]) is None


def test_everyone_takes_agreement_from_one_place():
    """The phantom's score, a training's log and the model card, against scipy and numpy."""
    rng = np.random.default_rng(4)
    label = rng.normal(0.7, 0.13, (80, 2))
    estimate = 0.1 + 0.9 * label + rng.normal(0, 0.06, (80, 2))
    hips = [
        HipScore("intact", "bmd", "R", "R", "read", None, (), tuple(y), tuple(y), tuple(x), tuple(x - 1), tuple(x + 1))
        for x, y in zip(estimate, label, strict=True)
    ]
    log = site_metrics(estimate.astype(np.float32), np.ones((80, 2), np.float32), label.astype(np.float32))
    card = accuracy(estimate, label)
    for column, site in enumerate(SITES):
        x, y = estimate[:, column], label[:, column]
        line = stats.linregress(x, y)
        said = score._agreement(hips, column)
        wanted = {"r": line.rvalue, "rmse_gcm2": np.sqrt(np.mean((x - y) ** 2)), "bias_gcm2": np.mean(x - y)}
        for name, value in wanted.items():
            assert said[name] == round(value, 4)
            assert card[site][name] == pytest.approx(value, abs=1e-12)
            assert log[f"val_{name}_{site}"] == pytest.approx(value, abs=1e-6)
        assert (said["slope"], said["intercept_gcm2"]) == (round(line.slope, 4), round(line.intercept, 4))
    assert site_metrics(np.ones((80, 2), np.float32), np.ones((80, 2), np.float32), label)["val_r_total_hip"] == 0.0


def test_resampling_and_areas_stand_once():
    root = Path(__file__).parents[3]
    sources = {path: path.read_text() for one in PACKAGES for path in (root / one).rglob("*.py")}
    homes = {
        "stats.bootstrap(": {"calibration/statistics/bootstrap.py"},
        "mannwhitneyu": set(),
        # the phantom's own looks at its population; no estimate is judged there
        "corrcoef(": {"trainer/phantom/judge/check.py", "trainer/phantom/judge/features.py"},
    }
    for word, files in homes.items():
        assert {str(path.relative_to(root)) for path, text in sources.items() if word in text} == files, word
