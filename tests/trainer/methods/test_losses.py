import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from scipy import stats
from sklearn import metrics

from bmd_edge.hips.finder import peaks_of
from trainer.images.finder_views import IGNORED_KIND
from trainer.methods.losses import (
    agreement_loss,
    coral_loss,
    dare_gram_loss,
    difference_loss,
    heatmap_loss,
    heatmap_targets,
    kind_loss,
    label_loss,
    place_loss,
    rank_loss,
    spread_loss,
    subspace_loss,
    triplet_loss,
)


def slow_triplet(embedding: np.ndarray, label: np.ndarray, alpha: str, margin: float) -> tuple[float, float]:
    """The definition, one triplet after the other."""
    terms = []
    for a, i, j in itertools.permutations(range(len(label)), 3):
        if i > j or np.isnan(label[[a, i, j]]).any():
            continue
        n, f = (i, j) if abs(label[i] - label[a]) < abs(label[j] - label[a]) else (j, i)
        dn, df = abs(label[n] - label[a]), abs(label[f] - label[a])
        if dn == df:
            continue
        factor = {"sqrt": math.sqrt(df**2 - dn**2), "abs": df - dn, "one": 1.0}[alpha]
        gap = np.sum((embedding[a] - embedding[n]) ** 2) - np.sum((embedding[a] - embedding[f]) ** 2)
        terms.append(max(0.0, gap + factor * margin))
    return float(np.mean(terms)), float(np.mean(np.array(terms) > 0))


@pytest.mark.parametrize("alpha", ["sqrt", "abs", "one"])
def test_triplet_equals_brute_force(alpha: str) -> None:
    rng = np.random.default_rng(3)
    embedding = rng.normal(size=(9, 5)).astype(np.float32)
    label = rng.normal(size=9).astype(np.float32)
    label[4] = label[1]  # a tie for every anchor
    label[7] = np.nan
    loss, active = triplet_loss(torch.from_numpy(embedding), torch.from_numpy(label), alpha, 0.7)
    expected, expected_active = slow_triplet(embedding, label, alpha, 0.7)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert float(active) == pytest.approx(expected_active)


def test_triplet_without_triplets_is_zero() -> None:
    loss, active = triplet_loss(torch.randn(3, 4), torch.tensor([0.5, 0.5, 0.5]))
    assert (float(loss), float(active)) == (0.0, 0.0)


def test_triplet_gradient_is_finite_at_equal_embeddings() -> None:
    embedding = torch.ones(4, 3, requires_grad=True)
    triplet_loss(embedding, torch.tensor([0.0, 1.0, 2.0, 3.0]))[0].backward()
    assert embedding.grad is not None
    assert torch.isfinite(embedding.grad).all()


def test_triplet_refuses_unknown_alpha() -> None:
    with pytest.raises(ValueError, match="sqrt, abs, one"):
        triplet_loss(torch.randn(3, 2), torch.randn(3), "cube")


def test_label_loss_leaves_unknown_labels_out() -> None:
    estimate = torch.tensor([[1.0, 5.0], [2.0, 3.0]], requires_grad=True)
    loss = label_loss(estimate, torch.tensor([[0.0, math.nan], [2.0, 1.0]]))
    assert loss.item() == pytest.approx((1 + 0 + 4) / 3)
    loss.backward()
    assert estimate.grad is not None
    assert estimate.grad[0, 1] == 0
    assert torch.isfinite(estimate.grad).all()


def test_spread_loss_is_laplace_likelihood_and_spares_the_estimate() -> None:
    estimate = torch.tensor([[0.3, -1.0]], requires_grad=True)
    spread = torch.tensor([[0.5, 2.0]], requires_grad=True)
    label = torch.tensor([[1.0, 1.0]])
    loss = spread_loss(estimate, spread, label)
    exact = -stats.laplace.logpdf([1.0, 1.0], [0.3, -1.0], [0.5, 2.0]).mean() - math.log(2)
    assert loss.item() == pytest.approx(exact, rel=1e-5)
    loss.backward()
    assert estimate.grad is None
    assert spread.grad is not None


def test_rank_loss_is_the_log_loss_of_the_counted_pairs() -> None:
    ranks = torch.tensor([[0.2, 1.0], [1.5, -0.3], [-0.7, 0.4]])
    target = torch.tensor([[0.1, 2.0], [0.9, 1.0], [0.9, math.nan]])
    counted = torch.isfinite(target)[:, None] & torch.isfinite(target) & (target[:, None] != target)
    pairs = [(a, b, s) for a in range(3) for b in range(3) for s in range(2) if counted[a, b, s]]
    truth = [float(target[a, s] > target[b, s]) for a, b, s in pairs]
    chance = [float(torch.sigmoid(ranks[a, s] - ranks[b, s])) for a, b, s in pairs]
    assert len(pairs) == 6
    found = rank_loss(ranks, target[:, None] > target, counted)
    assert float(found) == pytest.approx(metrics.log_loss(truth, chance) * len(pairs) / 12, rel=1e-5)


