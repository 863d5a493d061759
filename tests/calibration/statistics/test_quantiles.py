"""Weighted quantiles."""

import numpy as np
import pytest

from calibration.statistics.quantiles import quantile
from tests.calibration.world.test_figures import NEAR


def test_quantiles_of_weighted_values_are_those_of_the_values_written_out():
    rng = np.random.default_rng(1)
    values, weights = rng.normal(size=23).round(1), rng.integers(0, 4, (50, 23)).astype(float)
    weights[0] = 0
    for share in (0.0, 0.5, 0.95, 1.0):
        found = quantile(values, weights, share)
        assert np.isnan(found[0])
        for weight, one in zip(weights[1:], found[1:], strict=True):
            assert one == pytest.approx(np.quantile(np.repeat(values, weight.astype(int)), share), **NEAR)
