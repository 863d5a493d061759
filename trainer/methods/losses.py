"""The losses, each a pure function of network outputs and targets."""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.images.finder_views import IGNORED_KIND

ALPHAS = ("sqrt", "abs", "one")


def label_loss(estimate: Tensor, label: Tensor) -> Tensor:
    """Mean squared error over the labels that exist.

    Args:
        estimate: (n, sites) standardized estimates.
        label: (n, sites) standardized labels, NaN where a film has none.

    Returns:
        scalar; 0 without any label.
    """
    known = torch.isfinite(label)
    error = torch.where(known, estimate - torch.where(known, label, 0.0), 0.0)
    return error.square().sum() / known.sum().clamp(min=1)


def spread_loss(estimate: Tensor, spread: Tensor, label: Tensor) -> Tensor:
    """Negative log-likelihood of a Laplace distribution around the detached estimate.

    Only the spread learns from it; the absolute error keeps one bad label from ruling. Arguments as in `label_loss`,
    `spread` > 0 in units of the standardized labels.
    """
    known = torch.isfinite(label)
    error = (estimate.detach() - torch.where(known, label, 0.0)).abs()
    return torch.where(known, spread.log() + error / spread, 0.0).sum() / known.sum().clamp(min=1)


def difference_loss(estimate: Tensor, label: Tensor, film: Tensor) -> Tensor:
    """Squared error of the difference of two hips of one film, half of it: of the size of `label_loss` for two
    independent errors, and 0 for an error that the film gives both.

    Args:
        estimate: (n, sites) standardized estimates.
        label: (n, sites) standardized labels, NaN where a film has none.
        film: (n,) int64, equal for hips of one film.

    Returns:
        scalar, the mean over pairs with both labels; 0 without any.
    """
    one, other = _pairs(film)
    return label_loss(estimate[one] - estimate[other], label[one] - label[other]) / 2


