"""Self-training, the paper's method: pseudo BMDs that follow the best network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bmd_edge.sites import SITES
from trainer.methods.semi import SemiTask, Shown, Term, starting_weights
from trainer.networks.build import build, load_run
from trainer.run.settings import SemiConfig

_BETTER = 1e-5
"""A validation r is better when it rises by more than rounding."""


class SelfTraining(SemiTask):
    """Pseudo BMDs, made anew whenever the validation r improves, and consistency of two views (Zheng et al., 2021).

    Beyond the paper, a pseudo BMD may be the mean of a committee of supervised networks of several seeds, whose errors
    are not all the same; the network in training takes the place of the one that it started from. Without weight on
    consistency a film is seen in one view, so that a step can show more films.
    """

    def __init__(self, config: SemiConfig, table: Path | str, committee: Sequence[Path]) -> None:
        super().__init__(config, table, committee)
        self.views_per_film = 2 if config.agree_weight + config.embedding_weight > 0 else 1
        network = self.network.eval()
        self.best_r = mean_r(super().validate(network))
        self.others = torch.zeros(len(self.unlabelled.rows), len(SITES), device=config.device)
        for run in committee[1:]:
            if config.pretrain_epochs:
                other = build(self.network_name, **self.network_kwargs)
                other.load_state_dict(starting_weights(run, self.network))
            else:
                other = load_run(run)
            self.others += self.scaled_estimates(other.to(config.device).eval())
        self.pseudo = self.pseudo_bmd(network)
        self.regenerated = 0

    def pseudo_bmd(self, network: nn.Module) -> Tensor:
        """Mean of the committee's estimates with `network` as its first member, (n, 2) in units of the labels' SD."""
        return (self.scaled_estimates(network) + self.others) / self.config.committee

    def term(self, shown: Shown) -> Term:
        """Squared difference to the pseudo BMD, and between the estimates and the embeddings of two views; triplets of
        labelled and unlabelled films.
        """
        config, wanted = self.config, self.pseudo[torch.from_numpy(shown.free)]
        found = [self.scaled(view) for view in shown.views]
        term = torch.stack([functional.mse_loss(one, wanted) for one in found]).mean()
        logs = {"pseudo": float(term.detach())}
        if self.views_per_film == 2:
            agree = functional.mse_loss(found[0], found[1])
            features = [functional.normalize(view[2], dim=1) for view in shown.views]
            apart = (features[0] - features[1]).square().sum(1).mean()
            term = term + config.agree_weight * agree + config.embedding_weight * apart
            logs |= {"agree": float(agree.detach()), "apart": float(apart.detach())}
        if config.triplet_both > 0:
            both = torch.cat([shown.labelled[2], shown.views[0][2]])
            triplet, _ = self.triplets(both, torch.cat([shown.target, wanted]))
            term = term + config.triplet_both * triplet
            logs["triplet_both"] = float(triplet.detach())
        return term, logs

    def validate(self, network: nn.Module) -> dict[str, float]:
        """As supervised; a better validation r has the pseudo BMDs made anew, or any where the last network is kept."""
        metrics = super().validate(network)
        r = mean_r(metrics)
        better = r > self.best_r + _BETTER or self.config.keep == "last"  # val shows other films than these
        if better and self.regenerated < self.config.max_regenerations:
            self.best_r, self.regenerated = r, self.regenerated + 1
            self.pseudo = self.pseudo_bmd(network)
        return metrics | {"regenerated": self.regenerated}

    def state(self) -> dict[str, Tensor]:
        """The pseudo BMDs, the validation r they come from, and how often they were made anew."""
        return {"pseudo": self.pseudo, "facts": torch.tensor([self.best_r, self.regenerated], dtype=torch.float64)}

    def take_up(self, state: dict[str, Tensor]) -> None:
        """Put the pseudo BMDs back."""
        self.pseudo = state["pseudo"].to(self.pseudo)
        self.best_r, self.regenerated = float(state["facts"][0]), int(state["facts"][1])


def mean_r(metrics: dict[str, float]) -> float:
    """Mean validation r over the sites that were validated."""
    return float(np.mean([metrics[f"val_r_{site}"] for site in SITES if f"val_r_{site}" in metrics]))
