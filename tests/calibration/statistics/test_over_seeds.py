import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from calibration.statistics.over_seeds import agreement, auroc, interval, paired_difference
from trainer.paper_table.page import Hips


def drawn(subjects: int, seeds: int = 3, error: float = 0.06) -> tuple[np.ndarray, Hips]:
    """Estimates (seeds, n) of the neck, two hips a subject that err alike."""
    rng = np.random.default_rng(5)
    label = rng.normal(0.7, 0.14, (subjects, 1)).repeat(2, 1)
    off = rng.normal(0, error, (seeds, subjects, 1)) + rng.normal(0, 0.01, (seeds, subjects, 2))
    labels = np.stack([label.ravel(), label.ravel() + 0.1], 1)
    names = tuple(f"s{index}" for index in range(subjects) for _ in range(2))
    return (0.05 + label * 0.95 + off).reshape(seeds, -1), Hips(labels, names)


def test_figures_are_those_of_the_libraries() -> None:
    estimates, hips = drawn(60)
    label = hips.labels_gcm2[:, 0]
    found = agreement(estimates, label)
    assert found["r"] == pytest.approx(np.mean([stats.pearsonr(one, label).statistic for one in estimates]))
    assert found["slope"] == pytest.approx(np.mean([stats.linregress(one, label).slope for one in estimates]))
    assert found["rmse_gcm2"] == pytest.approx(np.mean([np.sqrt(np.mean((one - label) ** 2)) for one in estimates]))
    assert found["bias_gcm2"] == pytest.approx(np.mean(estimates - label))


def test_a_network_that_answers_one_number_has_no_correlation() -> None:
    _, hips = drawn(60)
    label = hips.labels_gcm2[:, 0]
    found = agreement(np.full((1, len(label)), label.mean()), label)
    assert (found["r"], found["slope"]) == (0.0, 0.0)
    assert found["rmse_gcm2"] == pytest.approx(label.std())


def test_auroc_is_that_of_the_library() -> None:
    estimates, hips = drawn(60)
    low = hips.labels_gcm2[:, 0] < 0.6
    assert auroc(estimates, low) == pytest.approx(np.mean([roc_auc_score(low, -one) for one in estimates]))
    assert auroc(estimates, np.zeros_like(low)) is None


def test_interval_resamples_subjects_and_not_hips() -> None:
    """The library's bootstrap of squared errors; two hips that err alike count as little more than one."""
    estimates, hips = drawn(80, seeds=1)
    squares = np.square(estimates[0] - hips.labels_gcm2[:, 0]).reshape(80, 2).mean(1)
    plain = stats.bootstrap(
        (squares,), lambda x, axis: np.sqrt(x.mean(axis)), n_resamples=9999, rng=np.random.default_rng(0)
    ).confidence_interval
    low, high = interval("rmse_gcm2", estimates, hips.labels_gcm2[:, 0], hips.subject)
    assert (low, high) == pytest.approx((plain.low, plain.high), abs=0.001)
    alone = interval("rmse_gcm2", estimates, hips.labels_gcm2[:, 0], list(map(str, range(160))))
    assert high - low > 1.2 * (alone[1] - alone[0])


def test_paired_difference_sees_what_two_intervals_hide() -> None:
    estimates, hips = drawn(80)
    rng = np.random.default_rng(1)
    worse = estimates + rng.normal(0, 0.02, estimates.shape)
    label = hips.labels_gcm2[:, 0]
    found = paired_difference("rmse_gcm2", estimates, worse, label, hips.subject)
    exact = agreement(estimates, label)["rmse_gcm2"] - agreement(worse, label)["rmse_gcm2"]
    assert found["difference"] == pytest.approx(exact)
    assert found["low"] < exact < found["high"] < 0
    own, other = (interval("rmse_gcm2", one, label, hips.subject) for one in (estimates, worse))
    assert own[1] > other[0]
    same = paired_difference("r", estimates, estimates + 1e-9 * rng.normal(size=estimates.shape), label, hips.subject)
    assert abs(same["low"]) < 1e-6
    assert abs(same["high"]) < 1e-6
