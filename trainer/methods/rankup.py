"""RankUp: unlabelled films teach the ranks of confident pairs."""

import torch
from torch import Tensor

from trainer.methods.losses import rank_loss
from trainer.methods.semi import SemiTask, Shown, Term
from trainer.methods.supervised import Outputs


class RankUp(SemiTask):
    """A ranking head learns from labelled pairs and from confident unlabelled ones (Huang et al., NeurIPS 2024).

    A pair's order is a classification, so FixMatch applies: the view with the film's own gray levels says which of two
    films has more BMD, and where it is sure, the augmented view learns it. Without the paper's alignment of label
    distributions.
    """

    views_per_film = 1

    def supervised(self, outputs: Outputs, target: Tensor, film: Tensor | None = None) -> Term:
        """The supervised loss + the ranking loss of the labelled pairs."""
        total, logs = super().supervised(outputs, target, film)
        ranks = rank_loss(self.network.ranks(outputs[2]), target[:, None] > target, _differ(target))
        return total + self.config.rank_weight * ranks, logs | {"ranks": float(ranks.detach())}

    def term(self, shown: Shown) -> Term:
        """The ranking loss of the pairs whose order is sure."""
        with torch.no_grad():
            embedding = self.network(self.views(self.unlabelled, shown.free, shown.rng, strength=0.0))[2]
            ranks = self.network.ranks(embedding)
            above = torch.sigmoid(ranks[:, None] - ranks)
        sure = torch.maximum(above, 1 - above) >= self.config.rank_threshold
        term = rank_loss(self.network.ranks(shown.views[0][2]), above > 0.5, sure)
        return self.config.rank_weight * term, {"sure": float(sure.float().mean())}


def _differ(target: Tensor) -> Tensor:
    """(n, n, sites): pairs of films whose labels are known and not the same."""
    known = torch.isfinite(target)
    return known[:, None] & known & (target[:, None] != target)