def agreement_loss(estimate: Tensor, embedding: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
    """How far the estimates, and the directions of the embeddings, of films of one view lie apart.

    Args:
        estimate: (n, sites) standardized estimates.
        embedding: (n, d).
        view: (n,) int64, equal for films of the same hip in the same pose.

    Returns:
        two scalars: half the mean squared difference of estimates, the mean squared distance of unit embeddings; both
        0 without a pair.
    """
    one, other = _pairs(view)
    if len(one) == 0:
        return estimate.sum() * 0, estimate.sum() * 0
    unit = functional.normalize(embedding, dim=1)
    apart = (unit[one] - unit[other]).square().sum(1).mean()
    return (estimate[one] - estimate[other]).square().mean() / 2, apart


def _pairs(code: Tensor) -> tuple[Tensor, Tensor]:
    """Places (i, j), i < j, of all pairs that share a code."""
    same = torch.triu(code[:, None] == code, diagonal=1)
    one, other = same.nonzero(as_tuple=True)
    return one, other


def triplet_loss(
    embedding: Tensor, label: Tensor, alpha: str = "sqrt", margin: float = 0.5, film: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Adaptive triplet loss of Zheng et al. (arXiv 2103.13482) over all triplets of a batch.

    For an anchor a and two other films, near n is the one whose label is closer to the anchor's and far f the other:
    max(0, |F_a - F_n|^2 - |F_a - F_f|^2 + alpha m). Ties drop out; so do films without a label.

    Args:
        embedding: (n, d), scaled as the caller likes.
        label: (n,) standardized labels, NaN where unknown.
        alpha: "sqrt": sqrt(|y_a - y_f|^2 - |y_a - y_n|^2); "abs": |y_a - y_f| - |y_a - y_n|; "one": the plain loss.
        margin: m.
        film: (n,) int64, equal for hips of one film: near must then be on another film than the anchor, so that what
            is pulled together has the bone in common and not the film; far may be on any.

    Returns:
        the mean over the triplets (0 without any), and the share of triplets that are active.

    Raises:
        ValueError: alpha is not one of `ALPHAS`.
    """
    if alpha not in ALPHAS:
        raise ValueError(f"alpha is one of {', '.join(ALPHAS)}, not {alpha!r}")
    known = torch.isfinite(label)
    embedding, label = embedding[known], label[known]
    squared = (embedding[:, None] - embedding[None]).square().sum(2)
    apart = (label[:, None] - label[None]).abs()
    near, far = apart[:, :, None], apart[:, None, :]  # triplet [a, n, f]
    others = ~torch.eye(len(label), dtype=torch.bool, device=label.device)
    valid = (near < far) & others[:, :, None] & others[:, None, :]
    if film is not None:
        valid &= (film[known][:, None] != film[known])[:, :, None]
    if alpha == "sqrt":
        factor = (far.square() - near.square()).clamp(min=0).sqrt()
    else:
        factor = far - near if alpha == "abs" else torch.ones_like(far - near)
    hinge = functional.relu(squared[:, :, None] - squared[:, None, :] + factor * margin)
    hinge = torch.where(valid, hinge, 0.0)
    count = valid.sum().clamp(min=1)
    return hinge.sum() / count, (hinge.detach() > 0).sum() / count


def coral_loss(source: Tensor, target: Tensor) -> Tensor:
    """How far the covariances of two sets of embeddings lie apart (deep CORAL; Sun and Saenko, ECCV 2016 workshops).

    Args:
        source: (n, d).
        target: (m, d).

    Returns:
        scalar: the squared Frobenius norm of the difference over 4 d^2.
    """
    apart: Tensor = torch.cov(source.T) - torch.cov(target.T)
    distance: Tensor = apart.square().sum() / (4 * source.shape[1] ** 2)
    return distance


def dare_gram_loss(source: Tensor, target: Tensor, share: float = 0.9, angle: float = 0.05) -> Tensor:
    """How far the inverse Gram matrices of two sets of embeddings lie apart in angle and scale: a linear regression is
    the inverse Gram matrix times what it is given (DARE-GRAM; Nejjar et al., CVPR 2023).

    Embeddings get a constant beside them. Of both matrices as many of the largest eigenvalues count as make `share` of
    the sum in either domain: the small ones are noise, and their inverses large.

    Args:
        source: (n, d).
        target: (m, d).
        share: 0..1.
        angle: weight of the angles, that of the scale is a fiftieth of it (the paper's).

    Returns:
        scalar: angle x the mean of 1 - cosine over the columns of the inverses + angle / 50 x the distance of the
        eigenvalues that count, over their number.
    """
    sides = [torch.cat([torch.ones_like(one[:, :1]), one], 1).double() for one in (source, target)]
    parts = [torch.linalg.svd(one, full_matrices=False) for one in sides]  # of G = A^T A the eigenvalues are squares
    values = [one.S.square() for one in parts]
    count = max(int((one.detach().cumsum(0) < share * one.detach().sum()).sum()) + 1 for one in values)
    first, other = (
        (part.Vh[:count].T / value[:count]) @ part.Vh[:count] for part, value in zip(parts, values, strict=True)
    )
    apart = 1 - functional.cosine_similarity(first, other, dim=0, eps=1e-12)
    scale = (values[0][:count] - values[1][:count]).square().sum().clamp(min=1e-12).sqrt() / count
    total: Tensor = angle * apart.mean() + angle / 50 * scale
    return total.to(source.dtype)


def subspace_loss(embedding: Tensor, mean: Tensor, directions: Tensor, variance: Tensor, weight: Tensor) -> Tensor:
    """How far embeddings lie, along directions that matter, from those that a network was trained on: the symmetric
    Kullback-Leibler divergence of two normal distributions a direction (SSA; Adachi et al., ICLR 2025).

    Args:
        embedding: (n, d) of the films in question.
        mean: (d,) of the films learned from.
        directions: (d, k) orthonormal, principal ones of theirs.
        variance: (k,) along each, > 0.
        weight: (k,) how much each counts.

    Returns:
        scalar: the weighted sum of the divergences in both senses.
    """
    along = (embedding - mean) @ directions
    moved, own = along.mean(0).square(), torch.maximum(along.var(0), 1e-4 * variance)
    return (weight * ((moved + variance) / own + (moved + own) / variance - 2)).sum() / 2


def rank_loss(ranks: Tensor, above: Tensor, counted: Tensor) -> Tensor:
    """Pairwise ranking as classification: cross entropy of sigmoid(rank a - rank b) (RankNet, Burges et al., 2005).

    Args:
        ranks: (n, sites).
        above: (n, n, sites) bool: the first film of the pair has more BMD.
        counted: (n, n, sites) bool: pairs that count.

    Returns:
        scalar: the sum over the counted pairs, over the number of all pairs of two films.
    """
    logits = ranks[:, None] - ranks
    each = functional.binary_cross_entropy_with_logits(logits, above.float(), reduction="none")
    n = len(ranks)
    return torch.where(counted, each, 0.0).sum() / max(n * (n - 1) * ranks.shape[1], 1)


def heatmap_targets(landmarks_px: Tensor, size: int, stride: int, sigma: float) -> Tensor:
    """Gaussians of height 1 around landmarks.

    Args:
        landmarks_px: (n, k, 2) as (x, y) in input pixels, SCOORD convention; NaN or outside the window: an empty map.
        size: cells per side; cell j covers the pixels from j stride to (j + 1) stride.
        stride: input pixels per cell.
        sigma: SD in cells.

    Returns:
        (n, k, size, size) float32, 0..1.
    """
    inside = ((landmarks_px >= 0) & (landmarks_px < size * stride)).all(2)
    cells = torch.where(inside[..., None], landmarks_px / stride - 0.5, 0.0)
    steps = torch.arange(size, device=landmarks_px.device, dtype=torch.float32)
    bumps = torch.exp(-0.5 * ((steps - cells[..., None]) / sigma).square())  # (n, k, 2, size)
    maps = bumps[:, :, 1, :, None] * bumps[:, :, 0, None, :]
    return maps * inside[..., None, None]


def heatmap_loss(logits: Tensor, target: Tensor, presence_weight: float = 1.0) -> tuple[Tensor, Tensor]:
    """Where a landmark is (softmax cross entropy over cells) and how sure (focal term of CenterNet per cell).

    The first is blind to the level of a map, so it cannot say "none here"; the second gives the level: sigmoid of the
    peak is the sharpness that the runtime reads. Focal term: Zhou et al., arXiv 1904.07850, eq. 1, with a soft target.

    Args:
        logits: (n, k, size, size).
        target: (n, k, size, size) from `heatmap_targets`.
        presence_weight: weight of the second term.

    Returns:
        the loss, and its first term alone (nats above the perfect one).
    """
    logits, target = logits.float().flatten(2), target.flatten(2)
    mass = target.sum(2)
    visible, mass = mass > 0, mass.clamp(min=1e-6)
    entropy = torch.special.entr(target).sum(2) / mass + mass.log()
    where = logits.logsumexp(2) - (target * logits).sum(2) / mass - entropy
    where = torch.where(visible, where, 0.0).sum() / visible.sum().clamp(min=1)
    # The error |p - target| squared as focal weight: cells that already fit cost nothing.
    weight = (torch.sigmoid(logits.detach()) - target).square_()
    level = functional.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum")
    return where + presence_weight * level / visible.numel(), where.detach()


def place_loss(logits: Tensor, landmarks_px: Tensor, stride: int, most: float = 8.0) -> Tensor:
    """Mean distance along the axes, in cells, from a visible landmark to the mean place of its map (soft-argmax; Sun et
    al., ECCV 2018); beyond `most` cells, where the cross entropy of `heatmap_loss` leads, it counts no further.

    Args:
        logits: (n, k, size, size).
        landmarks_px: (n, k, 2) as (x, y) in input pixels, NaN where not visible.
        stride: input pixels per cell.
        most: cells.

    Returns:
        scalar; 0 without any visible landmark.
    """
    n, k, height, width = logits.shape
    share = logits.float().flatten(2).softmax(2).view(n, k, height, width)
    across = torch.arange(width, device=logits.device) + 0.5
    down = torch.arange(height, device=logits.device) + 0.5
    mean = torch.stack([(share.sum(2) * across).sum(2), (share.sum(3) * down).sum(2)], 2)
    visible = torch.isfinite(landmarks_px).all(2, keepdim=True)
    apart = (mean - torch.where(visible, landmarks_px / stride, 0.0)).abs().clamp(max=most)
    return (apart * visible).sum() / (2 * visible.sum()).clamp(min=1)


def kind_loss(logits: Tensor, kind: Tensor, smoothing: float = 0.0, weights: Tensor | None = None) -> Tensor:
    """Cross entropy of the class head; `kind` (n,) int64, `IGNORED_KIND` where unknown; 0 without any known.

    `weights` (kinds,) say how much each kind counts; 1 where not given.
    """
    known = (kind != IGNORED_KIND).sum().clamp(min=1)
    total = functional.cross_entropy(
        logits, kind, weights, ignore_index=IGNORED_KIND, label_smoothing=smoothing, reduction="sum"
    )
    return total / known
