"""Adaptations of a trained network: what they change, and what they leave."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from bmd_edge.errors import UsageError
from tests.trainer.small_trainings import SMALL_BMD, SMALL_SEMI, metrics
from trainer.commands import run_training
from trainer.methods.alignment import Subspace, principal
from trainer.methods.batch_statistics import norms
from trainer.methods.registry import METHODS
from trainer.networks.bmd_net import BmdNet
from trainer.networks.build import load_run
from trainer.run.settings import SemiConfig

ADAPTING = {"pretrain_epochs": 0, "keep": "last", "statistics": "unlabelled"}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.run.loop.plot_curves", lambda *_: None)  # they take longer than the training


@pytest.fixture(scope="module")
def start(cohort: Path) -> Path:
    run = cohort.parent / "start of adaptations"
    run_training(dataclasses.replace(SMALL_BMD, epochs=2), cohort, run, lambda *_: None)
    return run


def adapting(method: str, start: Path, **more: object) -> SemiConfig:
    return dataclasses.replace(SMALL_SEMI[method], **(ADAPTING | {"init": str(start)} | more))  # type: ignore[arg-type]


def changed(run: Path, start: Path) -> set[str]:
    before = load_run(start).state_dict()
    return {name for name, value in load_run(run).state_dict().items() if not torch.equal(value, before[name])}


def test_statistics_alone_change_and_no_weight(half_labelled: Path, start: Path, tmp_path: Path) -> None:
    config = adapting("statistics", start, labelled_weight=0.0, weight_decay=0.0)
    run_training(config, half_labelled, tmp_path / "run", lambda *_: None)
    moved = changed(tmp_path / "run", start)
    assert {name.rpartition(".")[2] for name in moved} == {"running_mean", "running_var", "num_batches_tracked"}
    assert len(moved) == 3 * len(norms(load_run(start)))


def test_subspace_moves_the_norms_alone_and_shows_no_labelled_film(
    half_labelled: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = adapting("subspace", start, labelled_weight=0.0)
    task = METHODS["subspace"](config, half_labelled, [start])
    monkeypatch.setattr(task, "supervised", lambda *_: pytest.fail("a labelled film was shown"))
    task.loss(np.random.default_rng(0), 0, 0)
    run_training(config, half_labelled, tmp_path / "run", lambda *_: None)
    network = load_run(start)
    allowed = {f"{name}." for name, module in network.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    moved = changed(tmp_path / "run", start)
    assert all(any(name.startswith(one) for one in allowed) for name in moved)
    assert any(name.endswith("weight") for name in moved)


def test_subspace_brings_embeddings_to_those_of_the_labelled_films(half_labelled: Path, start: Path) -> None:
    task = METHODS["subspace"](adapting("subspace", start, labelled_weight=0.0), half_labelled, [start])
    assert isinstance(task, Subspace)
    optimizer = torch.optim.Adam([p for p in task.network.parameters() if p.requires_grad], lr=1e-2)
    task.network.train()
    films = task.picks(len(task.unlabelled.rows), task.config.unlabelled_batch, 9, 0)
    with torch.no_grad():
        own = task.network(task.views(task.unlabelled, films, np.random.default_rng(0)))[2]
    mean, task.directions, task.variance = principal(own.double(), 3)
    task.mean, task.weight = mean + 3 * task.variance[0].sqrt() * task.directions[:, 0], torch.ones(3)
    losses = []
    for _ in range(12):
        loss, _ = task.loss(np.random.default_rng(0), 9, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_principal_directions_are_those_of_numpy() -> None:
    embedding = np.random.default_rng(0).normal(size=(40, 6)) @ np.diag([5, 3, 2, 1, 0, 0])
    mean, directions, variance = principal(torch.tensor(embedding), 8)
    values, vectors = np.linalg.eigh(np.cov(embedding.T))
    assert mean.numpy() == pytest.approx(embedding.mean(0))
    assert variance.numpy() == pytest.approx(values[::-1][:4])  # along two there is nothing
    assert np.abs((directions.numpy() * vectors[:, ::-1][:, :4]).sum(0)) == pytest.approx(np.ones(4))
    assert principal(torch.tensor(embedding), 2)[1].shape == (6, 2)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_adapts_a_trained_network_and_keeps_its_last(
    half_labelled: Path, start: Path, tmp_path: Path, method: str
) -> None:
    """Another table than the start's: its heads keep their own scale of the labels."""
    if method == "rankup":
        return  # its head is another network's: it cannot go on from one without
    config = adapting(method, start)
    best = run_training(config, half_labelled, tmp_path / "run", lambda *_: None)
    lines = metrics(tmp_path / "run")
    assert [line["epoch"] for line in lines] == [-1, 0, 1, 2]
    assert best["epoch"] == 2
    network, before = load_run(tmp_path / "run"), load_run(start)
    assert isinstance(network, BmdNet)
    assert isinstance(before, BmdNet)
    assert torch.equal(network.label_mean, before.label_mean)


