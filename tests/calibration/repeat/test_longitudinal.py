"""The slope of estimated on true change, where DEXA errs too."""

from datetime import date

import numpy as np
import pytest
from scipy import stats

from calibration.repeat.longitudinal import changes_with_dexa, longitudinal_slope
from tests.calibration.repeat.test_repeated_films import film, hips

N = 150


def drawn(rng, slope, n=N):
    """Changes of n subjects: truth, DEXA with its error, the estimate with its own."""
    true, error = rng.normal(-0.04, 0.04, n), np.full(n, 2 * (0.013 * 0.8) ** 2)
    dexa = true + rng.normal(0, np.sqrt(error))
    return [str(k) for k in range(n)], slope * true + rng.normal(0, 0.03, n), dexa, error


def test_the_slope_is_the_true_one_where_plain_regression_understates_it():
    rng = np.random.default_rng(3)
    found, plain, held = [], [], 0
    for _ in range(100):
        subjects, estimate, dexa, error = drawn(rng, 0.7)
        one = longitudinal_slope(subjects, estimate, dexa, error)
        found.append(one.slope)
        plain.append(stats.linregress(dexa, estimate).slope)
        held += one.low <= 0.7 <= one.high
    assert np.mean(found) == pytest.approx(0.7, abs=0.02)
    assert np.mean(plain) < 0.63
    assert held >= 88


def test_without_errors_of_dexa_it_is_the_slope_of_least_squares():
    subjects, estimate, dexa, error = drawn(np.random.default_rng(4), 0.8)
    found = longitudinal_slope(subjects, estimate, dexa, 0 * error)
    assert found.slope == pytest.approx(stats.linregress(dexa, estimate).slope, abs=1e-4)
    assert found.low < found.slope < found.high
    assert found.subjects == N


def test_there_is_none_of_few_subjects_or_of_changes_within_dexas_error():
    rng = np.random.default_rng(5)
    assert longitudinal_slope(*drawn(rng, 0.8, 29)) is None
    subjects, estimate, _, error = drawn(rng, 0.8)
    assert longitudinal_slope(subjects, estimate, rng.normal(0, np.sqrt(error)), error) is None


def test_first_and_last_film_with_dexa_a_year_apart_make_a_change():
    a = [film("2020-01-01", 0.8, dexa=0.85), film("2021-06-01", 0.7), film("2022-01-01", 0.7, dexa=0.80)]
    b = [film("2020-01-01", 0.8, dexa=0.85, subject="b"), film("2020-06-01", 0.7, dexa=0.8, subject="b")]
    subjects, estimate, dexa, error = changes_with_dexa(hips(*a, *b))
    assert subjects == ["s"]
    assert estimate[0].tolist() == pytest.approx([-0.1, -0.1])
    assert dexa[0].tolist() == pytest.approx([-0.05, -0.05])
    assert error[0].tolist() == pytest.approx([0.015**2 * (0.85**2 + 0.8**2), 0.013**2 * (0.85**2 + 0.8**2)])
    assert date.fromisoformat("2020-01-01") == a[0].taken
