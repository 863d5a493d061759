"""The task of the finder: surveys and close-ups of whole films, strongly randomized."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor, nn

from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.bundle.network_input import FINDER_CLOSEUP, FINDER_SURVEY, InputSpec, normalize
from bmd_edge.hips.finder import peaks_of
from trainer.images.finder_views import IGNORED_KIND, View, closeup, exact_closeup, exact_survey, nonsense, survey
from trainer.images.rows import read_rows, split_by_subject
from trainer.images.vary_film import vary_film
from trainer.images.whole_films import read_films
from trainer.methods.losses import heatmap_loss, heatmap_targets, kind_loss, place_loss
from trainer.networks.build import build
from trainer.networks.take_over import take_over
from trainer.run.settings import FinderConfig
from trainer.run.task import Task

STRIDE, CELLS = 2, 128
PEAK = 0.3
"""Validation counts a hip as found when its four core peaks are above this; the bundle chooses its own."""
VARIED = 0.7
"""Strength of the changes of gray levels in the validation of varied close-ups."""


class FinderTask(Task):
    """Films with landmarks, the network and its losses; see `trainer.run.task.Task`."""

    score = "val_score"

    def __init__(self, config: FinderConfig, table: Path | str) -> None:
        self.config = config
        train_rows = read_rows(table, "film", config.train_splits)
        val_rows = read_rows(table, "film", config.val_splits)
        self.train, self.val = read_films(train_rows), read_films(val_rows)
        self.network_name = "finder"
        self.network_kwargs: dict[str, Any] = {"channels": list(config.channels), "n_embedding": config.n_embedding}
        torch.manual_seed(config.seed)
        self.network = build(self.network_name, **self.network_kwargs)
        if config.init:
            take_over(self.network, Path(config.init))
        self.kind_weights = torch.tensor(config.kind_weights)
        self.steps = config.steps or max(1, len(self.train) // config.batch)
        self.split = split_by_subject(train_rows + val_rows)

    def batch(self, rng: Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Images (batch, 1, 256, 256), landmarks (batch, 6, 2) px (NaN: not visible) and kind (batch,)."""
        views = [self._view(rng) for _ in range(self.config.batch)]
        regions = torch.from_numpy(np.stack([view.region for view in views])[:, None])
        dark = torch.from_numpy(rng.random(len(views)) < self.config.dark_share)
        regions = vary_film(torch.where(dark[:, None, None, None], -regions, regions), rng, self.config.augment)
        images = np.stack([normalize(one[0], view.spec) for one, view in zip(regions.numpy(), views, strict=True)])
        points = np.stack([view.landmarks_px for view in views])
        kinds = torch.tensor([view.kind for view in views])
        kinds[dark & (kinds == KINDS.index("intact"))] = IGNORED_KIND  # its gray levels would not give a number
        return torch.from_numpy(images), torch.from_numpy(points).float(), kinds

    def _view(self, rng: Generator) -> View:
        film = self.train[int(rng.integers(len(self.train)))]
        if rng.random() < self.config.nonsense_share:
            return nonsense(film, self.config, rng)
        if rng.random() < self.config.closeup_share:
            return closeup(film, self.config, rng)
        return survey(film, self.config, rng)

    def loss(self, rng: Generator, epoch: int, step: int) -> tuple[Tensor, dict[str, float]]:  # noqa: ARG002
        """Heat maps + class."""
        config = self.config
        device = next(self.network.parameters()).device
        with torch.autocast("cpu", enabled=False):  # images stay float32 until the network takes them
            images, points, kinds = (value.to(device) for value in self.batch(rng))
        heatmaps, kind, _ = self.network(_placed(images, config))
        target = heatmap_targets(points, CELLS, STRIDE, config.sigma_cells)
        maps, where = heatmap_loss(heatmaps, target, config.presence_weight)
        place = place_loss(heatmaps, points, STRIDE)
        classes = kind_loss(kind, kinds, config.label_smoothing, self.kind_weights.to(device))
        known = kinds >= 0
        right = (kind.argmax(1) == kinds)[known].float().mean() if known.any() else torch.tensor(0.0)
        logs = {
            "maps": float(maps.detach()),
            "where": float(where),
            "place": float(place.detach()),
            "kind": float(classes.detach()),
        }
        return maps + config.place_weight * place + config.kind_weight * classes, logs | {"kind_right": float(right)}

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Landmark errors, share found, refusals and sides on the validation films: surveys and close-ups as in use,
        and the close-ups with their gray levels varied, for a world that the films do not show.
        """
        surveys = [exact_survey(film, mirrored) for film in self.val for mirrored in (False, True)]
        closeups = [
            exact_closeup(film, hip, np.random.default_rng([7, index]))
            for index, film in enumerate(self.val)
            for hip in film.hips.values()
            if np.isfinite(hip.center_px).all()
        ]
        metrics = _metrics("survey", surveys, *self._run(network, surveys), FINDER_SURVEY)
        metrics |= _metrics("closeup", closeups, *self._run(network, closeups), FINDER_CLOSEUP)
        varied = _varied(closeups)
        metrics |= _metrics("varied", varied, *self._run(network, varied), FINDER_CLOSEUP)
        parts = [value for name, value in metrics.items() if name.endswith(("_found", "_refused", "_near"))]
        return metrics | {"val_score": float(np.mean(parts)) if parts else 0.0}

    def _run(self, network: nn.Module, views: Sequence[View]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        device = next(network.parameters()).device
        maps, kinds = [], []
        for start in range(0, len(views), 16):
            images = np.stack([normalize(view.region, view.spec) for view in views[start : start + 16]])
            heatmaps, kind, _ = network(_placed(torch.from_numpy(images).to(device), self.config))
            maps.append(heatmaps.cpu().numpy())
            kinds.append(kind.softmax(1).cpu().numpy())
        if not views:
            return np.empty((0, len(LANDMARKS), CELLS, CELLS), np.float32), np.empty((0, len(KINDS)), np.float32)
        return np.concatenate(maps), np.concatenate(kinds)


def _varied(views: Sequence[View]) -> list[View]:
    """The same views through `vary_film`, the same way in every validation."""
    changed: list[View] = []
    for start in range(0, len(views), 4):  # few: some changes are drawn for a batch
        part = views[start : start + 4]
        regions = torch.from_numpy(np.stack([view.region for view in part])[:, None])
        varied = vary_film(regions, np.random.default_rng([7, start]), VARIED).numpy()[:, 0]
        changed += [replace(view, region=region) for view, region in zip(part, varied, strict=True)]
    return changed


def _metrics(
    name: str, views: Sequence[View], heatmaps: NDArray[np.float32], kinds: NDArray[np.float32], spec: InputSpec
) -> dict[str, float]:
    """Numbers of one pass: a hip counts as found when its core peaks are high and the class says intact."""
    errors: list[NDArray[np.float64]] = []
    hits: dict[str, list[bool]] = {}
    for view, maps, kind in zip(views, heatmaps, kinds, strict=True):
        points, peaks = peaks_of(maps, spec.size_px)
        taken = bool(peaks[:4].min() > PEAK and kind[0] > 0.5)
        if view.kind >= 0:
            right = int(kind.argmax()) == view.kind
            hits.setdefault("found" if view.kind == 0 else "refused", []).append(taken == (view.kind == 0))
            hits.setdefault("kind_right", []).append(right)
            hits.setdefault(f"{KINDS[view.kind]}_right", []).append(right)
        if view.kind == 0:
            visible = np.isfinite(view.landmarks_px).all(1)
            errors.append(np.hypot(*(points - view.landmarks_px)[visible].T) * spec.spacing_mm)
    metrics = {f"val_{name}_{key}": float(np.mean(right)) for key, right in hits.items()}
    if errors:
        error_mm = np.concatenate(errors)
        metrics[f"val_{name}_median_mm"] = float(np.median(error_mm))
        metrics[f"val_{name}_p95_mm"] = float(np.percentile(error_mm, 95))
        metrics[f"val_{name}_near"] = float(np.mean(error_mm < 2 * spec.spacing_mm))
    return metrics


def _placed(images: Tensor, config: FinderConfig) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last if config.channels_last else torch.contiguous_format)
