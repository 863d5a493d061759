"""The proofs of intervals and recalibration, on made-up answers whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import recall_score
from statsmodels.stats.proportion import proportion_confint

from bmd_edge.bundle.calibration import OperatingPoints
from bmd_edge.errors import UsageError
from bmd_edge.measure.t_score import t_score
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.statistics.conformal import conformal_scale
from export.proofs.intervals import headline, procedure, prove, share
from export.proofs.phantom_rois import RoiAnswers, answers_of, named
from export.proofs.recalibration import draws
from tests.bundles import tiny_bundle
from tests.trainer.stand_in import roi_row


def answers(n: int, seed: int, worse: str | None = None) -> RoiAnswers:
    """Hips of n subjects, men and women by turns; those of sex `worse` err twice as much as their spread says."""
    rng = np.random.default_rng(seed)
    rows = tuple(
        HipRow(film=f"{k}.png", subject=f"s{k}", side="RL"[k // 2 % 2], split="calibrate", sex="FM"[k % 2],
               age_years=float(rng.uniform(50, 90)), bmi=float(rng.uniform(18, 38)))
        for k in range(n)
    )  # fmt: skip
    dexa = rng.normal(0.75, 0.13, (n, 2))
    spread = rng.uniform(0.02, 0.06, (n, 2))
    error = rng.normal(0, 1, (n, 2)) * spread
    error[[row.sex == worse for row in rows]] *= 2
    return RoiAnswers(rows, dexa, dexa + error, spread, np.zeros((n, 1)), np.zeros((n, 7)))


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
    scale = conformal_scale(np.random.default_rng(2).normal(0, 1, 5000), np.ones(5000))
    calm = prove(answers(1600, 3), None, dict.fromkeys(SITES, scale))
    for site in SITES:
        assert calm[site]["shipped"]["coverage"] == pytest.approx(0.9, abs=0.02)
        assert calm[site]["findings"] == []
        assert {"sex F", "sex M", "side R", "side L"} <= set(calm[site]["subgroups"])
        assert all(group["hips"] >= 400 for group in calm[site]["subgroups"].values())
    other = prove(answers(1600, 4, worse="M"), answers(100, 5, worse="F"), dict.fromkeys(SITES, scale))
    for site in SITES:
        assert "sex M" in other[site]["findings"]
        assert "sex F" not in other[site]["findings"]
        assert other[site]["unseen_makers"]["hips"] == 100
        assert other[site]["unseen_makers"]["coverage"] < 0.9


def test_the_headline_is_measured_on_those_who_may_have_one() -> None:
    made = answers(900, 8)
    pool = RoiAnswers(
        tuple(replace(row, bmd_gcm2=dict(zip(SITES, dexa, strict=True)), scale="hologic")
              for row, dexa in zip(made.rows, made.dexa.tolist(), strict=True)),
        *(made.dexa, made.bmd, made.spread, made.embedding, made.gray),
    )  # fmt: skip
    points = OperatingPoints(-2.6, -2.2, 60, 300)
    found = headline(pool, points)
    assert found is not None
    lowest = np.minimum((made.bmd[:, 0] - 0.858) / 0.120, (made.bmd[:, 1] - 0.942) / 0.122)
    true = [min(t_score(site, value) for site, value in row.bmd_gcm2.items()) for row in pool.rows]
    low = np.array(true) <= -2.5
    assert found["sensitivity"]["coverage"] == recall_score(low, lowest <= -2.2)
    assert found["specificity"]["coverage"] == recall_score(~low, lowest > -2.6)
    assert found["sensitivity"]["hips"] + found["specificity"]["hips"] == 900
    assert headline(pool, None) is None


def test_draws_of_forty_subjects() -> None:
    pool = answers(700, 6)
    shrunk = RoiAnswers(pool.rows, pool.dexa, 0.75 + 0.9 * (pool.bmd - 0.75), *(pool.spread, pool.embedding, pool.gray))
    found = draws(shrunk, 0, 0.05, 0.9)
    assert found["abs_bias_gcm2"]["median"] < 0.010 < found["abs_bias_before_gcm2"]["median"]
    assert found["abs_bias_gcm2"]["median_low"] <= found["abs_bias_gcm2"]["median"] <= found["abs_bias_gcm2"]["p90"]
    assert found["mean_coverage"] == pytest.approx(0.9, abs=0.02)
    assert draws(pool, 1, 0.0, 1.0)["rmse_change"]["mean"] < 0.02
    with pytest.raises(UsageError, match="540 are needed"):
        draws(answers(100, 7), 0, 0.0, 1.0)


def test_results_name_no_place_of_this_machine() -> None:
    assert named("/home/someone/cohort/films.csv:test") == "cohort/films.csv:test"
    assert named("--fresh") == "--fresh"


def test_dexa_of_another_scale_is_converted(tmp_path: Path) -> None:
    """T = -1 of a Lunar scanner is T = -1 of a Hologic one."""
    bmd = {"femoral_neck": (0.821 + 0.023) / 0.939, "total_hip": (0.832 + 0.031) / 0.979}
    row = roi_row(tmp_path, 0)
    row = replace(row, film_path=tmp_path / row.film, bmd_gcm2=bmd, scale="lunar")
    found = answers_of(tiny_bundle(tmp_path / "bundle"), "fp32", [row])
    np.testing.assert_allclose(found.dexa, [[(0.821 - 0.019) / 1.087, (0.832 - 0.006) / 1.008]], atol=1e-9)
