import pytest

from bmd_edge.errors import UsageError
from export.proofs.phantom_rois import RoiAnswers
from export.proofs.recalibration import draws
from tests.support.stand_in import phantom_answers


def test_draws_of_forty_subjects() -> None:
    pool = phantom_answers(700, 6)
    shrunk = RoiAnswers(pool.rows, pool.dexa, 0.75 + 0.9 * (pool.bmd - 0.75), *(pool.spread, pool.embedding, pool.gray))
    found = draws(shrunk, 0, 0.05, 0.9)
    assert found["abs_bias_gcm2"]["median"] < 0.010 < found["abs_bias_before_gcm2"]["median"]
    assert found["abs_bias_gcm2"]["median_low"] <= found["abs_bias_gcm2"]["median"] <= found["abs_bias_gcm2"]["p90"]
    assert found["mean_coverage"] == pytest.approx(0.9, abs=0.02)
    assert draws(pool, 1, 0.0, 1.0)["rmse_change"]["mean"] < 0.02
    assert found["refused"] == 0
    assert 0 < draws(shrunk, 0, 0.05, 0.78)["refused"] < 200  # near the bound of a slope that can be believed
    with pytest.raises(UsageError, match="no line of these draws can be believed"):
        draws(shrunk, 0, 0.05, 0.7)
    with pytest.raises(UsageError, match="540 are needed"):
        draws(phantom_answers(100, 7), 0, 0.0, 1.0)