def test_the_last_network_is_kept_although_an_earlier_is_better(
    half_labelled: Path, start: Path, tmp_path: Path
) -> None:
    config = adapting("pi_model", start, lr=0.05, epochs=2)
    run_training(config, half_labelled, tmp_path / "run", lambda *_: None)
    start_line, *lines = metrics(tmp_path / "run")
    assert start_line["val_score"] > lines[-1]["val_score"]
    assert changed(tmp_path / "run", start)


def test_labelled_films_leave_the_statistics_of_the_unlabelled(half_labelled: Path, start: Path) -> None:
    task = METHODS["coral"](adapting("coral", start), half_labelled, [start])
    seen = []
    first = norms(task.network)[0]
    first.register_forward_hook(lambda module, *_: seen.append(module.momentum))
    task.loss(np.random.default_rng(0), 0, 0)
    assert seen == [0.0, 0.1]
    both = METHODS["coral"](dataclasses.replace(task.config, statistics="both"), half_labelled, [start])
    seen.clear()
    norms(both.network)[0].register_forward_hook(lambda module, *_: seen.append(module.momentum))
    both.loss(np.random.default_rng(0), 0, 0)
    assert seen == [0.1, 0.1]


def test_a_committee_of_trained_networks_names_the_pseudo_bmds(
    half_labelled: Path, start: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    run_training(dataclasses.replace(SMALL_BMD, epochs=1, seed=5), half_labelled, other, lambda *_: None)
    config = adapting("self_training", start, committee=2, others=(str(other),), statistics="both")
    task = METHODS["self_training"](config, half_labelled, [start, other])
    wanted = (task.scaled_estimates(load_run(start)) + task.scaled_estimates(load_run(other))) / 2
    assert torch.allclose(task.pseudo, wanted, atol=1e-5)
    run_training(config, half_labelled, tmp_path / "run", lambda *_: None)
    assert metrics(tmp_path / "run")[-1]["regenerated"] == 4  # val decides nothing here; the start counts


def test_triplets_reach_over_labelled_and_unlabelled_films(half_labelled: Path, start: Path) -> None:
    def logged(weight: float) -> dict[str, float]:
        config = adapting("self_training", start, triplet_both=weight, triplet_margin=5.0)
        return METHODS["self_training"](config, half_labelled, [start]).loss(np.random.default_rng(0), 0, 0)[1]

    plain, both = logged(0.0), logged(2.0)
    assert "triplet_both" not in plain
    assert both["triplet_both"] > 0
    assert both["unlabelled"] == pytest.approx(plain["unlabelled"] + 2 * both["triplet_both"], rel=1e-4)


def test_a_start_that_does_not_fit_is_refused_in_a_line(half_labelled: Path, start: Path, tmp_path: Path) -> None:
    def refused(match: str, **changes: object) -> None:
        with pytest.raises(UsageError, match=match):
            run_training(dataclasses.replace(adapting("coral", start), **changes), half_labelled, tmp_path / "run")  # type: ignore[arg-type]

    refused("adapts a trained network: name its run folder, --set init=RUN", init="")
    refused("reads another input: disc_share = 0.0; give its settings", disc_share=0.6)
    refused("network of another shape", network="resnet18")
    refused("committee = 2 counts the network of init and others, which are 1", committee=2, method="self_training")
    assert not (tmp_path / "run").exists()
