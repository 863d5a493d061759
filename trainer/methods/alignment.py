"""Embeddings of unlabelled films are brought to where those of labelled films lie; the least of it: batch norms that
know the unlabelled films.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from trainer.methods.batch_statistics import norms
from trainer.methods.losses import coral_loss, dare_gram_loss, subspace_loss
from trainer.methods.semi import SemiTask, Shown, Term
from trainer.methods.supervised import answers
from trainer.networks.build import load_run
from trainer.run.settings import SemiConfig

LEAST = 1e-3
"""Of the largest variance: along a direction with less, embeddings of a few films say nothing."""


class Statistics(SemiTask):
    """The batch norms get to know the unlabelled films, no weight learns from them."""

    views_per_film = 1

    def term(self, shown: Shown) -> Term:
        """Nothing: the pass itself moves the running statistics."""
        return shown.views[0][0].sum() * 0, {}


class Coral(SemiTask):
    """The covariances of labelled and unlabelled embeddings agree (deep CORAL; Sun and Saenko, 2016)."""

    views_per_film = 1

    def term(self, shown: Shown) -> Term:
        """See `coral_loss`; in units of the labelled embeddings' SD, for networks differ in how large theirs are."""
        unit = shown.labelled[2].detach().var(0).mean().sqrt().clamp(min=1e-6)
        return coral_loss(shown.labelled[2] / unit, shown.views[0][2] / unit), {}


class DareGram(SemiTask):
    """The inverse Gram matrices of labelled and unlabelled embeddings agree (DARE-GRAM; Nejjar et al., 2023)."""

    views_per_film = 1

    def term(self, shown: Shown) -> Term:
        """See `dare_gram_loss`."""
        return dare_gram_loss(shown.labelled[2], shown.views[0][2]), {}


class Subspace(SemiTask):
    """Significant-subspace alignment (SSA; Adachi et al., ICLR 2025): only scale and shift of the batch norms learn, so
    that unlabelled embeddings have mean and variance of the labelled ones along the principal directions of these; a
    direction counts the more, the more the head's estimates change along it. No labelled film is shown.
    """

    views_per_film = 1

    def __init__(self, config: SemiConfig, table: Path | str, committee: Sequence[Path]) -> None:
        super().__init__(config, table, committee)
        start = load_run(committee[0]).to(config.device)  # as it was, before its norms knew other films
        embedding = torch.from_numpy(answers(start, self.train, config.channels_last, self.spec)[2])
        self.mean, self.directions, self.variance = principal(embedding.double(), config.directions)
        along = self.network.bmd_head.weight.detach().cpu().double() @ self.directions
        self.weight = 1 + along.norm(dim=0)
        self.network.requires_grad_(False)
        for norm in norms(self.network):
            norm.weight.requires_grad_(True)
            norm.bias.requires_grad_(True)

    def term(self, shown: Shown) -> Term:
        """See `subspace_loss`."""
        embedding = shown.views[0][2]
        known = (value.to(embedding) for value in (self.mean, self.directions, self.variance, self.weight))
        return subspace_loss(embedding, *known), {}


def principal(embedding: Tensor, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (d,), principal directions (d, k) and variance along each (k,) of embeddings (n, d): at most `most`, and
    none along which they hardly vary.
    """
    mean = embedding.mean(0)
    values, vectors = torch.linalg.eigh(torch.cov(embedding.T))
    values, vectors = values.flip(0)[:most], vectors.flip(1)[:, :most]
    there = values > LEAST * values[0]
    return mean, vectors[:, there], values[there]