def test_heatmap_target_decodes_to_its_landmark() -> None:
    points = torch.tensor([[[20.3, 90.8], [math.nan, math.nan], [-3.0, 10.0], [255.5, 0.5]]])
    maps = heatmap_targets(points, 128, 2, 1.5)
    assert maps[0, 1].max() == 0
    assert maps[0, 2].max() == 0
    assert maps[0, 3].argmax() == 127
    found, peaks = peaks_of(torch.logit(maps[0, :1].clamp(1e-6, 1 - 1e-6)).numpy(), 256)
    assert found[0] == pytest.approx([20.3, 90.8], abs=0.1)
    assert peaks[0] > 0.9


def test_heatmap_loss_prefers_the_truth() -> None:
    target = heatmap_targets(torch.tensor([[[64.0, 30.0], [math.nan, math.nan]]]), 32, 4, 1.5)
    truth = torch.logit(target.clamp(1e-6, 1 - 1e-6))
    right, where = heatmap_loss(truth, target)
    elsewhere, _ = heatmap_loss(truth.roll(5, 3), target)
    invented, _ = heatmap_loss(truth.flip(1), target)
    # The two terms ask for slightly different peaks: log g + c and logit g.
    assert float(where) < 0.6
    assert float(right) < 0.6 < float(elsewhere) - 3
    assert float(right) < float(invented)


def test_heatmap_loss_of_empty_maps_only_pushes_down() -> None:
    logits = torch.zeros(1, 2, 8, 8, requires_grad=True)
    loss, where = heatmap_loss(logits, torch.zeros(1, 2, 8, 8))
    loss.backward()
    assert where.item() == 0
    assert logits.grad is not None
    assert (logits.grad > 0).all()


def test_kind_loss_ignores_the_unknown() -> None:
    logits = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    kind = torch.tensor([2, IGNORED_KIND, 5])
    log = torch.log_softmax(logits, 1)
    assert float(kind_loss(logits, kind)) == pytest.approx(float(-(log[0, 2] + log[2, 5]) / 2), rel=1e-5)
    assert float(kind_loss(logits, torch.full((3,), IGNORED_KIND))) == 0


def test_what_a_film_adds_to_both_hips_is_no_error_of_their_difference() -> None:
    label = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.5, 0.5], [9.0, 9.0]])
    film = torch.tensor([4, 4, 7, 1])
    shifted = label + torch.tensor([[0.7, -2.0], [0.7, -2.0], [5.0, 5.0], [3.0, 3.0]])
    assert difference_loss(shifted, label, film) == 0
    off = label + torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    assert difference_loss(off, label, film) == pytest.approx(2**2 / 2 / 2)  # one site of two, halved
    label[1, 0] = torch.nan
    assert difference_loss(off, label, film) == 0
    assert difference_loss(off, label, torch.arange(4)) == 0


def test_films_of_one_view_have_to_agree() -> None:
    estimate = torch.tensor([[0.0, 0.0], [1.0, 3.0], [9.0, 9.0]], requires_grad=True)
    embedding = torch.tensor([[2.0, 0.0], [0.0, 5.0], [1.0, 1.0]])
    agree, apart = agreement_loss(estimate, embedding, torch.tensor([3, 3, 8]))
    assert agree.detach() == pytest.approx((1 + 9) / 2 / 2)
    assert apart == pytest.approx(2)
    none = agreement_loss(estimate, embedding, torch.arange(3))
    assert none[0] == none[1] == 0
    none[0].backward()  # a batch without a pair trains on


def test_near_lies_on_another_film_where_films_are_told() -> None:
    """The hip of the anchor's own film may be far from it, never near."""
    embedding, label = torch.tensor([[0.0], [0.0], [1.0]]), torch.tensor([0.0, 0.1, 1.0])
    alone, active = triplet_loss(embedding[:1], label[:1], film=torch.tensor([0]))
    assert alone == active == 0
    plain = triplet_loss(embedding, label, "abs", 1.0)[0]
    assert triplet_loss(embedding, label, "abs", 1.0, torch.arange(3))[0] == plain
    one_film = triplet_loss(embedding, label, "abs", 1.0, torch.tensor([0, 0, 1]))
    # Only anchor 2 has its near on another film: |F_2 - F_1| = |F_2 - F_0|, so its hinge is the margin 0.1.
    assert one_film[0] == pytest.approx(0.1)
    assert triplet_loss(embedding, label, "abs", 1.0, torch.zeros(3))[0] == 0


