"""Drift charts: features, missing values and T2 against scipy and scikit-learn, run lengths against published ones."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.drift import control_charts
from calibration.drift.control_charts import reference_of, t2, with_limits
from calibration.drift.studies import FACTS, Seen, by_study, of_rows
from calibration.drift.watched_features import COMPONENTS, Watched, from_dict, measure, to_dict


def studies(n: int, seed: int, d: int = 24) -> Seen:
    """Correlated facts and outputs, a ReLU-like embedding with a feature that never fires."""
    rng = np.random.default_rng(seed)
    female = rng.random(n) < 0.7
    size = 4.5 - 0.08 * female + rng.normal(0, 0.05, n)
    facts = np.column_stack([rng.normal(65, 10, n), female, size, rng.normal(71, 5, n)])
    bmd = np.column_stack([rng.normal(0.7, 0.12, n)] * 2) + rng.normal(0, 0.03, (n, 2))
    mix = np.random.default_rng(99).normal(0, 1, (8, d))
    embedding = np.maximum(np.column_stack([rng.normal(0, 1, (n, 7)), bmd[:, :1] * 8]) @ mix, 0)
    embedding[:, 3] = 0.0
    gray = rng.normal(0.4, 0.1, (n, 7))
    return Seen(facts, bmd, np.exp(rng.normal(-3.5, 0.2, (n, 2))), embedding, gray)


def test_the_components_are_those_of_scikit_learn() -> None:
    seen = studies(400, 0)
    reference = measure(seen)
    assert reference is not None
    live = np.delete(np.arange(24), 3)
    standard = StandardScaler().fit_transform(seen.embedding[:, live]) * np.sqrt(399 / 400)
    oracle = PCA(COMPONENTS).fit(standard)
    mine = reference.features(seen)["embedding"]
    np.testing.assert_allclose(np.abs(mine[:, :-1]), np.abs(oracle.transform(standard)), atol=1e-6)
    left = standard - oracle.inverse_transform(oracle.transform(standard))
    np.testing.assert_allclose(mine[:, -1], np.log((left**2).sum(1)), atol=1e-6)


def test_scores_are_white_and_their_length_is_the_mahalanobis_distance() -> None:
    seen = studies(3000, 1)
    reference = measure(seen)
    assert reference is not None
    for name in ("film", "output"):  # of a skewed embedding more studies are pulled in
        scores = reference.scores(seen)[name]
        assert np.abs(scores.mean(0)).max() < 0.02, name
        np.testing.assert_allclose(np.cov(scores.T), np.eye(scores.shape[1]), atol=0.06)
    film = reference.watched["film"]
    assert film.names == FACTS
    offset = seen.facts - film.mean
    distance = np.sqrt(np.einsum("ni,ij,nj->n", offset, np.linalg.inv(film.covariance), offset))
    longest = np.sqrt(stats.chi2.ppf(0.999, 4))
    np.testing.assert_allclose(
        np.linalg.norm(film.scores(seen.facts), axis=1), np.minimum(distance, longest), rtol=1e-2
    )


def test_an_unknown_fact_stands_at_its_expectation_and_moves_nothing() -> None:
    covariance = np.array([[2.0, 1.2], [1.2, 1.5]])
    watched = Watched(("a", "b"), np.array([10.0, 20.0]), covariance)
    known, missing = watched.scores(np.array([[11.0, 20 + 1.2 / 2.0], [11.0, np.nan]]))
    np.testing.assert_allclose(known, missing, atol=1e-12)
    np.testing.assert_allclose(watched.scores(np.full((1, 2), np.nan)), 0.0)


def test_facts_that_are_not_stated_are_not_watched() -> None:
    seen = studies(300, 2)
    seen.facts[:, 3] = np.nan
    seen.facts[:100, 0] = np.nan
    reference = measure(seen)
    assert reference is not None
    assert reference.watched["film"].names == ("age", "female", "size")
    seen.facts[:] = np.nan
    without = measure(seen)
    assert without is not None
    assert set(without.watched) == {"embedding", "image", "output"}
    assert measure(studies(99, 0)) is None


# (dimensions, weight, limit on T2, average run length in control)
# p = 1: Lucas & Saccucci, Technometrics 1990;32:1-12, L = 2.814 and 2.615; p = 2, 4: Prabhu & Runger, J Qual Technol
# 1997;29:8-15
@pytest.mark.parametrize(
    ("p", "weight", "limit", "arl"),
    [(1, 0.10, 2.814**2, 500), (1, 0.05, 2.615**2, 500), (2, 0.10, 8.64, 200), (4, 0.10, 12.73, 200)],
)
def test_run_lengths_are_those_published(p: int, weight: float, limit: float, arl: int, monkeypatch) -> None:
    monkeypatch.setattr(control_charts, "WEIGHT", weight)
    rng = np.random.default_rng(p)
    values, _ = t2(rng.normal(0, 1, (8 * arl, 600, p)))
    over = values > limit
    lengths = np.where(over.any(0), over.argmax(0) + 1, 8 * arl)
    assert lengths.mean() == pytest.approx(arl, rel=0.13)  # about three standard errors


def test_the_limits_keep_what_they_aim_at(monkeypatch) -> None:
    monkeypatch.setattr(control_charts, "ARL_AIMED", 1_000)
    seen = studies(3000, 3)
    reference = measure(seen)
    assert reference is not None
    limited = with_limits(reference, seen)
    fresh = limited.scores(studies(20_000, 4))
    values = {name: t2(scores)[0] > limited.watched[name].limit for name, scores in fresh.items()}
    starts = {name: int(np.sum(over[1:] & ~over[:-1])) for name, over in values.items()}
    # each chart is aimed at 3,000, so about 6.7 alarms in 20,000 studies (they come in clusters)
    assert 4 <= sum(starts.values()) <= 45, starts


def test_a_reference_survives_its_json() -> None:
    seen = studies(300, 5)
    reference = measure(seen)
    assert reference is not None
    stored = json.loads(json.dumps(to_dict(with_limits(reference, seen))))
    for name, scores in from_dict(stored).scores(seen).items():
        np.testing.assert_allclose(scores, reference.scores(seen)[name], atol=5e-3)
        assert np.isfinite(from_dict(stored).watched[name].limit)


def test_two_hips_of_a_study_are_one_observation() -> None:
    hips = studies(4, 6)
    hips.facts[1, 0] = np.nan
    both = by_study(hips, ["a", "a", "b", "a"])
    assert len(both) == 2
    np.testing.assert_allclose(both.bmd[0], hips.bmd[[0, 1, 3]].mean(0))
    np.testing.assert_allclose(both.facts[0, 0], hips.facts[[0, 3], 0].mean())
    np.testing.assert_allclose(both.embedding[1], hips.embedding[2])


def row(subject: str, **extra: str) -> HipRow:
    return HipRow(film=f"{subject}.png", subject=subject, side="R", split="calibrate", age_years=70.0, sex="F",
                  extra=extra)  # fmt: skip


def test_a_tables_facts() -> None:
    marks = {"x_head_center_x": "100", "x_head_center_y": "20", "x_lesser_trochanter_x": "130",
             "x_lesser_trochanter_y": "60", "x_spacing_mm": "0.65", "x_kvp": "72.5"}  # fmt: skip
    answers = np.ones((2, 2)), np.ones((2, 2)), np.ones((2, 5)), np.ones((2, 7))
    seen = of_rows([row("a", **marks), row("b")], *answers)
    np.testing.assert_allclose(seen.facts[0], [70.0, 1.0, np.log(50 * 0.65), 72.5])
    assert np.isnan(seen.facts[1, 2:]).all()
    assert seen.facts.shape == (2, len(FACTS))
    assert reference_of([row("a", **marks), row("b")], *answers) is None
    assert len(SITES) == 2
