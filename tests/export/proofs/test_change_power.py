"""The power of drawn errors whose law is known."""

import numpy as np
import pytest
from scipy import stats

from bmd_edge.follow.change import comparisons_after, least_change
from export.proofs.change_power import Errors, modeled, years_to_tell


def drawn(n=150, sd=0.02, slope=0.8, seed=0):
    rng = np.random.default_rng(seed)
    films = tuple(0.8 + rng.normal(0, sd, (2 + k % 5, 2)) for k in range(n))
    return Errors(films, np.full((n, 2), 0.8), np.full(2, slope))


def test_the_share_is_that_of_normal_errors():
    """By hand: errors of two films of each site are independent; the study's upper limit is 1.2 SD on average."""
    rows = {(row["loss_a_year"], row["visits"]): row for row in modeled(drawn(400), (0.0, 0.10))}
    assert set(rows) == {(rate, n) for rate in (0.0, 0.10) for n in (2, 3, 4, 5, 6)}
    upper = 0.02 * np.sqrt(40 / stats.chi2.ppf(0.05, 40))
    for rate, visits in rows:
        least, lost = (
            least_change(upper, 1, 1, comparisons_after(visits - 1)),
            0.8 * 0.8 * (1 - (1 - rate) ** (visits - 1)),
        )
        each = stats.norm.sf(least - lost, scale=0.02 * 2**0.5) + stats.norm.cdf(-least - lost, scale=0.02 * 2**0.5)
        assert rows[rate, visits]["stated"] == pytest.approx(1 - (1 - each) ** 2, abs=0.05)
        assert rows[rate, visits]["low"] <= rows[rate, visits]["stated"] <= rows[rate, visits]["high"]
    assert rows[0.10, 6]["stated"] > 0.99
    assert rows[0.0, 2]["high"] < 0.05


def test_years_are_the_least_significant_change_over_the_estimated_loss():
    rng = np.random.default_rng(1)
    hips = rng.normal(0, 0.02, (400, 2, 4, 2))
    hips[:, 1] = 0.6 * hips[:, 0] + 0.8 * hips[:, 1]
    found = years_to_tell(drawn(400), [(one[0], one[1]) for one in hips])["total_hip"]
    single, twice = found["one hip, one film"], found["one hip, two films"]
    assert single["years"] == pytest.approx(2.77 * 0.02 / (0.8 * 0.008), rel=0.06)
    assert single["low"] < single["years"] < single["high"]
    assert (single["degrees_of_freedom"], twice["degrees_of_freedom"]) == (1200, 240)
    assert twice["sd_gcm2"] == pytest.approx(0.02 / 2**0.5, rel=0.1)
    assert found["both hips, one film"]["sd_gcm2"] == pytest.approx(0.02 * ((1 + 0.6) / 2) ** 0.5, rel=0.1)
    assert found["both hips, two films"]["sd_gcm2"] == pytest.approx(0.01 * (1 + 0.6) ** 0.5, rel=0.1)
    assert found["correlation of both hips"] == pytest.approx(0.6, abs=0.1)
    assert years_to_tell(drawn(400), [])["total_hip"]["both hips, one film"] is None
