"""The statistics of a change against libraries and simulation."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from bmd_edge.follow.change import comparisons_after, corrected, follow, least_change, trend
from bmd_edge.follow.repeatability import LongitudinalSlope
from bmd_edge.follow.series import series_of
from tests.bmd_edge.follow.made_up import known, visited

TODAY = date(2026, 1, 1)


def changes(*films, of=None):
    ((one,), _) = series_of(films, TODAY)
    return follow(one, of or known()).changes


def test_the_least_significant_change_is_that_of_iscd_for_one_comparison():
    assert least_change(0.02, 1, 1, 1) == pytest.approx(2.77 * 0.02, rel=1e-3)
    assert least_change(0.02, 2, 2, 1) == pytest.approx(2.77 * 0.02 / 2**0.5, rel=1e-3)
    assert least_change(0.02, 1, 1, 6) == pytest.approx(stats.norm.ppf(1 - 0.025 / 6) * 0.02 * 2**0.5)


def test_however_often_one_looks_one_unchanged_hip_in_twenty_gets_a_false_word_at_most():
    """Both sites with one normal error each, looked at after every visit; the SD is known exactly: the worst case."""
    films = np.random.default_rng(0).standard_normal((20_000, 12, 2))
    least = [least_change(1.0, 1, 1, comparisons_after(later)) for later in range(1, 12)]
    false = np.abs(films[:, 1:] - films[:, :1]) > np.array(least)[:, None]
    for visits in (2, 6, 12):
        assert 0.02 < false[:, : visits - 1].any((1, 2)).mean() <= 0.05


def test_a_change_is_stated_beyond_the_upper_limit_only_and_by_a_clinics_precision_only():
    least = least_change(0.025, 1, 1, comparisons_after(1))
    beyond, within = 0.8 - least - 1e-3, 0.8 - least + 1e-3
    neck, hip = changes(visited("2020-05-01", 0.8), visited("2024-05-01", beyond, within))
    assert (neck.stated, hip.stated) == (True, False)
    assert neck.lsc_gcm2 == pytest.approx(least)
    assert neck.change_gcm2 == pytest.approx(beyond - 0.8)
    assert neck.years == pytest.approx(4, abs=0.01)
    assert neck.years_to_tell == pytest.approx(least / 0.008)
    for other in (known("phantom"), known()):
        found = changes(visited("2020-05-01", 0.8), visited("2024-05-01", 0.4), of=other)
        assert [one.stated for one in found] == [other.source == "clinic"] * 2


@pytest.mark.parametrize(
    ("maker", "units", "whose"),
    [
        ("Drawn", ("Drawn One",), "clinic"),
        ("Other", ("Drawn One",), "other_unit"),
        (None, ("Drawn One", "unit not named"), "other_unit"),
    ],
)
def test_a_unit_whose_precision_was_not_measured_states_no_change_and_no_rate(maker, units, whose):
    facts = {"maker": maker, "model": maker and "One"}
    of = replace(known(slope=(0.8, 0.7, 0.9)), units=units)
    for one in changes(visited("2020-05-01", 0.8, **facts), visited("2024-05-01", 0.4, **facts), of=of):
        assert one.precision_from == whose
        assert one.beyond
        assert one.lsc_gcm2 == pytest.approx(least_change(0.025, 1, 1, comparisons_after(1)))
        assert (one.stated, one.rate is not None) == (whose == "clinic",) * 2


def test_more_visits_are_more_comparisons_and_the_last_is_compared_with_the_first():
    found = changes(*(visited(f"20{year}-05-01", 0.8 - year / 1000) for year in (20, 21, 22, 23)))
    assert {(one.first.taken.year, one.last.taken.year) for one in found} == {(2020, 2023)}
    assert found[0].lsc_gcm2 == pytest.approx(least_change(0.025, 1, 1, 2 * 3 * 4))


def test_nothing_is_known_of_films_by_another_bundle():
    found = changes(visited("2020-05-01", 0.8, bundle_digest="c"), visited("2024-05-01", 0.5, bundle_digest="c"))
    assert [(one.lsc_gcm2, one.precision_from, one.rate, one.years_to_tell) for one in found] == [(None,) * 4] * 2
    assert not any(one.stated or one.beyond for one in found)


def test_nothing_is_compared_across_units():
    films = [visited("2020-05-01", 0.8), visited("2024-05-01", 0.5, unit_pseudonym="un-b")]
    assert changes(*films) == ()


def test_the_trend_is_that_of_weighted_least_squares():
    films = [
        visited("2020-01-01", 0.8),
        visited("2021-01-01", 0.78),
        visited("2021-01-01", 0.76),
        visited("2024-06-01", 0.7),
    ]
    ((one,), _) = series_of(films, TODAY)
    years = [(visit.taken - date(2020, 1, 1)) / timedelta(days=365.25) for visit in one.visits]
    oracle = sm.WLS([0.8, 0.77, 0.7], sm.add_constant(years), weights=[1, 2, 1])
    rate, error = trend(one.parts[0], "total_hip", 0.03)
    assert rate == pytest.approx(oracle.fit().params[1])
    assert error == pytest.approx(np.sqrt(oracle.normalized_cov_params[1, 1]) * 0.03)


def test_a_corrected_rate_holds_the_true_one_in_95_of_100():
    """Fieller's interval, where the slope is as uncertain as the rate: simulated."""
    rng = np.random.default_rng(1)
    true, slope, rate_error, slope_error = -0.01, 0.7, 0.004, 0.1
    held, n = 0, 4000
    for _ in range(n):
        found, line = rng.normal(true * slope, rate_error), rng.normal(slope, slope_error)
        half = 1.959964 * slope_error
        rate = corrected(found, rate_error, LongitudinalSlope(line, line - half, line + half, 40))
        held += rate is not None and rate.low <= true <= rate.high
    assert abs(held / n - 0.95) < 4 * (0.95 * 0.05 / n) ** 0.5


def test_no_rate_without_a_slope_that_is_known_to_differ_from_zero_or_without_the_clinics_own():
    assert corrected(-0.01, 0.004, LongitudinalSlope(0.3, -0.1, 0.7, 40)) is None
    films = visited("2020-05-01", 0.8), visited("2024-05-01", 0.7)
    assert changes(*films, of=known(slope=(0.8, 0.7, 0.9)))[0].rate.value == pytest.approx(-0.1 / 4 / 0.8, rel=0.01)
    assert changes(*films, of=known("phantom", slope=(0.8, 0.7, 0.9)))[0].rate is None
    assert changes(*films)[0].rate is None
    assert changes(*films, of=known(slope=(0.8, 0.7, 0.9)))[0].years_to_tell == pytest.approx(
        changes(*films)[0].years_to_tell / 0.8
    )
