import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from bmd_edge.errors import UsageError
from bmd_edge.table.film_table import read_table, write_table
from trainer.commands import train as command
from trainer.images.roi_files import read_rois
from trainer.methods.on_test import on_test
from trainer.methods.supervised import estimates
from trainer.networks.build import load_run
from trainer.run.settings import BmdConfig
from trainer.run.settings_file import RECIPES, read_config, recipes


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


def test_missing_cuda_is_said_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    app = Typer()
    app.command()(command)
    table = str(tmp_path / "missing.csv")
    done = CliRunner().invoke(app, ["mse", "--table", table, "--out", str(tmp_path), "--set", "device=cuda"])
    assert isinstance(done.exception, UsageError)
    assert "install torch for CUDA and the driver, or --set device=cpu" in str(done.exception)


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
    small = ["--set", "width=0.125", "--set", "steps=4"]
    done = runner.invoke(app, [str(path), "--table", str(cohort), "--out", str(tmp_path / "run"), *small])
    assert done.exit_code == 0
    assert "training in float32: this machine has no instructions for bfloat16" in done.stderr
    assert done.stdout.startswith("best epoch 1: val_r_femoral_neck")
    assert "test, " not in done.stdout  # the cohort has no hips to test on
    rows = read_table(cohort)
    moved = [
        replace(row, split="test") if k % 3 == 0 and row.extra["x_image"] == "roi" else row
        for k, row in enumerate(rows)
    ]
    write_table(cohort.with_name("tested.csv"), moved)
    settings = read_config(str(path), {"width": "0.125", "steps": "4"})
    assert isinstance(settings, BmdConfig)
    found = on_test(settings, cohort.with_name("tested.csv"), tmp_path / "run")["total_hip"]
    tested = [row for row in read_table(cohort.with_name("tested.csv")) if row.split == "test"]
    bmd, _ = estimates(load_run(tmp_path / "run"), read_rois(tested), settings.channels_last, settings.spec)
    error = bmd[:, 1] - np.array([row.bmd_gcm2["total_hip"] for row in tested])
    assert found["hips"] == len(tested)
    assert found["rmse_gcm2"] == pytest.approx(float(np.sqrt(np.mean(error**2))), abs=1e-4)
    assert "epoch 1/1" in done.stderr
    missing = runner.invoke(app, ["bmd"])
    assert isinstance(missing.exception, UsageError)
