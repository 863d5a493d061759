"""Estimates against the mean and against the person: by scikit-learn's leave-one-group-out, and what is told apart."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.preprocessing import PolynomialFeatures

from calibration.statistics.knowledge import knowledge, predicted_by_others


def people(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Two hips each: BMD falls with age, more so in women, and grows with size; most of it is the subject's own."""
    rng = np.random.default_rng(seed)
    age, female, size, own = rng.uniform(45, 90, n), rng.integers(0, 2, n), rng.normal(52, 4, n), rng.normal(0, 0.1, n)
    expected = 0.8 - 0.003 * (age - 60) * (1 + female) + 0.008 * (size - 52)
    hips = {"age": age, "sex": female.astype(float), "hip size": size, "expected": expected, "bmd": expected + own}
    hips = {name: values.repeat(2) for name, values in hips.items()}
    hips["bmd"] = hips["bmd"] + rng.normal(0, 0.02, 2 * n)
    return hips | {"subject": np.array([f"s{k:04d}" for k in range(n)]).repeat(2)}


def judged(hips: dict[str, np.ndarray], estimate: np.ndarray, *names: str):
    known = {name: hips[name] for name in names or ("age", "sex", "hip size")}
    return knowledge(estimate, hips["bmd"], known, hips["subject"].tolist())


@pytest.mark.parametrize(("n", "order"), [(60, 1), (240, 2)])
def test_nobody_is_predicted_by_himself(n: int, order: int) -> None:
    hips = people(n)
    x = np.stack([hips["age"], hips["sex"], hips["hip size"]], 1)
    # a product of 0 and 1 with itself is the same column again, which pinv and scikit-learn's lstsq both share out
    features = PolynomialFeatures(order, include_bias=False).fit_transform((x - x.mean(0)) / x.std(0))
    expected = cross_val_predict(
        LinearRegression(), features, hips["bmd"], groups=hips["subject"], cv=LeaveOneGroupOut()
    )
    np.testing.assert_allclose(predicted_by_others(x, hips["bmd"], hips["subject"])[0], expected, atol=1e-6)


def test_the_mean_is_that_of_the_others_and_the_figures_are_those_of_the_textbook() -> None:
    hips = people(30)
    noise = np.random.default_rng(1).normal(0, 0.05, 60)
    found = judged(hips, hips["bmd"] + noise).mean
    of_others = [hips["bmd"][hips["subject"] != name].mean() for name in hips["subject"]]
    baseline = float(np.sqrt(np.mean((of_others - hips["bmd"]) ** 2) * (1 - 1 / 30)))
    rmse = float(np.sqrt(np.mean(noise**2)))
    assert (found.knows, found.hips, found.subjects) == ((), 60, 30)
    assert (found.rmse_gcm2, found.baseline_rmse_gcm2) == pytest.approx((rmse, baseline))
    assert found.ratio == pytest.approx(rmse / baseline)
    assert found.low < found.ratio < found.high < 1
    assert f"{rmse:.3f} g/cm2 against {baseline:.3f} of the mean of the other subjects" in found.sentence()


def test_a_network_is_told_from_no_knowledge_from_age_and_sex_and_from_exchanged_labels() -> None:
    hips, rng = people(300), np.random.default_rng(2)
    knows = 0.75 + 0.8 * (hips["bmd"] - 0.75) + rng.normal(0, 0.04, 600)
    nothing = 0.729 + rng.normal(0, 0.001, 600)
    exchanged = np.roll(knows, 2 * 17)  # somebody else's
    both = {"no_better_than_mean", "no_better_than_person"}
    for estimate, codes in (
        (knows, set()),
        (nothing, both),
        (exchanged, both),
        (hips["expected"], both - {"no_better_than_mean"}),
    ):
        assert {code for code, _ in judged(hips, estimate).not_shown()} == codes
    assert judged(hips, hips["expected"], "sex").person.high < 1  # what no table says cannot be told from knowledge


@pytest.mark.parametrize("subjects", [22, 60, 240])
def test_what_fitting_costs_makes_nobody_better(subjects: int) -> None:
    """Who knows exactly what age, sex and size say is as good as the baseline, not better."""
    ratios = [judged(hips := people(subjects, seed), hips["expected"]).person.ratio for seed in range(8)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.03)


def test_hips_are_compared_where_all_is_known_and_names_that_few_have_do_not_count() -> None:
    hips = people(40)
    hips["age"][:20], hips["sex"][10:] = np.nan, np.nan
    found = judged(hips, hips["bmd"]).person
    assert found.knows == ("age", "hip size")
    assert (found.hips, found.subjects) == (60, 30)
    hips["age"][:], hips["hip size"][:] = np.nan, np.nan
    assert judged(hips, hips["bmd"]).person is None


def test_of_few_subjects_nothing_is_shown() -> None:
    hips = {name: values[:18] for name, values in people(40).items()}
    found = judged(hips, hips["bmd"] + 0.001)
    assert found.mean.ratio < 0.1
    assert found.mean.high is None
    assert [code for code, _ in found.not_shown()] == ["no_better_than_mean", "no_better_than_person"]


def test_a_column_that_does_not_vary_and_a_table_of_one_sex_do_no_harm() -> None:
    hips = people(50)
    only_age = judged(hips, hips["expected"], "age").person
    hips["sex"][:] = 1.0
    found = judged(hips, hips["expected"], "age", "sex").person
    assert found.baseline_rmse_gcm2 == pytest.approx(only_age.baseline_rmse_gcm2)
