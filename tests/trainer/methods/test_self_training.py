import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.small_trainings import SMALL_SEMI, Killed, going_on_at, killed_at, metrics, task_for
from trainer.commands import pretraining_folders
from trainer.methods.self_training import SelfTraining
from trainer.networks.build import load_run
from trainer.run.loop import train


def test_pseudo_bmds_follow_only_a_better_network(half_labelled: Path, tmp_path: Path) -> None:
    task = task_for(SMALL_SEMI["self_training"], half_labelled)
    assert isinstance(task, SelfTraining)
    network = task.network.eval()
    assert torch.equal(task.pseudo, task.scaled_estimates(network))
    first = task.pseudo
    assert task.validate(network)["regenerated"] == 0
    assert task.pseudo is first
    with torch.no_grad():
        network.bmd_head.bias += 0.3
    task.best_r = -1.0
    assert task.validate(network)["regenerated"] == 1
    assert task.pseudo == pytest.approx(first + 0.3, abs=1e-4)
    task.best_r, task.regenerated = -1.0, task.config.max_regenerations
    task.validate(network)
    assert task.regenerated == task.config.max_regenerations


def test_a_committee_gives_the_mean_of_its_networks(half_labelled: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL_SEMI["self_training"], committee=3)
    task = task_for(config, half_labelled)
    assert isinstance(task, SelfTraining)
    folders = pretraining_folders(half_labelled.parent / "start", 3)
    members = [task.scaled_estimates(load_run(folder)) for folder in folders]
    assert not torch.equal(members[0], members[1])
    assert not torch.equal(members[1], members[2])
    assert torch.allclose(task.pseudo, torch.stack(members).mean(0), atol=1e-5)
    network = task.network.eval()
    with torch.no_grad():
        network.bmd_head.bias += 0.3  # the trained network changes one vote in three
    assert torch.allclose(task.pseudo_bmd(network), torch.stack(members).mean(0) + 0.1, atol=1e-4)

    train(task_for(config, half_labelled), config, tmp_path / "whole")
    with pytest.raises(Killed):
        train(killed_at(task_for(config, half_labelled), (2, 1)), config, tmp_path / "run")
    train(going_on_at(task_for(config, half_labelled), 2), config, tmp_path / "run")
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")


def test_without_consistency_a_film_has_one_view(half_labelled: Path) -> None:
    def learned(**weights: float) -> tuple[int, set[str]]:
        task = task_for(dataclasses.replace(SMALL_SEMI["self_training"], **weights), half_labelled)
        assert isinstance(task, SelfTraining)
        return task.views_per_film, set(task.loss(np.random.default_rng(0), 0, 0)[1])

    views, logs = learned(agree_weight=0.0, embedding_weight=0.0)
    assert (views, "pseudo" in logs, "agree" in logs) == (1, True, False)
    views, logs = learned(agree_weight=0.0, embedding_weight=0.1)
    assert (views, "pseudo" in logs, "agree" in logs) == (2, True, True)
