"""Settings of trainings that end in seconds, and how they are killed and taken up again."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch

from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table, write_table
from trainer.commands import pretraining_folders
from trainer.methods.finder import FinderTask
from trainer.methods.registry import METHODS
from trainer.methods.supervised import BmdTask
from trainer.run.loop import train
from trainer.run.settings import BmdConfig, Config, FinderConfig, SemiConfig, pretraining
from trainer.run.task import Task

SMALL_BMD = BmdConfig(epochs=3, validate_every=1, batch=16, width=0.125, lr=2e-3, bf16=False)
SMALL_SEMI = {
    method: SemiConfig(
        method=method, epochs=3, steps=2, batch=8, unlabelled_batch=8, width=0.125, bf16=False, pretrain_epochs=1,
        rank_threshold=0.55, validate_every=1, triplet_weight=0.5, lr=2e-3,
    )
    for method in METHODS
}  # fmt: skip
SMALL_FINDER = FinderConfig(epochs=2, steps=2, batch=4, channels=(16,) * 5, n_embedding=8)


class Killed(Exception):
    """The machine goes down."""


def task_for(config: Config, table: Path) -> Task:
    if isinstance(config, SemiConfig):
        committee = pretraining_folders(table.parent / "start", config.committee)
        for member, folder in enumerate(committee):
            train(BmdTask(pretraining(config, member), table), pretraining(config, member), folder)
        return METHODS[config.method](config, table, committee)
    return BmdTask(config, table) if isinstance(config, BmdConfig) else FinderTask(config, table)


def metrics(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def going_on_at(task: Task, epoch: int) -> Task:
    """The task, which may not be asked for any step of an earlier epoch: those are done."""
    original = task.loss

    def loss(rng: np.random.Generator, at: int, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        assert at >= epoch
        return original(rng, at, step)

    task.loss = loss  # type: ignore[method-assign]
    return task


def with_unlabelled(cohort: Path, every: int, name: str) -> Path:
    """The cohort's ROIs with one in so many training hips as an unlabelled film."""
    rows = [row for row in read_table(cohort) if row.extra["x_image"] == "roi"]
    for index, row in enumerate(rows):
        if row.split == "train" and index % every == 0:
            rows[index] = dataclasses.replace(row, split="unlabelled", bmd_gcm2=dict.fromkeys(SITES), scale=None)
    write_table(cohort.with_name(name), rows)
    return cohort.with_name(name)


def killed_at(task: Task, at: tuple[int, int]) -> Task:
    """The task, with a kill in the middle of an epoch."""
    original = task.loss

    def loss(rng: np.random.Generator, epoch: int, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        if (epoch, step) == at:
            raise Killed
        return original(rng, epoch, step)

    task.loss = loss  # type: ignore[method-assign]
    return task


ONE_STEP = {
    "epochs": "1", "steps": "1", "batch": "4", "width": "0.125", "validate_every": "1", "bf16": "false",
    "pretrain_epochs": "1", "unlabelled_batch": "4", "channels": "[16, 16, 16, 16, 16]", "n_embedding": "8",
}  # fmt: skip
