"""Operating points: the cuts against scikit-learn, their promise on new subjects, and what counts as a case."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import recall_score

from bmd_edge.cli import bundle as bundle_command
from bmd_edge.measure.estimate import estimates
from bmd_edge.measure.headline import headline, lowest_t_score
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.fit.headline_cuts import MIN_SUBJECTS, cuts, fit_headline_cuts, lowest_by_subject


def scores(n: int, gap: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest estimated T-scores of n cases and 3 n others, `gap` apart in SDs of 0.5."""
    rng = np.random.default_rng(seed)
    return rng.normal(-2.8, 0.5, n), rng.normal(-2.8 + gap * 0.5, 0.5, 3 * n)


def rates(cut: float, cases: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    truth = np.r_[np.ones(len(cases), int), np.zeros(len(others), int)]
    called = (np.r_[cases, others] <= cut).astype(int)
    return recall_score(truth, called), recall_score(truth, called, pos_label=0)


@pytest.mark.parametrize("n", [30, 37, 99, 200])
def test_the_cuts_are_the_tightest_that_keep_both_promises(n: int) -> None:
    cases, others = scores(n, 2.0, n)
    points = cuts(cases, others)
    assert points is not None
    assert points.low_suspected_t < points.refer_for_dxa_t
    assert (points.cases, points.others) == (n, 3 * n)
    assert rates(points.refer_for_dxa_t, cases, others)[0] >= 0.9
    assert rates(points.low_suspected_t, cases, others)[1] >= 0.9
    # one case less, or one other more, and the promise for new subjects breaks: k / (n + 1)
    one_less = np.sort(cases)[cases <= points.refer_for_dxa_t].size - 1
    one_more = (others <= points.low_suspected_t).sum() + 1
    assert one_less / (n + 1) < 0.9 <= (one_less + 1) / (n + 1)
    assert 1 - one_more / (3 * n + 1) < 0.9 <= 1 - (one_more - 1) / (3 * n + 1)


def test_new_subjects_get_what_is_promised() -> None:
    found = []
    for seed in range(300):
        points = cuts(*scores(60, 2.0, seed))
        assert points is not None
        fresh = scores(400, 2.0, 10_000 + seed)
        found.append((rates(points.refer_for_dxa_t, *fresh)[0], rates(points.low_suspected_t, *fresh)[1]))
    sensitivity, specificity = np.mean(found, axis=0)
    # exact: 55 / 61 = .9016 and 1 - 18 / 181 = .9006; standard errors over 300 fits are about .002 and .001
    assert abs(sensitivity - 55 / 61) < 0.008
    assert abs(specificity - (1 - 18 / 181)) < 0.005


def test_where_the_cuts_cross_there_is_one_and_no_middle_band() -> None:
    cases, others = scores(200, 4.0, 0)
    points = cuts(cases, others)
    assert points is not None
    assert points.low_suspected_t == points.refer_for_dxa_t
    sensitivity, specificity = rates(points.low_suspected_t, cases, others)
    assert min(sensitivity, specificity) > 0.9
    found = {
        headline(estimates((bmd, 0.9), (0.03, 0.03), _calibration(), 70.0, "M"), points)
        for bmd in np.linspace(0.3, 0.9, 200)
    }
    assert found == {"low_suspected", "not_suspected"}


def test_too_few_subjects_of_either_class_give_no_cuts() -> None:
    cases, others = scores(30, 2.0, 0)
    assert cuts(cases, others) is not None
    assert cuts(cases[:29], others) is None
    assert cuts(cases, others[:29]) is None


def hip(subject: str, side: str, neck: float, total: float, age: float | None = 70.0, sex: str = "F") -> HipRow:
    bmd = dict(zip(SITES, (neck, total), strict=True))
    return HipRow(
        film=f"{subject}{side}",
        subject=subject,
        side=side,
        split="calibrate",
        age_years=age,
        sex=sex,
        bmd_gcm2=bmd,
        scale="hologic",
    )


def test_a_subject_counts_once_by_the_lower_site_and_side() -> None:
    rows = [
        hip("both", "R", 0.90, 0.95), hip("both", "L", 0.90, 0.637),  # T = -2.5 at the left total hip
        hip("edge", "R", 0.563, 0.90),  # T = -2.458, rounded to -2.5
        hip("not", "R", 0.565, 0.90),  # T = -2.44
        hip("young", "R", 0.40, 0.40, age=49.0), hip("unknown", "R", 0.40, 0.40, age=None),
    ]  # fmt: skip
    estimated, low = lowest_by_subject(rows, np.array([[0.858, 0.942], [0.738, 0.942]] + [[0.858, 0.82]] * 4))
    assert low.tolist() == [True, True, False]  # both, edge, not
    np.testing.assert_allclose(estimated, [-1.0, -1.0, -1.0], atol=1e-12)


@pytest.mark.parametrize("sides", ["RL", "LR"])
def test_the_lower_side_counts_wherever_it_stands(sides: str) -> None:
    rows = [hip("one", side, 0.90, 0.637 if side == "L" else 0.95) for side in sides]
    answers = np.array([[0.858, 0.82 if side == "L" else 0.942] for side in sides])
    estimated, low = lowest_by_subject(rows, answers)
    assert low.tolist() == [True]
    np.testing.assert_allclose(estimated, [-1.0], atol=1e-12)


def test_dexa_of_another_scale_is_converted() -> None:
    lunar = dataclasses.replace(hip("edge", "R", 0.70, 1.2), scale="lunar")  # 0.566 on Hologic, T = -2.4
    _, low = lowest_by_subject([lunar], np.ones((1, 2)))
    assert low.tolist() == [False]
    _, low = lowest_by_subject([dataclasses.replace(lunar, bmd_gcm2={SITES[0]: 0.68, SITES[1]: 1.2})], np.ones((1, 2)))
    assert low.tolist() == [True]  # 0.549 on Hologic, T = -2.6; taken as it stands 0.68 would be T = -1.5


def test_the_fit_scores_as_the_runtime_does() -> None:
    rng = np.random.default_rng(3)
    rows = [hip(f"s{k:03}", "R", *rng.uniform(0.4, 1.0, 2)) for k in range(200)]
    answers = np.array([[row.bmd_gcm2[site] for site in SITES] for row in rows]) + rng.normal(0, 0.05, (200, 2))
    points = fit_headline_cuts(rows, answers)
    assert points is not None
    estimated, low = lowest_by_subject(rows, answers)
    shown = [lowest_t_score(estimates(a, (0.03, 0.03), _calibration(), 70.0, "F")) for a in answers]
    np.testing.assert_allclose(estimated, shown, atol=5e-4)  # a report rounds to 0.0001 g/cm2
    assert rates(points.refer_for_dxa_t, estimated[low], estimated[~low])[0] >= 0.9


def _calibration():
    from bmd_edge.bundle.calibration import PrecisionCalibration, SiteCalibration

    return PrecisionCalibration("0" * 64, {site: SiteCalibration(1.7, 0.9, 100) for site in SITES}, None)


def test_info_says_how_many_make_a_headline() -> None:
    said = bundle_command._cuts(None)
    assert f"on {MIN_SUBJECTS} subjects of 50 and more with low BMD by DXA and {MIN_SUBJECTS} without" in said