def test_kinds_count_by_their_weights() -> None:
    logits, kind = torch.randn(3, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 2, 2])
    log = logits.log_softmax(1)
    weighted = kind_loss(logits, kind, weights=torch.tensor([1.0, 1, 3, 1, 1, 1]))
    assert float(weighted) == pytest.approx(float(-(log[0, 0] + 3 * log[1, 2] + 3 * log[2, 2]) / 3), rel=1e-5)


def test_place_loss_is_the_distance_to_a_maps_mean_place() -> None:
    """Map 0 is right, map 1 is 3 cells off along x, map 2 far off, map 3 shows nothing."""
    points = torch.tensor([[[20.0, 30.0], [20.0, 30.0], [20.0, 30.0], [math.nan, math.nan]]])
    seen = points.clone()
    seen[0, 1, 0] += 6
    seen[0, 2] += 100
    logits = 40 * heatmap_targets(seen, 80, 2, 1.0)
    terms = [float(place_loss(logits[:, k : k + 1], points[:, k : k + 1], 2)) for k in range(4)]
    assert terms == pytest.approx([0, 1.5, 8, 0], abs=0.02)
    assert float(place_loss(logits, points, 2)) == pytest.approx((0 + 3 + 16) / 6, abs=0.02)


def clouds(n: int = 12, m: int = 9, d: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(1, 1, (n, d)), rng.normal(0.5, 2, (m, d)) * np.arange(1, d + 1)


def test_coral_is_the_distance_of_covariances() -> None:
    source, target = clouds()
    wanted = np.linalg.norm(np.cov(source.T) - np.cov(target.T), "fro") ** 2 / (4 * 5**2)
    assert float(coral_loss(torch.tensor(source), torch.tensor(target))) == pytest.approx(wanted)
    assert float(coral_loss(torch.tensor(source), torch.tensor(source + 7))) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_dare_gram_compares_truncated_inverses_of_gram_matrices(share: float) -> None:
    source, target = clouds()
    grams = [one.T @ one for one in (np.c_[np.ones(len(some)), some] for some in (source, target))]
    values = [np.sort(np.linalg.eigvalsh(gram))[::-1] for gram in grams]
    count = max(int(np.argmax(np.cumsum(one) >= share * one.sum() * (1 - 1e-12))) + 1 for one in values)
    inverses = []
    for gram, one in zip(grams, values, strict=True):
        below = one[count] / one[0] if count < len(one) else 0
        inverses.append(scipy.linalg.pinvh(gram, atol=0, rtol=(below + one[count - 1] / one[0]) / 2))
    cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(*(one.T for one in inverses), strict=True)]
    scale = np.linalg.norm(values[0][:count] - values[1][:count]) / count
    wanted = 0.05 * np.mean(1 - np.array(cosines)) + 0.001 * scale
    assert float(dare_gram_loss(torch.tensor(source), torch.tensor(target), share)) == pytest.approx(wanted, rel=1e-6)


def test_dare_gram_of_fewer_films_than_features_has_a_slope() -> None:
    source, target = (torch.tensor(one, dtype=torch.float32, requires_grad=True) for one in clouds(6, 6, 16))
    loss = dare_gram_loss(source, target)
    loss.backward()
    for one in (source, target):
        assert one.grad is not None
        assert torch.isfinite(one.grad).all()
        assert float(one.grad.norm()) > 0
    with torch.no_grad():
        assert float(dare_gram_loss(source - 0.01 * source.grad, target - 0.01 * target.grad)) < float(loss)
    same = dare_gram_loss(source, source)
    assert float(same.detach()) == pytest.approx(0, abs=1e-6)


def test_subspace_loss_is_the_divergence_of_normals_in_both_senses() -> None:
    embedding, _ = clouds()
    rng = np.random.default_rng(5)
    mean, variance, weight = rng.normal(size=5), rng.uniform(0.5, 2, 3), rng.uniform(1, 3, 3)
    directions = np.linalg.qr(rng.normal(size=(5, 3)))[0]
    along = (embedding - mean) @ directions

    def divergence(m0: float, v0: float, m1: float, v1: float) -> float:
        at = np.linspace(-60, 60, 400_001)
        p, q = scipy.stats.norm(m0, np.sqrt(v0)), scipy.stats.norm(m1, np.sqrt(v1))
        return float(np.trapezoid(p.pdf(at) * (p.logpdf(at) - q.logpdf(at)), at))

    wanted = 0.0
    for k in range(3):
        m, v = float(along[:, k].mean()), float(along[:, k].var(ddof=1))
        wanted += weight[k] * (divergence(m, v, 0, variance[k]) + divergence(0, variance[k], m, v))
    given = (torch.tensor(value) for value in (embedding, mean, directions, variance, weight))
    assert float(subspace_loss(*given)) == pytest.approx(wanted, rel=1e-6)
