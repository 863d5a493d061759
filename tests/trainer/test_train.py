import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import power
import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from bmd_edge.errors import TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table, write_table
from trainer.commands import pretraining_folders, run_training
from trainer.commands import train as command
from trainer.methods.consistency import MeanTeacher, TemporalEnsembling
from trainer.methods.finder import FinderTask
from trainer.methods.registry import METHODS
from trainer.methods.self_training import SelfTraining
from trainer.methods.semi import ramp_up
from trainer.methods.supervised import BmdTask, training_rows
from trainer.networks.build import load_run
from trainer.run.loop import rate_factor, train
from trainer.run.settings import BmdConfig, Config, FinderConfig, SemiConfig, pretraining
from trainer.run.settings_file import RECIPES, read_config, recipes, to_toml
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


@pytest.fixture(scope="module")
def runs(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[type, Path]:
    """A finished run of either network."""
    folder = tmp_path_factory.mktemp("runs")
    for config in (SMALL_BMD, SMALL_FINDER):
        train(task_for(config, cohort), config, folder / type(config).__name__)
    return {BmdConfig: folder / "BmdConfig", FinderConfig: folder / "FinderConfig"}


@pytest.mark.parametrize("config", [SMALL_BMD, SMALL_FINDER], ids=["bmd", "finder"])
def test_run_folder_holds_what_a_run_is(runs: dict[type, Path], config: Config, cohort: Path) -> None:
    run = runs[type(config)]
    assert read_config(run / "config.toml") == config
    assert len(metrics(run)) == config.epochs
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert set(json.loads((run / "split.json").read_text())) == {"train", "val"}
    assert json.loads((run / "versions.json").read_text())["torch"] == torch.__version__
    assert not list(run.glob(".*"))
    network = load_run(run)
    assert not network.training
    best = max(line["val_score"] for line in metrics(run))
    with torch.no_grad():
        again = task_for(config, cohort).validate(network)
    assert again["val_score"] == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize(
    ("instructions", "computed"), [({"avx2": True}, "float32"), ({"avx512_bf16": True}, "bfloat16")]
)
def test_bfloat16_only_where_the_machine_computes_in_it(
    runs: dict[type, Path], cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    instructions: dict[str, bool], computed: str,
) -> None:  # fmt: skip
    """Where it would be emulated, which takes many times as long, the numbers are those of float32."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    train(task_for(SMALL_BMD, cohort), dataclasses.replace(SMALL_BMD, bf16=True), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "versions.json").read_text())["arithmetic"] == computed
    assert (metrics(tmp_path / "run") == metrics(runs[BmdConfig])) == (computed == "float32")


@pytest.mark.parametrize("config", [SMALL_BMD, SMALL_FINDER], ids=["bmd", "finder"])
def test_killed_run_ends_with_the_same_numbers(
    runs: dict[type, Path], config: Config, cohort: Path, tmp_path: Path
) -> None:
    """Killed in the middle of the second epoch, and once between the metrics' line and the state."""
    whole, run = runs[type(config)], tmp_path / "run"

    with pytest.raises(Killed):
        train(killed_at(task_for(config, cohort), (1, 1)), config, run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 1, "train_loss": 9')  # the line of an epoch whose state was never saved, half written
    train(going_on_at(task_for(config, cohort), 1), config, run)
    assert metrics(run) == metrics(whole)
    assert (run / "checkpoint.safetensors").read_bytes() == (whole / "checkpoint.safetensors").read_bytes()


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_run_whose_metrics_lack_an_epoch_is_not_taken_up(
    runs: dict[type, Path], cohort: Path, tmp_path: Path, lost: int
) -> None:
    """Patience and the best epoch would be judged on what is left, and nobody would see it."""
    run = shutil.copytree(runs[BmdConfig], tmp_path / "run")
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 3
    left = "".join(lines[:lost] + lines[lost + 1 :])
    (run / "metrics.jsonl").write_text(left)
    with pytest.raises(UsageError, match=r"run counts 3 epochs, metrics\.jsonl holds 2 of them: put it back"):
        train(task_for(SMALL_BMD, cohort), SMALL_BMD, run)
    assert (run / "metrics.jsonl").read_text() == left


def test_a_power_cut_leaves_no_state_that_counts_what_it_took(
    runs: dict[type, Path], cohort: Path, tmp_path: Path
) -> None:
    """Whatever a cut after an epoch leaves, the training goes on from there and ends with the same numbers."""
    (tmp_path / "power").mkdir()
    with power.disk(tmp_path / "power") as disk:

        def cut(line: dict[str, float], _: float) -> None:
            with disk.after_power_cut() as left:
                shutil.copytree(left / "run", tmp_path / f"{line['epoch']}")

        train(task_for(SMALL_BMD, cohort), SMALL_BMD, disk.folder / "run", progress=cut)
    for epoch in range(SMALL_BMD.epochs):
        left = tmp_path / f"{epoch}"
        assert len(metrics(left)) == epoch + 1
        train(going_on_at(task_for(SMALL_BMD, cohort), epoch + 1), SMALL_BMD, left)
        assert metrics(left) == metrics(runs[BmdConfig])
        assert (left / "checkpoint.safetensors").read_bytes() == (
            runs[BmdConfig] / "checkpoint.safetensors"
        ).read_bytes()


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


@pytest.fixture(scope="module")
def half_labelled(cohort: Path) -> Path:
    """The cohort with a third of the training hips as unlabelled films."""
    return with_unlabelled(cohort, 3, "half_labelled.csv")


def test_only_films_without_a_label_are_revealed(cohort: Path) -> None:
    """The upper bound of all methods knows the truth of the unlabelled films, and of no film that judges."""
    table = with_unlabelled(cohort, 3, "revealed.csv")
    truth = {f"x_true_bmd_{site}": "0.7" for site in SITES}
    rows = [dataclasses.replace(row, extra={**row.extra, **truth}) for row in read_table(table)]
    rows[1:13:4] = [dataclasses.replace(row, split="test") for row in rows[1:13:4]]
    write_table(table, rows)
    learned = training_rows(table, dataclasses.replace(SMALL_BMD, reveal=True))
    assert {row.split for row in learned} == {"train", "unlabelled"}
    assert {row.subject for row in learned} == {row.subject for row in rows if row.split in ("train", "unlabelled")}


@pytest.mark.parametrize("method", METHODS)
def test_no_film_that_judges_is_shown_without_its_label(cohort: Path, method: str) -> None:
    """Rows of test and calibrate are never learned from, nor are those of val: they choose the checkpoint."""
    table = with_unlabelled(cohort, 3, "judging.csv")
    rows = read_table(table)
    for split, index in (("test", 1), ("calibrate", 2)):
        rows[index : index + 12 : 4] = [dataclasses.replace(row, split=split) for row in rows[index : index + 12 : 4]]
    unlabelled = {row.subject for row in rows if row.split == "unlabelled"}
    write_table(table, rows)
    config, start = SMALL_SEMI[method], cohort.parent / "start of judging"
    train(BmdTask(pretraining(config, 0), table), pretraining(config, 0), start)
    task = METHODS[method](config, table, [start])
    assert {row.split for row in task.unlabelled.rows} == {"unlabelled"}
    assert {row.subject for row in task.unlabelled.rows} == unlabelled
    assert set(task.split) == {"train", "val", "unlabelled"}
    assert {row.split for row in task.train.rows} == {"train"}


def killed_at(task: Task, at: tuple[int, int]) -> Task:
    """The task, with a kill in the middle of an epoch."""
    original = task.loss

    def loss(rng: np.random.Generator, epoch: int, step: int) -> tuple[torch.Tensor, dict[str, float]]:
        if (epoch, step) == at:
            raise Killed
        return original(rng, epoch, step)

    task.loss = loss  # type: ignore[method-assign]
    return task


@pytest.mark.parametrize("method", METHODS)
def test_killed_semi_supervised_run_ends_with_the_same_numbers(
    half_labelled: Path, tmp_path: Path, method: str
) -> None:
    """Pseudo BMDs, ensembles and teacher are taken up where they stood."""
    config = SMALL_SEMI[method]
    train(task_for(config, half_labelled), config, tmp_path / "whole")
    with pytest.raises(Killed):
        train(killed_at(task_for(config, half_labelled), (2, 1)), config, tmp_path / "run")
    train(going_on_at(task_for(config, half_labelled), 2), config, tmp_path / "run")
    assert metrics(tmp_path / "run") == metrics(tmp_path / "whole")
    weights = [(tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]
    assert all(line["train_unlabelled"] > 0 for line in metrics(tmp_path / "run"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
@pytest.mark.parametrize("method", ["supervised", *METHODS])
def test_cuda_learns_what_the_cpu_learns(half_labelled: Path, tmp_path: Path, method: str) -> None:
    """The first steps agree up to rounding, and a killed run is taken up on the device."""
    on_cpu = dataclasses.replace(SMALL_BMD if method == "supervised" else SMALL_SEMI[method], epochs=3)
    on_cuda = dataclasses.replace(on_cpu, device="cuda")

    def task() -> Task:
        if not isinstance(on_cuda, SemiConfig):
            return BmdTask(on_cuda, half_labelled)
        return METHODS[method](on_cuda, half_labelled, pretraining_folders(half_labelled.parent / "start", 1))

    train(task_for(on_cpu, half_labelled), on_cpu, tmp_path / "cpu")
    with pytest.raises(Killed):
        train(killed_at(task(), (2, 1)), on_cuda, tmp_path / "cuda")
    train(going_on_at(task(), 2), on_cuda, tmp_path / "cuda")
    lines = [metrics(tmp_path / name) for name in ("cpu", "cuda")]
    assert [len(found) for found in lines] == [3, 3]
    assert lines[1][0]["train_loss"] == pytest.approx(lines[0][0]["train_loss"], rel=0.02)
    for cpu, cuda in zip(*lines, strict=True):
        assert cuda["val_score"] == pytest.approx(cpu["val_score"], rel=0.1)
    assert load_run(tmp_path / "cuda").label_mean.device.type == "cpu"


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


def test_teacher_is_the_averaged_network(half_labelled: Path) -> None:
    task = task_for(SMALL_SEMI["mean_teacher"], half_labelled)
    assert isinstance(task, MeanTeacher)
    averaged = {name: value.clone() for name, value in task.network.state_dict().items()}
    task.watch(averaged)
    averaged["bmd_head.bias"].fill_(7.0)
    assert (task.teacher.bmd_head.bias == 7).all()
    assert not any(value.requires_grad for value in task.teacher.parameters())


def test_ensemble_moves_toward_new_estimates(half_labelled: Path) -> None:
    task = task_for(SMALL_SEMI["temporal_ensembling"], half_labelled)
    assert isinstance(task, TemporalEnsembling)
    before, chosen = task.ensemble.clone(), np.array([2, 5])
    bmd = task.network.label_mean + task.network.label_sd * torch.full((2, 2), 4.0)
    loss, _ = task.term([(bmd, bmd, bmd)], chosen, np.random.default_rng(0))
    assert float(loss) == pytest.approx(float((4 - before[chosen]).square().mean()), rel=1e-4)
    assert task.ensemble[chosen] == pytest.approx(0.6 * before[chosen] + 0.4 * 4, rel=1e-4)
    assert torch.equal(task.ensemble[[0, 1, 3]], before[[0, 1, 3]])


def test_unlabelled_weight_rises() -> None:
    assert [round(ramp_up(done, 0.2), 4) for done in (0.0, 0.1, 0.2, 1.0)] == [0.0067, 0.2865, 1.0, 1.0]
    assert ramp_up(0.0, 0.0) == 1


def test_another_pretraining_is_refused(half_labelled: Path, cohort: Path) -> None:
    config = SMALL_SEMI["pi_model"]
    task_for(config, half_labelled)
    start = pretraining_folders(half_labelled.parent / "start", 1)
    with pytest.raises(UsageError, match="another network"):
        METHODS["pi_model"](dataclasses.replace(config, width=0.25), half_labelled, start)
    with pytest.raises(UsageError, match="other labels"):
        METHODS["pi_model"](config, with_unlabelled(cohort, 2, "other_labels.csv"), start)


def test_a_table_without_unlabelled_films_is_refused_before_any_training(cohort: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no hip of the split unlabelled; add films without DEXA"):
        run_training(SMALL_SEMI["self_training"], cohort, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_settings_are_refused_before_any_training(half_labelled: Path, tmp_path: Path) -> None:
    config, run = SMALL_SEMI["self_training"], tmp_path / "run"
    run.mkdir()
    (run / "config.toml").write_text(to_toml(config))
    with pytest.raises(UsageError, match="other settings"):
        run_training(dataclasses.replace(config, committee=2), half_labelled, run)
    assert [path.name for path in run.iterdir()] == ["config.toml"]


def test_patience_ends_a_training_early(cohort: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL_BMD, epochs=9, patience=2, lr=1e-12, ema=0.0)
    task = BmdTask(config, cohort)
    scores = iter([0.1, 0.3, 0.2, 0.3, 0.9])
    task.validate = lambda _: {"val_score": next(scores)}  # type: ignore[method-assign]
    assert train(task, config, tmp_path / "run")["epoch"] == 1
    assert len(metrics(tmp_path / "run")) == 4


def test_finished_run_stays(runs: dict[type, Path], cohort: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs[BmdConfig], tmp_path / "run")
    before = metrics(run)
    train(going_on_at(task_for(SMALL_BMD, cohort), SMALL_BMD.epochs), SMALL_BMD, run)
    assert metrics(run) == before


def test_run_of_other_settings_is_not_overwritten(runs: dict[type, Path], cohort: Path) -> None:
    other = dataclasses.replace(SMALL_BMD, epochs=4)
    with pytest.raises(UsageError, match="other settings"):
        train(task_for(other, cohort), other, runs[BmdConfig])


def test_run_on_other_labels_is_not_taken_up(runs: dict[type, Path], cohort: Path, tmp_path: Path) -> None:
    run = shutil.copytree(runs[BmdConfig], tmp_path / "run")
    rows = read_table(cohort)
    index = next(i for i, row in enumerate(rows) if row.split == "train" and row.bmd_gcm2["femoral_neck"])
    rows[index] = dataclasses.replace(rows[index], bmd_gcm2={"femoral_neck": 1.5, "total_hip": 1.5})
    write_table(cohort.with_name("relabelled.csv"), rows)
    with pytest.raises(UsageError, match="other labels"):
        train(task_for(SMALL_BMD, cohort.with_name("relabelled.csv")), SMALL_BMD, run)


def test_training_learns(cohort: Path, tmp_path: Path) -> None:
    config = BmdConfig(epochs=8, batch=8, width=0.125, lr=4e-3, ema=0.9, augment=0.0, validate_every=4)
    best = train(task_for(config, cohort), config, tmp_path / "run")
    assert best["val_r_femoral_neck"] > 0.7


def test_loss_that_is_not_finite_is_an_error(cohort: Path, tmp_path: Path) -> None:
    task = BmdTask(SMALL_BMD, cohort)
    torch.nn.init.constant_(task.network.bmd_head.bias, torch.nan)
    with pytest.raises(UsageError, match="not finite in epoch 0, step 0"):
        train(task, SMALL_BMD, tmp_path / "run")


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        ("one_cycle", (0.04, 1.0, 0.5, 0.0)),
        ("cosine", (1.0, 0.9755, 0.5 + 0.5 * np.cos(0.55 * np.pi), 0.0)),
        ("step", (1.0, 1.0, 0.1, 0.1)),
        ("constant", (1.0, 1.0, 1.0, 1.0)),
    ],
)
def test_learning_rate_over_time(schedule: str, factors: tuple[float, ...]) -> None:
    config = BmdConfig(schedule=schedule, warmup=0.1)
    found = [rate_factor(config, done) for done in (0.0, 0.1, 0.55, 1.0)]
    assert found == pytest.approx(factors, abs=1e-3)


ONE_STEP = {
    "epochs": "1", "steps": "1", "batch": "4", "width": "0.125", "validate_every": "1", "bf16": "false",
    "pretrain_epochs": "1", "unlabelled_batch": "4", "channels": "[16, 16, 16, 16, 16]", "n_embedding": "8",
}  # fmt: skip


@pytest.mark.parametrize("recipe", recipes())
def test_every_recipe_trains_a_step(
    cohort: Path, half_labelled: Path, tmp_path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.run.loop.plot_curves", lambda *_: None)  # they take longer than the training
    known = {field.name for field in dataclasses.fields(read_config(recipe))}
    config = read_config(recipe, {key: value for key, value in ONE_STEP.items() if key in known})
    if isinstance(config, SemiConfig) and config.committee > 1:
        config = dataclasses.replace(config, committee=2)
    run_training(config, cohort if isinstance(config, FinderConfig) else half_labelled, tmp_path / "run")
    assert len(metrics(tmp_path / "run")) == 1
    assert isinstance(load_run(tmp_path / "run"), torch.nn.Module)


def test_help_lists_every_recipe_and_what_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bmd_edge.cli.main", "train", "--help"],
        capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "200", "TERMINAL_WIDTH": "200"},
    )  # fmt: skip
    listed = " ".join(done.stdout.partition("Recipes:")[2].split())
    assert set(recipes()) == {path.stem for path in RECIPES.glob("*.toml")}
    for name, what in recipes().items():
        assert (RECIPES / f"{name}.toml").read_text(encoding="utf-8").startswith(f"# {what}\n")
        assert what.endswith(".")
        assert f"{name} {what}" in listed


def test_command_prints_settings_and_trains(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {})
    app = Typer()
    app.command()(command)
    runner = CliRunner()
    shown = runner.invoke(app, ["bmd", "--print-config", "--set", "epochs=1"])
    assert shown.exit_code == 0
    assert "# Highest learning rate of Adam." in shown.stdout
    path = tmp_path / "own.toml"
    path.write_text(shown.stdout)
    small = ["--set", "width=0.125"]
    done = runner.invoke(app, [str(path), "--table", str(cohort), "--out", str(tmp_path / "run"), *small])
    assert done.exit_code == 0
    assert "training in float32: this machine has no instructions for bfloat16" in done.stderr
    assert done.stdout.startswith("best epoch 1: val_r_femoral_neck")
    assert "epoch 1/1" in done.stderr
    missing = runner.invoke(app, ["bmd"])
    assert isinstance(missing.exception, UsageError)
