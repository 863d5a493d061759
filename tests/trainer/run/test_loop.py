import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bmd_edge.errors import UsageError
from bmd_edge.table.film_table import read_table, write_table
from tests.support import power
from tests.trainer.small_trainings import (
    SMALL_BMD,
    SMALL_FINDER,
    Killed,
    going_on_at,
    killed_at,
    metrics,
    task_for,
)
from trainer.run.loop import rate_factor, train
from trainer.run.run_folder import START
from trainer.run.settings import BmdConfig, Config


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


def test_the_start_stays_the_best_where_no_epoch_is_better(
    runs: dict[type, Path], cohort: Path, tmp_path: Path
) -> None:
    """Trained on with a rate that spoils every weight: the run holds the weights of `init`, killed or not."""
    config, run = dataclasses.replace(SMALL_BMD, init=str(runs[BmdConfig]), epochs=2, lr=10.0), tmp_path / "run"
    told: list[dict[str, float]] = []
    with pytest.raises(Killed):
        train(killed_at(task_for(config, cohort), (1, 0)), config, run, lambda line, _: told.append(line))
    best = train(task_for(config, cohort), config, run)
    assert [line["epoch"] for line in metrics(run)] == [START, 0, 1]
    assert told[0]["epoch"] == best["epoch"] == START
    own, start = (load_file(each / "checkpoint.safetensors") for each in (run, runs[BmdConfig]))
    assert all(torch.equal(own[name], value) for name, value in start.items())
    assert best["val_score"] == max(line["val_score"] for line in metrics(runs[BmdConfig]))
    made = json.loads((run / "versions.json").read_text())
    weights = (runs[BmdConfig] / "checkpoint.safetensors").read_bytes()
    assert (made["init"], made["init_checkpoint_sha256"]) == ("BmdConfig", hashlib.sha256(weights).hexdigest())


def test_an_epoch_better_than_the_start_is_kept(runs: dict[type, Path], cohort: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(SMALL_BMD, init=str(runs[BmdConfig]), epochs=6)
    best = train(task_for(config, cohort), config, tmp_path / "run")
    lines = metrics(tmp_path / "run")
    assert best["epoch"] >= 0
    assert best["val_score"] == max(line["val_score"] for line in lines) > lines[0]["val_score"]


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
