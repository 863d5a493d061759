"""The BMD network learned from labelled films: mean squared error and adaptive triplet loss."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bmd_edge.bundle.network_input import BMD, normalize
from bmd_edge.errors import TableError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow
from calibration.statistics.agreement import plain_figures
from trainer.images.augment import block_means, vary_roi, window
from trainer.images.gray_png import floats
from trainer.images.roi_files import ROI_BLOCK, ROI_SPACING_MM, Rois, read_rois, roi_image
from trainer.images.rows import MIN_LABELS, read_rows, split_by_subject
from trainer.methods.losses import label_loss, spread_loss, triplet_loss
from trainer.networks.bmd_net import BmdNet
from trainer.networks.build import build, folded
from trainer.run.settings import BmdConfig, SemiConfig
from trainer.run.task import Task

Outputs = tuple[Tensor, Tensor, Tensor]
"""BMD and spread (n, 2) g/cm2, embedding (n, d), as `BmdNet` returns them."""


class BmdTask(Task):
    """Labelled regions, the network and its losses: the supervised method, and what the others build upon."""

    score = "val_score"
    network: BmdNet

    def __init__(self, config: BmdConfig, table: Path | str) -> None:
        self.config = config
        self.train = read_rois(training_rows(table, config))
        self.val = read_rois(read_rows(table, "roi", config.val_splits))
        for rois, splits in ((self.train, config.train_splits), (self.val, config.val_splits)):
            if len(rois.rows) < MIN_LABELS:
                names = " + ".join(splits)
                raise TableError(f"{len(rois.rows)} labelled hips in {names}; training needs {MIN_LABELS} at least")
        mean, sd = label_scale(self.train.labels_gcm2)
        self.network_name, self.network_kwargs = config.network, network_settings(config, mean, sd)
        torch.manual_seed(config.seed)
        network = build(self.network_name, **self.network_kwargs)
        assert isinstance(network, BmdNet)
        self.network = network.to(config.device)
        self.steps = config.steps or max(1, len(self.train.rows) // config.batch)
        self.split = split_by_subject(self.train.rows + self.val.rows)

    def picks(self, n: int, count: int, epoch: int, step: int) -> NDArray[np.int64]:
        """The `count` of n films that a step takes: each once before any comes again, in an order drawn per epoch."""
        passes = -(-self.steps * count // n)
        orders = (np.random.default_rng([self.config.seed, epoch, turn]).permutation(n) for turn in range(passes))
        return np.concatenate(list(orders))[step * count : (step + 1) * count]

    def views(self, rois: Rois, chosen: NDArray[np.int64], rng: Generator, strength: float | None = None) -> Tensor:
        """Augmented network inputs (n, 1, 112, 112) of the chosen films; `strength` replaces the setting `augment`.

        They vary as the place and scale that a finder and an assumed magnification give, and as films do in gray levels
        and texture; a share of them keeps the sharpness, and a share the gray levels, that they have in use.
        """
        config, n = self.config, len(chosen)
        shift = rng.uniform(-config.shift_mm, config.shift_mm, (n, 2)) / ROI_SPACING_MM
        scale = 1 + rng.uniform(-config.scale, config.scale, n)
        angle = rng.uniform(-config.rotation_deg, config.rotation_deg, n)
        exact = rng.random(n) < config.exact_share
        shift[exact], scale[exact], angle[exact] = np.round(shift[exact]), 1.0, 0.0
        stored = torch.from_numpy(floats(rois.pixels[chosen]))[:, None]
        moved = block_means(window(stored, ROI_BLOCK * BMD.size_px, shift, scale, angle), ROI_BLOCK)
        plain = torch.from_numpy(rng.random(n) < config.clean_share)[:, None, None, None]
        varied = torch.where(plain, moved, vary_roi(moved, rng, config.augment if strength is None else strength))
        images = torch.from_numpy(np.stack([normalize(one[0], BMD) for one in varied.numpy()]))
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
        chosen = self.picks(len(self.train.rows), self.config.batch, epoch, step)
        return self.supervised(self.network(self.views(self.train, chosen, rng)), self.labels(chosen))

    def supervised(self, outputs: Outputs, target: Tensor) -> tuple[Tensor, dict[str, float]]:
        """MSE on standardized labels + lambda x triplet + the spread's term."""
        config, (bmd, spread, embedding) = self.config, outputs
        scaled = standardized(bmd, self.network)
        error = label_loss(scaled, target)
        around = spread_loss(scaled, spread / self.network.label_sd, target)
        total = error + config.spread_weight * around
        logs = {"mse": float(error.detach()), "spread": float(around.detach())}
        if config.triplet_weight > 0:
            features = functional.normalize(embedding, dim=1) if config.triplet_norm == "unit" else embedding
            triplet, active = triplet_loss(
                features, torch.nanmean(target, 1), config.triplet_alpha, config.triplet_margin
            )
            logs |= {"triplet": float(triplet.detach()), "triplet_active": float(active)}
            logs["triplet_pull"] = _pull(config.triplet_weight * triplet, error, embedding)
            total = total + config.triplet_weight * triplet
        return total, logs

    def validate(self, network: nn.Module) -> dict[str, float]:
        """r, RMSE, bias and mean spread per site on the validation split, without augmentation."""
        bmd, spread = estimates(network, self.val, self.config.channels_last)
        return site_metrics(bmd, spread, self.val.labels_gcm2)


def estimates(
    network: nn.Module, rois: Rois, channels_last: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """BMD and spread (n, 2) g/cm2 of all films, seen as the runtime sees them."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    device = next(network.parameters()).device
    network, found = folded(network), []
    for start in range(0, len(rois.rows), 32):
        images = torch.from_numpy(np.stack([roi_image(pixels) for pixels in rois.pixels[start : start + 32]]))
        with torch.no_grad():
            outputs = network(images.to(device).contiguous(memory_format=layout))
        found.append([value.float().cpu().numpy() for value in outputs[:2]])
    bmd, spread = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return bmd, spread


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
    own = {"pretrained": config.pretrained} if config.network == "effnet_lite0" else {"width": config.width}
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
