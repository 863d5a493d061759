import numpy as np
import pytest
from scipy import stats

from calibration.statistics import precision_error


def test_repeatability_is_the_root_mean_square_of_the_deviations():
    rng = np.random.default_rng(6)
    groups = [rng.normal(0.8, 0.02, 3) for _ in range(400)]
    found = precision_error.repeatability([*groups, np.array([0.7])])
    assert (found["hips"], found["films"], found["degrees_of_freedom"]) == (400, 1200, 800)
    mean_square = np.mean([stats.tvar(group) for group in groups])
    assert found["rms_sd_gcm2"] == pytest.approx(np.sqrt(mean_square))
    assert found["lsc_gcm2"] == pytest.approx(2.77 * np.sqrt(mean_square))
    assert found["rms_sd_low_gcm2"] < 0.02 < found["rms_sd_high_gcm2"]
    assert found["rms_cv"] == pytest.approx(np.sqrt(np.mean([stats.variation(g, ddof=1) ** 2 for g in groups])))
    unequal = [np.array([0.7, 0.72]), np.array([0.8, 0.8, 0.83])]  # weighted by their 1 and 2 degrees of freedom
    pooled = (stats.tvar(unequal[0]) + 2 * stats.tvar(unequal[1])) / 3
    assert precision_error.repeatability(unequal)["rms_sd_gcm2"] == pytest.approx(np.sqrt(pooled))
    assert precision_error.repeatability([np.array([0.7])])["rms_sd_gcm2"] is None
