import dataclasses
from pathlib import Path

import pytest
import torch

from bmd_edge.errors import TableError, UsageError
from bmd_edge.table.film_table import read_table, write_table
from tests.trainer.small_trainings import (
    SMALL_BMD,
    SMALL_SEMI,
    Killed,
    going_on_at,
    killed_at,
    metrics,
    task_for,
    with_unlabelled,
)
from trainer.commands import pretraining_folders, run_training
from trainer.methods.registry import METHODS
from trainer.methods.semi import ramp_up
from trainer.methods.supervised import BmdTask
from trainer.networks.build import load_run
from trainer.run.loop import train
from trainer.run.settings import SemiConfig, pretraining
from trainer.run.settings_file import to_toml
from trainer.run.task import Task


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
    learns = method != "statistics"
    assert all((line["train_unlabelled"] > 0) == learns for line in metrics(tmp_path / "run"))


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
