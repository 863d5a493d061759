"""Powers against other libraries, published numbers and simulated studies."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from calibration.study.aims import aims
from calibration.study.power import _compared, compared, exact, limit_widths, narrow, power
from tests.calibration.study.test_assumptions import KNOWN

SITE = "femoral_neck."


def test_bias_is_two_one_sided_tests_of_statsmodels() -> None:
    (aim,) = aims(SITE + "bias_gcm2<=0.02")
    for n in (80, 100, 140):
        one_sided = TTestPower().power(0.02 / 0.06, n, 0.025, alternative="larger")
        assert power(aim, KNOWN, n) == pytest.approx(2 * one_sided - 1, abs=0.002)
    off = replace(KNOWN, bias_gcm2=dict.fromkeys(KNOWN.bias_gcm2, 0.01))
    assert power(aim, off, 140) < power(aim, KNOWN, 140)


def test_the_limit_of_an_rmse_is_that_of_simulated_errors() -> None:
    (aim,) = aims(SITE + "rmse_gcm2<=0.07")
    squares = (np.random.default_rng(0).normal(0, 0.06, (20000, 150)) ** 2).sum(1)
    shown = np.sqrt(squares / stats.chi2.ppf(0.025, 150)) <= 0.07
    assert power(aim, KNOWN, 150) == pytest.approx(shown.mean(), abs=0.015)


@pytest.mark.parametrize(("n", "in_sds"), [(100, 0.34), (200, 0.24)])
def test_limits_of_agreement_are_known_as_bland_says(n: int, in_sds: float) -> None:
    """J. M. Bland, "How can I decide the sample size for a study of agreement?": +-1.96 sqrt(3 / n) SD."""
    widths = limit_widths(n, 1.0, 0.6)
    assert widths.mean(0) == pytest.approx([in_sds, in_sds], abs=0.01)
    assert np.array_equal(widths, limit_widths(n, 1.0, 0.6))
    paired = limit_widths(n, 2.0, 0.999)  # a second hip that says the same
    assert paired.mean(0) == pytest.approx(widths.mean(0), rel=0.02)
    assert limit_widths(n, 2.0, 0.0).mean() == pytest.approx(widths.mean() / np.sqrt(2), rel=0.02)
    (aim,) = aims(SITE + "loa_gcm2=+-0.02")
    assert power(aim, KNOWN, n) == (0.06 * widths.max(1) <= 0.02).mean()


def test_a_floor_is_shown_as_often_as_in_simulated_studies() -> None:
    (aim,) = aims("sensitivity>=0.95-0.10")
    rng = np.random.default_rng(5)
    cases = rng.binomial(400, KNOWN.prevalence, 4000)
    found = rng.binomial(cases, 0.95)
    lower = proportion_confint(found, cases, method="beta")[0]
    assert power(aim, KNOWN, 400) == pytest.approx((lower >= 0.85).mean(), abs=0.025)
    assert power(aim, KNOWN, 400) < power(aim, KNOWN, 800)


def test_exact_intervals_are_newcombes_and_those_of_statsmodels() -> None:
    """Newcombe, Stat Med 1998;17:857-872, table I, method 5 (Clopper-Pearson)."""
    for k, n, low, high in ((81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684)):
        found = [float(end[0]) for end in exact(n, np.array([k]))]
        assert found == pytest.approx([low, high], abs=5e-5)
        assert found == pytest.approx(proportion_confint(k, n, method="beta"), abs=1e-9)


def test_a_share_is_known_well_enough_as_often_as_drawn() -> None:
    rng = np.random.default_rng(1)
    low, high = exact(60, np.arange(61))
    k = rng.binomial(60, 0.9, 20000)
    assert narrow(60, 0.9, 0.085) == pytest.approx((high[k] - low[k] <= 0.17).mean(), abs=0.01)
    (aim,) = aims("sensitivity=0.90+-0.08")
    cases = rng.binomial(400, KNOWN.prevalence, 4000)
    low, high = (np.array(end) for end in proportion_confint(rng.binomial(cases, 0.9), cases, method="beta"))
    shown = high - low <= 0.16
    assert power(aim, KNOWN, 400) == pytest.approx(np.mean(shown), abs=0.025)


def test_the_variance_of_an_area_is_hanley_and_mcneils_where_it_is_exact() -> None:
    """At an area of 1/2 each kind adds 1/12 (Radiology 1982;143:29-36); two areas that are apart, twice that."""
    difference, of_case, of_other, first, second = _compared(0.0, 0.0, 0.2)
    assert (difference, first, second) == pytest.approx((0, 0.5, 0.5), abs=0.01)
    assert (of_case, of_other) == pytest.approx((1 / 6, 1 / 6), abs=0.003)


def test_a_paired_difference_varies_as_in_simulated_studies() -> None:
    difference, of_case, of_other, film, age = compared(KNOWN, "age")
    rng = np.random.default_rng(2)
    r = np.sqrt(1 - (0.06 / KNOWN.bmd_sd_gcm2) ** 2)
    found = []
    for _ in range(700):
        dexa, noise, other = rng.standard_normal((3, 300))
        low = dexa <= np.sort(dexa)[60]
        scores = r * dexa + np.sqrt(1 - r**2) * noise, 0.3 * dexa + np.sqrt(1 - 0.09) * other
        found.append([roc_auc_score(low, -one) for one in scores])
    areas = np.array(found)
    assert (film, age) == pytest.approx(tuple(areas.mean(0)), abs=0.01)
    assert (areas[:, 0] - areas[:, 1]).std() == pytest.approx(np.sqrt(of_case / 61 + of_other / 239), rel=0.1)
    assert difference == film - age


def test_a_small_shift_by_int8_is_shown_by_few_and_a_large_one_is_not() -> None:
    assert power(aims(SITE + "int8_rmse_change<=0.02")[0], KNOWN, 30) > 0.9
    assert power(aims(SITE + "int8_rmse_change<=0.02")[0], replace(KNOWN, int8_sd_gcm2=0.005), 30) < 0.5
