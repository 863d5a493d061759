"""What the semi-supervised methods share: the supervised loss, and beside it a term on films without a label.

Training starts from a supervised network. Each step shows `batch` labelled and `unlabelled_batch` unlabelled films,
these in one or two augmented views. The methods differ only in what the unlabelled views have to agree with.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from bmd_edge.bundle.network_input import InputSpec
from bmd_edge.errors import TableError, UsageError
from bmd_edge.table.film_table import HipRow, read_table
from trainer.images.roi_files import read_rois
from trainer.images.rows import NO_UNLABELLED, split_by_subject
from trainer.methods.batch_statistics import kept_statistics, take_statistics
from trainer.methods.supervised import BmdTask, Outputs, estimates, in_use, standardized
from trainer.networks.bmd_net import BmdNet
from trainer.networks.build import input_of, load_run
from trainer.networks.take_over import take_over
from trainer.run.settings import SemiConfig

Term = tuple[Tensor, dict[str, float]]
"""The loss on unlabelled views, and numbers to log."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a step shows and the network says of it: `labelled` films with their standardized labels `target` (n, 2),
    both empty where the labelled weigh nothing; each of the `views` of the unlabelled films `free` (m,); and where
    further draws come from.
    """

    labelled: Outputs
    target: Tensor
    views: list[Outputs]
    free: NDArray[np.int64]
    rng: Generator


class SemiTask(BmdTask):
    """Labelled and unlabelled regions and a network to start from; a method adds its term."""

    views_per_film = 2
    """Views of an unlabelled film that the network learns from."""

    def __init__(self, config: SemiConfig, table: Path | str, committee: Sequence[Path]) -> None:
        super().__init__(config, table)
        self.config: SemiConfig = config
        self.unlabelled = read_rois(unlabelled_rows(table), labelled=False)
        self.split |= split_by_subject(self.unlabelled.rows)
        if config.pretrain_epochs:
            self.network.load_state_dict(starting_weights(committee[0], self.network), strict=config.method != "rankup")
        else:
            adopt(self.network, committee[0], self.spec)
        if config.statistics == "unlabelled":
            take_statistics(self.network, in_use(self.unlabelled, self.spec, config.channels_last))

    def loss(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """The supervised loss of the labelled films + the method's term on the others."""
        config = self.config
        chosen = self.picks(len(self.train.rows), config.batch, epoch, step)
        free = self.picks(len(self.unlabelled.rows), config.unlabelled_batch, epoch, step)
        if config.labelled_weight == 0:
            chosen = chosen[:0]
        images = [self.views(self.train, chosen, rng)] if len(chosen) else []
        images += [self.views(self.unlabelled, free, rng) for _ in range(self.views_per_film)]
        # One pass each: the noise of batch statistics over few films regularizes, and makes two views differ more.
        target = self.labels(chosen)
        if len(chosen):
            with kept_statistics(self.network) if config.statistics == "unlabelled" else nullcontext():
                labelled = self.network(images.pop(0))
            total, logs = self.supervised(labelled, target)
        else:
            empty = target.new_empty(0, self.network.bmd_head.in_features)
            labelled, total, logs = (target, target, empty), target.sum(), {}
        unlabelled = [self.network(view) for view in images]
        term, more = self.term(Shown(labelled, target, unlabelled, free, rng))
        total = config.labelled_weight * total
        done = (epoch + step / self.steps) / config.epochs
        weight = config.unlabelled_weight * ramp_up(done, config.ramp)
        return total + weight * term, logs | {"unlabelled": float(term.detach()), "weight": weight} | more

    @abstractmethod
    def term(self, shown: Shown) -> Term:
        """The loss on what a step shows of the unlabelled films."""

    def scaled(self, outputs: Outputs) -> Tensor:
        """Estimates (n, 2) in units of the labels' SD."""
        return standardized(outputs[0], self.network)

    def scaled_estimates(self, network: nn.Module) -> Tensor:
        """What a network in eval mode says of all unlabelled films as they are, (n, 2) in units of the labels' SD."""
        bmd = torch.from_numpy(estimates(network, self.unlabelled, self.config.channels_last, self.spec)[0]).to(
            self.network.label_mean.device
        )
        return standardized(bmd, self.network)


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


def adopt(network: BmdNet, start: Path, spec: InputSpec) -> None:
    """Give a network the weights of a run that it goes on from; with them comes that run's scale of the labels.

    Raises:
        UsageError: the run holds a network of another shape, or one that reads another input.
    """
    theirs, ours = asdict(input_of(start)), asdict(spec)
    if theirs != ours:
        wanted = ", ".join(f"{key} = {value}" for key, value in theirs.items() if value != ours[key])
        raise UsageError(f"init: {start.name} reads another input: {wanted}; give its settings")
    take_over(network, start)


def starting_weights(start: Path, network: BmdNet) -> dict[str, Tensor]:
    """Weights of a supervised run of the same network on labels of the same scale."""
    weights = load_run(start).state_dict()
    own = {name: value.cpu() for name, value in network.state_dict().items()}
    if any(key in own and own[key].shape != value.shape for key, value in weights.items()):
        raise UsageError(f"{start.name} holds another network; pre-train with the same settings")
    if not all(torch.equal(weights[key], own[key]) for key in ("label_mean", "label_sd")):
        raise UsageError(f"{start.name} learned from other labels; pre-train on the same film table")
    return weights
