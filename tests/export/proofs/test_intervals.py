"""The proofs of intervals and recalibration, on made-up answers whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import recall_score
from statsmodels.stats.proportion import proportion_confint

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.measure.t_score import t_score
from bmd_edge.sites import SITES
from calibration.statistics.conformal import conformal_scale
from export.proofs.intervals import headline, procedure, prove, share
from export.proofs.phantom_rois import RoiAnswers
from tests.support.stand_in import phantom_answers


def test_the_procedure_covers_what_it_promises_whatever_the_errors_are() -> None:
    scores = np.abs(np.random.default_rng(0).standard_t(2, 1200))
    found = procedure(scores, [f"s{k // 2}" for k in range(1200)])
    assert found["mean_coverage"] == pytest.approx(0.9, abs=0.005)
    assert (found["hips"], found["subjects"], found["splits"]) == (1200, 600, 200)


def test_the_share_has_the_interval_of_statsmodels_and_twins_widen_it() -> None:
    inside = np.random.default_rng(1).random(2000) < 0.9
    found = share(inside, [f"s{k}" for k in range(2000)])
    low, high = proportion_confint(int(inside.sum()), 2000, method="wilson")
    assert found["coverage"] == inside.mean()
    np.testing.assert_allclose([found["low"], found["high"]], [low, high], atol=0.002)
    twins = share(inside.repeat(2), [f"s{k // 2}" for k in range(4000)])
    assert (twins["hips"], twins["subjects"]) == (4000, 2000)
    np.testing.assert_allclose([twins["low"], twins["high"]], [low, high], atol=0.002)  # no narrower for being double


def test_a_subgroup_is_a_finding_only_where_it_clearly_falls_short() -> None:
    scale = conformal_scale(np.random.default_rng(2).normal(0, 1, 5000), np.ones(5000), 0.9)
    calm = prove(phantom_answers(1600, 3), None, dict.fromkeys(SITES, scale))
    for site in SITES:
        assert calm[site]["shipped"]["coverage"] == pytest.approx(0.9, abs=0.02)
        assert calm[site]["findings"] == []
        assert {"sex F", "sex M", "side R", "side L"} <= set(calm[site]["subgroups"])
        assert all(group["hips"] >= 400 for group in calm[site]["subgroups"].values())
    other = prove(phantom_answers(1600, 4, worse="M"), phantom_answers(100, 5, worse="F"), dict.fromkeys(SITES, scale))
    for site in SITES:
        assert "sex M" in other[site]["findings"]
        assert "sex F" not in other[site]["findings"]
        assert other[site]["unseen_makers"]["hips"] == 100
        assert other[site]["unseen_makers"]["coverage"] < 0.9


def test_the_headline_is_measured_on_those_who_may_have_one() -> None:
    made = phantom_answers(900, 8)
    pool = RoiAnswers(
        tuple(replace(row, bmd_gcm2=dict(zip(SITES, dexa, strict=True)), scale="hologic")
              for row, dexa in zip(made.rows, made.dexa.tolist(), strict=True)),
        *(made.dexa, made.bmd, made.spread, made.embedding, made.gray),
    )  # fmt: skip
    points = HeadlineCuts(-2.6, -2.2, 60, 300)
    found = headline(pool, points)
    assert found is not None
    lowest = np.minimum((made.bmd[:, 0] - 0.858) / 0.120, (made.bmd[:, 1] - 0.942) / 0.122)
    true = [min(t_score(site, value) for site, value in row.bmd_gcm2.items()) for row in pool.rows]
    low = np.array(true) <= -2.5
    assert found["sensitivity"]["coverage"] == recall_score(low, lowest <= -2.2)
    assert found["specificity"]["coverage"] == recall_score(~low, lowest > -2.6)
    assert found["sensitivity"]["hips"] + found["specificity"]["hips"] == 900
    assert headline(pool, None) is None
