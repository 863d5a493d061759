"""Figures of detection against scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics

from calibration.statistics import detection
from tests.calibration.statistics.paired_values import one, paired_cohort


@pytest.mark.parametrize("target", [-1.0, -2.5])
def test_areas_are_sklearns(target):
    data = paired_cohort(300)
    low = detection.t_scores("femoral_neck", data.y) <= target
    score = data.x.round(2)  # many ties
    found = one(detection.areas(score, low, np.ones((1, 300))))
    assert found["auroc"] == pytest.approx(metrics.roc_auc_score(low, -score))
    assert found["auprc"] == pytest.approx(metrics.average_precision_score(low, -score))
    assert found["prevalence"] == low.mean()
    false, true = detection.roc_curve(score, low)
    assert metrics.auc(false, true) == pytest.approx(found["auroc"])


def test_a_target_that_nobody_reaches_has_no_area():
    found = one(detection.areas(np.arange(4.0), np.zeros(4, bool), np.ones((1, 4))))
    assert np.isnan(found["auroc"])
    assert np.isnan(found["auprc"])


def test_two_way_and_kappa_are_sklearns():
    data = paired_cohort(300)
    estimate, dexa = (detection.t_scores("femoral_neck", values) for values in (data.x, data.y))
    called, low, ones = estimate <= -2.0, dexa <= -2.5, np.ones((1, 300))
    tn, fp, fn, tp = metrics.confusion_matrix(low, called).ravel()
    expected = {
        "sensitivity": tp / (tp + fn),
        "specificity": tn / (tn + fp),
        "ppv": tp / (tp + fp),
        "npv": tn / (tn + fn),
    }
    assert one(detection.two_way(called, low, ones)) == pytest.approx(expected)
    a, b = detection.range_of(estimate), detection.range_of(dexa)
    assert set(b) == {0, 1, 2}
    assert detection.crossed(a, b) == metrics.confusion_matrix(b, a).tolist()
    found = one(detection.kappas(a, b, ones))
    assert found["kappa"] == pytest.approx(metrics.cohen_kappa_score(a, b))
    assert found["kappa_linear"] == pytest.approx(metrics.cohen_kappa_score(a, b, weights="linear"))


def test_ranges_follow_the_who_at_their_edges():
    assert detection.range_of(np.array([-0.9, -1.0, -1.1, -2.4, -2.5, -3.0])).tolist() == [0, 0, 1, 1, 2, 2]
