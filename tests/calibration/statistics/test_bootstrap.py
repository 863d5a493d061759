"""Intervals against scipy's bootstrap over subjects."""

import numpy as np
import pytest
from scipy import stats

from calibration.statistics import agreement, bootstrap
from calibration.validate import int8_shift
from tests.calibration.statistics.paired_values import paired_cohort


def test_intervals_are_scipys_bootstrap_of_subjects():
    data = paired_cohort(120)
    subject = [f"S{k // 2}" for k in range(120)]

    def r(index):
        hips = np.concatenate([np.arange(120)[np.array(subject) == np.unique(subject)[k]] for k in index])
        return stats.pearsonr(data.x[hips], data.y[hips]).statistic

    found = bootstrap.by_subject(lambda w: agreement.figures(data, w), subject)["r"]
    slow = stats.bootstrap(
        (np.arange(60),), r, vectorized=False, n_resamples=500, method="BCa", rng=np.random.default_rng(5)
    ).confidence_interval
    assert found.low == pytest.approx(slow.low, abs=0.015)
    assert found.high == pytest.approx(slow.high, abs=0.015)
    alone = bootstrap.by_subject(lambda w: agreement.figures(data, w), [f"S{k}" for k in range(120)])["r"]
    assert alone != found, "hips of one subject must be drawn together"


def test_a_quantile_that_no_single_subject_moves_has_an_interval():
    tied = np.repeat([0.001, 0.002, 0.003, 0.004], 50)  # to the digit, as estimates are
    found = bootstrap.by_subject(lambda w: int8_shift.shift(tied, w), [f"S{k}" for k in range(200)])["p95_shift_gcm2"]
    assert found == (0.004, 0.004, 0.004) or found.low is None  # never varies, or nearly never
    tied[-12:] = 0.009
    found = bootstrap.by_subject(lambda w: int8_shift.shift(tied, w), [f"S{k}" for k in range(200)])["p95_shift_gcm2"]
    assert (found.value, found.low, found.high) == (0.009, 0.004, 0.009)
