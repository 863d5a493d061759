"""Features, missing values and T2 against scipy and scikit-learn."""

import json

import numpy as np
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from calibration.drift.control_charts import with_limits
from calibration.drift.studies import FACTS
from calibration.drift.watched_features import COMPONENTS, Watched, from_dict, measure, to_dict
from tests.calibration.drift.made_up_studies import studies


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


def test_a_reference_survives_its_json() -> None:
    seen = studies(300, 5)
    reference = measure(seen)
    assert reference is not None
    stored = json.loads(json.dumps(to_dict(with_limits(reference, seen))))
    for name, scores in from_dict(stored).scores(seen).items():
        np.testing.assert_allclose(scores, reference.scores(seen)[name], atol=5e-3)
        assert np.isfinite(from_dict(stored).watched[name].limit)
