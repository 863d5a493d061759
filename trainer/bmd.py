"""The task of the BMD network: supervised, mean squared error and adaptive triplet loss."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from bmd_edge.errors import TableError
from bmd_edge.preprocess import BMD, normalize
from bmd_edge.table import SITES
from trainer.augment import rotate, vary_roi
from trainer.config import BmdConfig
from trainer.data import Rois, read_rois, read_rows, roi_region, split_by_subject
from trainer.losses import label_loss, spread_loss, triplet_loss
from trainer.network import BmdNet, build

MIN_LABELS = 20
"""Labelled hips below which a correlation on the validation split, or a label SD, means nothing."""


class BmdTask:
    """Labelled ROIs, the network and its losses; see `trainer.loop.Task`."""

    score = "val_score"

    def __init__(self, config: BmdConfig, table: Path | str) -> None:
        self.config = config
        self.train = read_rois(read_rows(table, "roi", config.train_splits))
        self.val = read_rois(read_rows(table, "roi", config.val_splits))
        for rois, splits in ((self.train, config.train_splits), (self.val, config.val_splits)):
            if len(rois.rows) < MIN_LABELS:
                names = " + ".join(splits)
                raise TableError(f"{len(rois.rows)} labelled hips in {names}; training needs {MIN_LABELS} at least")
        mean, sd = label_scale(self.train.labels_gcm2)
        self.network_name = config.network
        self.network_kwargs: dict[str, Any] = {"label_mean": mean.tolist(), "label_sd": sd.tolist()}
        own = {"pretrained": config.pretrained} if config.network == "effnet_lite0" else {"width": config.width}
        self.network_kwargs |= own
        torch.manual_seed(config.seed)
        network = build(self.network_name, **self.network_kwargs)
        assert isinstance(network, BmdNet)
        self.network = network
        self.steps = max(1, len(self.train.rows) // config.batch)
        self.split = split_by_subject(self.train.rows + self.val.rows)
        self._val_images = roi_images(self.val)
        self._order: tuple[int, NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    def batch(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, Tensor]:
        """Augmented images (batch, 1, 224, 224) and labels (batch, 2) g/cm2; each film once an epoch."""
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([self.config.seed, epoch]).permutation(len(self.train.rows))
        chosen = self._order[1][step * self.config.batch : (step + 1) * self.config.batch]
        regions = [self._moved(int(index), rng) for index in chosen]
        images = torch.from_numpy(np.stack([region for region, _ in regions])[:, None])
        images = rotate(images, np.array([angle for _, angle in regions]), edge="border")
        images = vary_roi(images, rng, self.config.augment)
        return prepared(images), torch.from_numpy(self.train.labels_gcm2[chosen])

    def _moved(self, index: int, rng: Generator) -> tuple[NDArray[np.float32], float]:
        """A region with the errors of place and scale that a finder and an assumed magnification make, and an angle."""
        most = self.config.shift_mm / float(self.train.spacing_mm[index])
        dx, dy = rng.uniform(-most, most, 2)
        if rng.random() < self.config.exact_share:
            return roi_region(self.train, index, BMD, (round(dx), round(dy))), 0.0
        scale = 1 + rng.uniform(-self.config.scale, self.config.scale)
        angle = rng.uniform(-self.config.rotation_deg, self.config.rotation_deg)
        return roi_region(self.train, index, BMD, (dx, dy), scale), angle

    def loss(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, dict[str, float]]:
        """MSE on standardized labels + lambda x triplet + the spread's term."""
        config = self.config
        images, labels = self.batch(rng, epoch, step)
        device = self.network.label_mean.device
        if epoch < config.half_share * config.epochs:
            images = functional.avg_pool2d(images, 2)
        bmd, spread, embedding = self.network(_placed(images, config, device))
        scaled = standardized(bmd, self.network)
        target = standardized(labels.to(device), self.network)
        error = label_loss(scaled, target)
        around = spread_loss(scaled, spread / self.network.label_sd, target)
        total = error + config.spread_weight * around
        logs = {"mse": float(error.detach()), "spread": float(around.detach())}
        if config.triplet_weight > 0:
            features = functional.normalize(embedding, dim=1) if config.triplet_norm == "unit" else embedding
            triplet, active = triplet_loss(
                features, torch.nanmean(target, 1), config.triplet_alpha, config.triplet_margin
            )
            total = total + config.triplet_weight * triplet
            logs |= {"triplet": float(triplet.detach()), "triplet_active": float(active)}
        return total, logs

    def validate(self, network: nn.Module) -> dict[str, float]:
        """r, RMSE, bias and mean spread per site on the validation split, without augmentation."""
        device = next(network.parameters()).device
        outputs = [
            [value.float().cpu().numpy() for value in network(_placed(images, self.config, device))[:2]]
            for images in self._val_images.split(32)
        ]
        bmd, spread = (np.concatenate(parts) for parts in zip(*outputs, strict=True))
        return site_metrics(bmd, spread, self.val.labels_gcm2)


def site_metrics(bmd: NDArray[np.float32], spread: NDArray[np.float32], label: NDArray[np.float32]) -> dict[str, float]:
    """Validation numbers of (n, 2) estimates in g/cm2; `val_score` is minus the mean RMSE over the sites."""
    metrics: dict[str, float] = {}
    rmses = []
    for site, name in enumerate(SITES):
        known = np.isfinite(label[:, site])
        if known.sum() < MIN_LABELS:
            continue
        error = bmd[known, site] - label[known, site]
        rmses.append(float(np.sqrt(np.mean(np.square(error)))))
        moving = bmd[known, site].std() > 0  # a network that answers one number has no correlation
        r = float(np.corrcoef(bmd[known, site], label[known, site])[0, 1]) if moving else 0.0
        metrics |= {
            f"val_r_{name}": r,
            f"val_rmse_gcm2_{name}": rmses[-1],
            f"val_bias_gcm2_{name}": float(error.mean()),
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


def prepared(regions: Tensor) -> Tensor:
    """(n, 1, 224, 224) regions through the runtime's `normalize`."""
    return torch.from_numpy(np.stack([normalize(region[0], BMD) for region in regions.numpy()]))


def roi_images(rois: Rois) -> Tensor:
    """All ROIs as the runtime would show them to the network: (n, 1, 224, 224) float32."""
    return torch.from_numpy(np.stack([normalize(roi_region(rois, index, BMD), BMD) for index in range(len(rois.rows))]))


def _placed(images: Tensor, config: BmdConfig, device: torch.device) -> Tensor:
    layout = torch.channels_last if config.channels_last else torch.contiguous_format
    return images.to(device).contiguous(memory_format=layout)
