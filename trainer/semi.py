"""The semi-supervised methods: the supervised loss, and beside it a term on films without a label.

Training starts from a supervised network. Each step shows `batch` labelled and `unlabelled_batch` unlabelled films,
these in one or two augmented views. The methods differ only in what the unlabelled views have to
agree with: each other (Pi-model), the film's earlier estimates (temporal ensembling), the averaged weights (mean
teacher), pseudo BMDs that follow the best network (self-training, the paper's), or the ranks of confident pairs
(RankUp).
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bmd_edge.errors import TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table
from trainer.bmd import BmdTask, Outputs, estimates, standardized
from trainer.config import SemiConfig
from trainer.data import NO_UNLABELLED, read_rois, split_by_subject
from trainer.losses import rank_loss
from trainer.network import BmdNet, build, load_run

_BETTER = 1e-5
"""A validation r is better when it rises by more than rounding."""

Term = tuple[Tensor, dict[str, float]]
"""The loss on unlabelled views, and numbers to log."""


class SemiTask(BmdTask):
    """Labelled and unlabelled ROIs and a network to start from; a method adds its term."""

    views_per_film = 2
    """Views of an unlabelled film that the network learns from."""

    def __init__(self, config: SemiConfig, table: Path | str, committee: Sequence[Path]) -> None:
        super().__init__(config, table)
        self.config: SemiConfig = config
        self.unlabelled = read_rois(unlabelled_rows(table), labelled=False)
        self.split |= split_by_subject(self.unlabelled.rows)
        self.network.load_state_dict(_start(committee[0], self.network), strict=config.method != "rankup")

    def loss(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """The supervised loss of the labelled films + the method's term on the others."""
        config = self.config
        chosen = self.picks(len(self.train.rows), config.batch, epoch, step)
        free = self.picks(len(self.unlabelled.rows), config.unlabelled_batch, epoch, step)
        images = [self.views(self.train, chosen, rng)]
        images += [self.views(self.unlabelled, free, rng) for _ in range(self.views_per_film)]
        # One pass each: the noise of batch statistics over few films regularizes, and makes two views differ more.
        labelled, *unlabelled = (self.network(view) for view in images)
        total, logs = self.supervised(labelled, self.labels(chosen))
        term, more = self.term(unlabelled, free, rng)
        done = (epoch + step / self.steps) / config.epochs
        weight = config.unlabelled_weight * ramp_up(done, config.ramp)
        return total + weight * term, logs | {"unlabelled": float(term.detach()), "weight": weight} | more

    @abstractmethod
    def term(self, views: list[Outputs], free: NDArray[np.int64], rng: Generator) -> Term:
        """The loss on the outputs of the unlabelled views of the films `free`."""

    def scaled(self, outputs: Outputs) -> Tensor:
        """Estimates (n, 2) in units of the labels' SD."""
        return standardized(outputs[0], self.network)

    def scaled_estimates(self, network: nn.Module) -> Tensor:
        """What a network in eval mode says of all unlabelled films as they are, (n, 2) in units of the labels' SD."""
        bmd = torch.from_numpy(estimates(network, self.unlabelled, self.config.channels_last)[0]).to(
            self.network.label_mean.device
        )
        return standardized(bmd, self.network)


class PiModel(SemiTask):
    """The estimates for two views agree (Laine and Aila, ICLR 2017)."""

    def term(self, views: list[Outputs], free: NDArray[np.int64], rng: Generator) -> Term:  # noqa: ARG002
        """Squared difference of the two estimates."""
        return functional.mse_loss(self.scaled(views[0]), self.scaled(views[1])), {}


