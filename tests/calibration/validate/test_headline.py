import numpy as np
import pytest
from sklearn import metrics

from bmd_edge.measure.t_score import REFERENCES, t_score
from bmd_edge.sites import SITES
from tests.calibration.validate.pairs_oracle import EXACT
from tests.support.cohorts import POINTS


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_headline_by_film(made, precision):
    validation, pairs, _ = made
    facts = validation.facts["precisions"][precision]["headline"]
    estimate, dexa = {}, {}
    for row in pairs:
        if float(row["age_years"]) >= 50 and row[f"{precision}_bmd_total_hip_gcm2"]:
            for site in SITES:
                value = float(row[f"{precision}_bmd_{site}_gcm2"])
                exact = (value - REFERENCES[site].mean_gcm2) / REFERENCES[site].sd_gcm2
                estimate[row["film"]] = min(exact, estimate.get(row["film"], 9))
                true = t_score(site, float(row[f"dexa_hologic_{site}_gcm2"]))
                dexa[row["film"]] = min(true, dexa.get(row["film"], 9))
    assert facts["films"] == len(estimate)
    score, truth = (np.array([one[film] for film in estimate]) for one in (estimate, dexa))
    for target in (-1.0, -2.5):
        low = truth <= target
        area = facts["targets"][f"{target:g}"]["auroc"]["value"]
        assert area == pytest.approx(metrics.roc_auc_score(low, -score), **EXACT)
        for cut, t in (("low_suspected", POINTS.low_suspected_t), ("refer_for_dxa", POINTS.refer_for_dxa_t)):
            found = facts["at_operating_points"][f"{target:g}"][cut]
            tn, fp, fn, tp = metrics.confusion_matrix(low, score <= t).ravel()
            assert [found[k] for k in ("true_low", "missed", "false_low", "true_other")] == [tp, fn, fp, tn]
            assert found["sensitivity"]["value"] == pytest.approx(metrics.recall_score(low, score <= t), **EXACT)
            assert found["specificity"]["value"] == pytest.approx(metrics.recall_score(~low, score > t), **EXACT)
            assert found["ppv"]["value"] == pytest.approx(metrics.precision_score(low, score <= t), **EXACT)
            assert found["npv"]["value"] == pytest.approx(metrics.precision_score(~low, score > t), **EXACT)
