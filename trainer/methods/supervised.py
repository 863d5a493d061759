"""The BMD network learned from labelled films: mean squared error and adaptive triplet loss."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bmd_edge.bundle.network_input import BMD, InputSpec, normalize
from bmd_edge.errors import TableError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.statistics.agreement import plain_figures
from trainer.images.augment import block_means, vary_roi, window
from trainer.images.gray_png import floats
from trainer.images.other_films import as_other_film, reread
from trainer.images.roi_files import ROI_SPACING_MM, Rois, read_rois, roi_image
from trainer.images.rows import MIN_LABELS, read_rows, split_by_subject
from trainer.methods.losses import agreement_loss, difference_loss, label_loss, spread_loss, triplet_loss
from trainer.methods.pairs import Pairs
from trainer.networks.bmd_net import BmdNet
from trainer.networks.build import build, folded
from trainer.networks.take_over import take_over
from trainer.run.settings import BmdConfig, SemiConfig
from trainer.run.task import Task

Outputs = tuple[Tensor, Tensor, Tensor]
"""BMD and spread (n, 2) g/cm2, embedding (n, d), as `BmdNet` returns them."""


class BmdTask(Task):
    """Labelled regions, the network and its losses: the supervised method, and what the others build upon."""

    score = "val_score"
    network: BmdNet
    spec: InputSpec

    def __init__(self, config: BmdConfig, table: Path | str) -> None:
        self.config = config
        self.train = read_rois(training_rows(table, config))
        self.val = read_rois(read_rows(table, "roi", config.val_splits))
        for rois, splits in ((self.train, config.train_splits), (self.val, config.val_splits)):
            if len(rois.rows) < MIN_LABELS:
                names = " + ".join(splits)
                raise TableError(f"{len(rois.rows)} labelled hips in {names}; training needs {MIN_LABELS} at least")
        self.spec, self.pairs = config.spec, Pairs(self.train.rows)
        self._paired: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))
        mean, sd = label_scale(self.train.labels_gcm2)
        self.network_name, self.network_kwargs = config.network, network_settings(config, mean, sd)
        torch.manual_seed(config.seed)
        network = build(self.network_name, **self.network_kwargs)
        assert isinstance(network, BmdNet)
        if config.init:
            take_over(network, Path(config.init))  # its heads stay true: with its weights comes its scale of the labels
        self.network = network.to(config.device)
        self.steps = config.steps or max(1, len(self.train.rows) // config.batch)
        self.split = split_by_subject(self.train.rows + self.val.rows)

    def picks(self, n: int, count: int, epoch: int, step: int) -> NDArray[np.int64]:
        """The `count` of n films that a step takes: each once before any comes again, in an order drawn per epoch."""
        return self._taken(lambda rng: rng.permutation(n), n, count, epoch)[step * count : (step + 1) * count]

    def labelled_picks(self, epoch: int, step: int) -> NDArray[np.int64]:
        """The training films that a step takes, those that losses compare standing together."""
        n, count = len(self.train.rows), self.config.batch
        if not self.config.paired:
            return self.picks(n, count, epoch, step)
        if self._paired[0] != epoch:  # to put them together takes as long as a step does
            self._paired = epoch, self._taken(self.pairs.order, n, count, epoch)
        return self._paired[1][step * count : (step + 1) * count]

    def _taken(
        self, order: Callable[[Generator], NDArray[np.int64]], n: int, count: int, epoch: int
    ) -> NDArray[np.int64]:
        """What the steps of an epoch take, one after the other."""
        passes = -(-self.steps * count // n)
        orders = (order(np.random.default_rng([self.config.seed, epoch, turn])) for turn in range(passes))
        return np.concatenate(list(orders))

    def views(self, rois: Rois, chosen: NDArray[np.int64], rng: Generator, strength: float | None = None) -> Tensor:
        """Augmented network inputs (n, 1, px, px) of the chosen films; `strength` replaces the setting `augment`.

        They vary as the place and scale that a finder and an assumed magnification give, and as films do in gray levels
        and texture; a share of them keeps the sharpness, and a share the gray levels, that they have in use.
        """
        config, spec, n = self.config, self.spec, len(chosen)
        block = math.ceil(round(spec.spacing_mm / ROI_SPACING_MM, 6))  # finer than the network's pixels: stays as sharp
        step = spec.spacing_mm / ROI_SPACING_MM / block
        shift = rng.uniform(-config.shift_mm, config.shift_mm, (n, 2)) / ROI_SPACING_MM
        scale = 1 + rng.uniform(-config.scale, config.scale, n)
        angle = rng.uniform(-config.rotation_deg, config.rotation_deg, n)
        exact = rng.random(n) < config.exact_share
        shift[exact], scale[exact], angle[exact] = np.round(shift[exact]), 1.0, 0.0
        stored = torch.from_numpy(floats(rois.pixels[chosen]))[:, None]
        if config.reread_share > 0:
            stored = reread(stored, rng, config.reread_share)
        moved = block_means(window(stored, block * spec.size_px, shift, step * scale, angle), block)
        plain = torch.from_numpy(rng.random(n) < config.clean_share)[:, None, None, None]
        varied = vary_roi(moved, rng, config.augment if strength is None else strength)
        if config.other_films > 0:
            varied = as_other_film(varied, rng, config.other_films, spec.side_mm)
        varied = torch.where(plain, moved, varied)
        images = torch.from_numpy(np.stack([normalize(one[0], spec) for one in varied.numpy()]))
        return self.placed(images)

    def placed(self, images: Tensor) -> Tensor:
        """Images on the network's device, in the memory layout that is fast there."""
        layout = torch.channels_last if self.config.channels_last else torch.contiguous_format
        return images.to(self.network.label_mean.device).contiguous(memory_format=layout)

    def labels(self, chosen: NDArray[np.int64]) -> Tensor:
        """Standardized labels (n, 2) of training films, NaN where unknown."""
        labels = torch.from_numpy(self.train.labels_gcm2[chosen]).to(self.network.label_mean.device)
        return standardized(labels, self.network)

    def loss(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """The supervised loss of one batch."""
        chosen = self.labelled_picks(epoch, step)
        outputs, target = self.network(self.views(self.train, chosen, rng)), self.labels(chosen)
        film, view = (torch.from_numpy(codes[chosen]).to(target.device) for codes in (self.pairs.film, self.pairs.view))
        total, logs = self.supervised(outputs, target, film if self.config.triplet_across else None)
        if not self.config.paired:
            return total, logs
        term, more = self.compared(outputs, target, film, view)
        return total + term, logs | more

    def compared(self, outputs: Outputs, target: Tensor, film: Tensor, view: Tensor) -> tuple[Tensor, dict[str, float]]:
        """The losses that compare hips of one film, and films of one view; by both, the film is told from the bone."""
        config, scaled = self.config, standardized(outputs[0], self.network)
        difference = difference_loss(scaled, target, film)
        agree, apart = agreement_loss(scaled, outputs[2], view)
        total = config.difference_weight * difference + config.view_weight * agree
        total = total + config.view_embedding_weight * apart
        found = {"difference": difference, "view": agree, "view_embedding": apart}
        return total, {name: float(value.detach()) for name, value in found.items()}

    def supervised(
        self, outputs: Outputs, target: Tensor, film: Tensor | None = None
    ) -> tuple[Tensor, dict[str, float]]:
        """MSE on standardized labels + lambda x triplet + the spread's term; with `film`, triplets across films."""
        config, (bmd, spread, embedding) = self.config, outputs
        scaled = standardized(bmd, self.network)
        error = label_loss(scaled, target)
        around = spread_loss(scaled, spread / self.network.label_sd, target)
        total = error + config.spread_weight * around
        logs = {"mse": float(error.detach()), "spread": float(around.detach())}
        if config.triplet_weight > 0:
            triplet, active = self.triplets(embedding, target, film)
            logs |= {"triplet": float(triplet.detach()), "triplet_active": float(active)}
            logs["triplet_pull"] = _pull(config.triplet_weight * triplet, error, embedding)
            total = total + config.triplet_weight * triplet
        return total, logs

    def triplets(self, embedding: Tensor, target: Tensor, film: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The triplet loss of embeddings (n, d) by the mean of their labels (n, sites), and the share of active."""
        config = self.config
        features = functional.normalize(embedding, dim=1) if config.triplet_norm == "unit" else embedding
        return triplet_loss(features, torch.nanmean(target, 1), config.triplet_alpha, config.triplet_margin, film)

    def validate(self, network: nn.Module) -> dict[str, float]:
        """r, RMSE, bias and mean spread per site on the validation split, without augmentation."""
        bmd, spread = estimates(network, self.val, self.config.channels_last, self.spec)
        return site_metrics(bmd, spread, self.val.labels_gcm2)


def estimates(
    network: nn.Module, rois: Rois, channels_last: bool = True, spec: InputSpec = BMD
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """BMD and spread (n, 2) g/cm2 of all films, seen as the runtime sees them."""
    return answers(network, rois, channels_last, spec)[:2]


def answers(
    network: nn.Module, rois: Rois, channels_last: bool = True, spec: InputSpec = BMD
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """As `estimates`, with the embedding (n, d) of each film."""
    device = next(network.parameters()).device
    network, found = folded(network), []
    for images in in_use(rois, spec, channels_last):
        with torch.no_grad():
            outputs = network(images.to(device))
        found.append([value.float().cpu().numpy() for value in outputs])
    bmd, spread, embedding = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return bmd, spread, embedding


def in_use(rois: Rois, spec: InputSpec, channels_last: bool = True) -> Iterator[Tensor]:
    """Films in order as the runtime shows them, (n <= 32, 1, px, px) at a time."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for start in range(0, len(rois.rows), 32):
        images = np.stack([roi_image(pixels, spec) for pixels in rois.pixels[start : start + 32]])
        yield torch.from_numpy(images).contiguous(memory_format=layout)


def training_rows(table: Path | str, config: BmdConfig) -> list[HipRow]:
    """Rows to learn from: those of the training splits, fewer or more as `labels` and `reveal` say."""
    rows = read_rows(table, "roi", config.train_splits)
    if config.labels:
        rows = rows[: config.labels]
    if config.reveal:
        rows += [_revealed(row) for row in read_rows(table, "roi", ["unlabelled"])]
    return rows


def _revealed(row: HipRow) -> HipRow:
    try:
        truth: dict[str, float | None] = {site: float(row.extra[f"x_true_bmd_{site}"]) for site in SITES}
    except (KeyError, ValueError) as error:
        raise TableError(f"film {row.film}: only phantom films have a true BMD to reveal") from error
    return replace(row, bmd_gcm2=truth, scale="hologic")


def network_settings(config: BmdConfig, mean: NDArray[np.float32], sd: NDArray[np.float32]) -> dict[str, Any]:
    """Arguments of `trainer.networks.build.build` for these settings and this scale of the labels."""
    own: dict[str, Any] = {"width": config.width}
    if config.network == "effnet_lite0":
        own = {"pretrained": config.pretrained}
    elif config.network == "vgg11_se" and config.fine:
        own["fine"] = True
    ranking = isinstance(config, SemiConfig) and config.method == "rankup"
    return {
        "label_mean": mean.tolist(),
        "label_sd": sd.tolist(),
        **own,
        **({"ranking": True} if ranking else {}),
    }


def _pull(triplet: Tensor, error: Tensor, embedding: Tensor) -> float:
    """How strongly the triplet term pulls on the embedding, relative to the squared error: ratio of gradient norms."""
    pulls = [
        float(torch.autograd.grad(term, embedding, retain_graph=True)[0].norm()) if term.requires_grad else 0.0
        for term in (triplet, error)
    ]
    return pulls[0] / max(pulls[1], 1e-12)


def site_metrics(bmd: NDArray[np.float32], spread: NDArray[np.float32], label: NDArray[np.float32]) -> dict[str, float]:
    """Validation numbers of (n, 2) estimates in g/cm2; `val_score` is minus the mean RMSE over the sites."""
    metrics: dict[str, float] = {}
    rmses = []
    for site, name in enumerate(SITES):
        known = np.isfinite(label[:, site])
        if known.sum() < MIN_LABELS:
            continue
        found = plain_figures(bmd[known, site], label[known, site])
        rmses.append(found["rmse_gcm2"])
        moving = bmd[known, site].std() > 0  # a network that answers one number has no correlation
        metrics |= {
            f"val_r_{name}": found["r"] if moving else 0.0,
            f"val_rmse_gcm2_{name}": rmses[-1],
            f"val_bias_gcm2_{name}": found["bias_gcm2"],
        }
        metrics[f"val_spread_gcm2_{name}"] = float(spread[known, site].mean())
    if not rmses:
        raise TableError(f"no site has {MIN_LABELS} labels in the validation split")
    return metrics | {"val_score": -float(np.mean(rmses))}


def label_scale(labels_gcm2: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and SD of the labels of each site; 0 and 1 for a site that nobody labelled.

    Raises:
        TableError: the labels of a site do not differ.
    """
    mean, sd = np.zeros(len(SITES), np.float32), np.ones(len(SITES), np.float32)
    for site, name in enumerate(SITES):
        known = labels_gcm2[np.isfinite(labels_gcm2[:, site]), site]
        if len(known):
            mean[site], sd[site] = known.mean(), known.std()
        if sd[site] < 1e-3:
            raise TableError(f"column bmd_{name}_gcm2: the training labels do not differ")
    return mean, sd


def standardized(value_gcm2: Tensor, network: BmdNet) -> Tensor:
    """(n, 2) g/cm2 in units of the training labels' SD."""
    return (value_gcm2 - network.label_mean) / network.label_sd