class TemporalEnsembling(SemiTask):
    """The estimate agrees with the running mean of the film's earlier ones (Laine and Aila, ICLR 2017)."""

    views_per_film = 1

    def __init__(self, config: SemiConfig, table: Path | str, committee: Sequence[Path]) -> None:
        super().__init__(config, table, committee)
        # The first estimates come from the network that training starts from, so no bias has to be corrected.
        self.ensemble = self.scaled_estimates(self.network.eval())

    def term(self, views: list[Outputs], free: NDArray[np.int64], rng: Generator) -> Term:  # noqa: ARG002
        """Squared difference to the running mean, which then takes up the new estimate."""
        found, chosen = self.scaled(views[0]), torch.from_numpy(free)
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

    def term(self, views: list[Outputs], free: NDArray[np.int64], rng: Generator) -> Term:
        """Squared difference to the teacher's estimate for a view of its own."""
        with torch.no_grad():
            wanted = self.scaled(self.teacher(self.views(self.unlabelled, free, rng)))
        return functional.mse_loss(self.scaled(views[0]), wanted), {}


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
            other = build(self.network_name, **self.network_kwargs)
            other.load_state_dict(_start(run, self.network))
            self.others += self.scaled_estimates(other.to(config.device).eval())
        self.pseudo = self.pseudo_bmd(network)
        self.regenerated = 0

    def pseudo_bmd(self, network: nn.Module) -> Tensor:
        """Mean of the committee's estimates with `network` as its first member, (n, 2) in units of the labels' SD."""
        return (self.scaled_estimates(network) + self.others) / self.config.committee

    def term(self, views: list[Outputs], free: NDArray[np.int64], rng: Generator) -> Term:  # noqa: ARG002
        """Squared difference to the pseudo BMD, and between the estimates and the embeddings of two views."""
        config, wanted = self.config, self.pseudo[torch.from_numpy(free)]
        found = [self.scaled(view) for view in views]
        term = torch.stack([functional.mse_loss(one, wanted) for one in found]).mean()
        logs = {"pseudo": float(term.detach())}
        if self.views_per_film == 2:
            agree = functional.mse_loss(found[0], found[1])
            features = [functional.normalize(view[2], dim=1) for view in views]
            apart = (features[0] - features[1]).square().sum(1).mean()
            term = term + config.agree_weight * agree + config.embedding_weight * apart
            logs |= {"agree": float(agree.detach()), "apart": float(apart.detach())}
        return term, logs

    def validate(self, network: nn.Module) -> dict[str, float]:
        """As supervised; a better validation r has the pseudo BMDs made anew."""
        metrics = super().validate(network)
        r = mean_r(metrics)
        if r > self.best_r + _BETTER and self.regenerated < self.config.max_regenerations:
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


class RankUp(SemiTask):
    """A ranking head learns from labelled pairs and from confident unlabelled ones (Huang et al., NeurIPS 2024).

    A pair's order is a classification, so FixMatch applies: the view with the film's own gray levels says which of two
    films has more BMD, and where it is sure, the augmented view learns it. Without the paper's alignment of label
    distributions.
    """

    views_per_film = 1

    def supervised(self, outputs: Outputs, target: Tensor) -> Term:
        """The supervised loss + the ranking loss of the labelled pairs."""
        total, logs = super().supervised(outputs, target)
        ranks = rank_loss(self.network.ranks(outputs[2]), target[:, None] > target, _differ(target))
        return total + self.config.rank_weight * ranks, logs | {"ranks": float(ranks.detach())}

    def term(self, views: list[Outputs], free: NDArray[np.int64], rng: Generator) -> Term:
        """The ranking loss of the pairs whose order is sure."""
        with torch.no_grad():
            embedding = self.network(self.views(self.unlabelled, free, rng, strength=0.0))[2]
            ranks = self.network.ranks(embedding)
            above = torch.sigmoid(ranks[:, None] - ranks)
        sure = torch.maximum(above, 1 - above) >= self.config.rank_threshold
        term = rank_loss(self.network.ranks(views[0][2]), above > 0.5, sure)
        return self.config.rank_weight * term, {"sure": float(sure.float().mean())}


def _differ(target: Tensor) -> Tensor:
    """(n, n, sites): pairs of films whose labels are known and not the same."""
    known = torch.isfinite(target)
    return known[:, None] & known & (target[:, None] != target)


METHODS: dict[str, type[SemiTask]] = {
    "pi_model": PiModel,
    "temporal_ensembling": TemporalEnsembling,
    "mean_teacher": MeanTeacher,
    "self_training": SelfTraining,
    "rankup": RankUp,
}


def unlabelled_rows(table: Path | str) -> list[HipRow]:
    """The rows that are shown without a label; those of splits that judge must never be among them.

    Raises:
        TableError: the table is broken, or holds no such row.
    """
    rows = [row for row in read_table(table) if row.extra.get("x_image") == "roi" and row.split == "unlabelled"]
    if not rows:
        raise TableError(f"{Path(table).name}: {NO_UNLABELLED}")
    return rows


def ramp_up(done: float, ramp: float) -> float:
    """Weight of the unlabelled term when the share `done` of all steps lies behind: exp(-5 (1 - t)^2), then 1."""
    return math.exp(-5 * (1 - done / ramp) ** 2) if done < ramp else 1.0


def mean_r(metrics: dict[str, float]) -> float:
    """Mean validation r over the sites that were validated."""
    return float(np.mean([metrics[f"val_r_{site}"] for site in SITES if f"val_r_{site}" in metrics]))


def _start(start: Path, network: BmdNet) -> dict[str, Tensor]:
    """Weights of a supervised run of the same network on labels of the same scale."""
    weights = load_run(start).state_dict()
    own = {name: value.cpu() for name, value in network.state_dict().items()}
    if any(key in own and own[key].shape != value.shape for key, value in weights.items()):
        raise UsageError(f"{start.name} holds another network; pre-train with the same settings")
    if not all(torch.equal(weights[key], own[key]) for key in ("label_mean", "label_sd")):
        raise UsageError(f"{start.name} learned from other labels; pre-train on the same film table")
    return weights
