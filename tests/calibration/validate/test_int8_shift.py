import numpy as np
import pytest
from sklearn import metrics

from bmd_edge.measure.t_score import t_score
from bmd_edge.sites import SITES
from tests.calibration.validate.pairs_oracle import EXACT, classes, values


@pytest.mark.parametrize("site", SITES)
def test_int8_against_fp32(made, site):
    validation, pairs, _ = made
    facts = validation.facts["quantized"]["int8"]["sites"][site]
    rows = [row for row in pairs if row[f"fp32_bmd_{site}_gcm2"]]
    fp32, int8 = (np.array([float(row[f"{name}_bmd_{site}_gcm2"]) for row in rows]) for name in ("fp32", "int8"))
    dexa = np.array([float(row[f"dexa_hologic_{site}_gcm2"]) for row in rows])
    found = values(facts["figures"])
    assert found["mean_shift_gcm2"] == pytest.approx(np.mean(int8 - fp32), **EXACT)
    for name, share in (("p95_shift_gcm2", 0.95), ("p99_shift_gcm2", 0.99)):
        assert found[name] == pytest.approx(np.quantile(np.abs(int8 - fp32), share, method="inverted_cdf"), **EXACT)
    assert facts["max_shift_gcm2"] == pytest.approx(np.abs(int8 - fp32).max(), **EXACT)
    change = metrics.root_mean_squared_error(dexa, int8) / metrics.root_mean_squared_error(dexa, fp32) - 1
    assert found["rmse_change"] == pytest.approx(change, abs=1e-4)
    assert facts["figures"]["mean_shift_gcm2"]["low"] < 0.002 < facts["figures"]["mean_shift_gcm2"]["high"]
    assert facts["verdict"] == "not_shown"  # the planted shift of 0.002 is the limit itself
    assert any("mean shift" in sentence for sentence in facts["beyond"])
    turned = [
        row
        for row, a, b in zip(rows, fp32, int8, strict=True)
        if classes(np.array(t_score(site, a))) != classes(np.array(t_score(site, b)))
    ]
    assert facts["hips_in_another_range"] == len(turned) > 0
    listed = [one for one in validation.facts["quantized"]["int8"]["flips"] if one["what"] == site]
    classed = [row for row in turned if float(row["age_years"]) >= 50]
    assert sorted(one["film_id"] for one in listed) == sorted(row["film_id"] for row in classed)
