"""Estimates that have to agree: with those of another view (Pi-model), with the film's earlier ones (temporal
ensembling), or with those of the averaged weights (mean teacher).
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from trainer.methods.semi import SemiTask, Shown, Term
from trainer.networks.build import build
from trainer.run.settings import SemiConfig


class PiModel(SemiTask):
    """The estimates for two views agree (Laine and Aila, ICLR 2017)."""

    def term(self, shown: Shown) -> Term:
        """Squared difference of the two estimates."""
        return functional.mse_loss(self.scaled(shown.views[0]), self.scaled(shown.views[1])), {}


class TemporalEnsembling(SemiTask):
    """The estimate agrees with the running mean of the film's earlier ones (Laine and Aila, ICLR 2017)."""

    views_per_film = 1

    def __init__(self, config: SemiConfig, table: Path | str, committee: Sequence[Path]) -> None:
        super().__init__(config, table, committee)
        # The first estimates come from the network that training starts from, so no bias has to be corrected.
        self.ensemble = self.scaled_estimates(self.network.eval())

    def term(self, shown: Shown) -> Term:
        """Squared difference to the running mean, which then takes up the new estimate."""
        found, chosen = self.scaled(shown.views[0]), torch.from_numpy(shown.free)
        term = functional.mse_loss(found, self.ensemble[chosen])
        self.ensemble[chosen] = self.ensemble[chosen].lerp(found.detach(), 1 - self.config.ensemble_decay)
        return term, {}

    def state(self) -> dict[str, Tensor]:
        """The running means."""
        return {"ensemble": self.ensemble}

    def take_up(self, state: dict[str, Tensor]) -> None:
        """Put the running means back."""
        self.ensemble = state["ensemble"].to(self.ensemble)


class MeanTeacher(SemiTask):
    """The estimate agrees with that of the averaged weights for another view (Tarvainen and Valpola, NIPS 2017)."""

    views_per_film = 1

    def watch(self, averaged: dict[str, Tensor]) -> None:
        """The teacher's weights are the averaged ones themselves, so it needs no update."""
        teacher = build(self.network_name, **self.network_kwargs).to(self.config.device)
        teacher.load_state_dict(averaged, assign=True)
        self.teacher = teacher.eval().requires_grad_(False)

    def term(self, shown: Shown) -> Term:
        """Squared difference to the teacher's estimate for a view of its own."""
        with torch.no_grad():
            wanted = self.scaled(self.teacher(self.views(self.unlabelled, shown.free, shown.rng)))
        return functional.mse_loss(self.scaled(shown.views[0]), wanted), {}
