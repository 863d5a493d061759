import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer import Typer
from typer.testing import CliRunner

from bmd_edge.errors import UsageError
from trainer.commands import train as command
from trainer.run.settings_file import RECIPES, recipes


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
    small = ["--set", "width=0.125"]
    done = runner.invoke(app, [str(path), "--table", str(cohort), "--out", str(tmp_path / "run"), *small])
    assert done.exit_code == 0
    assert "training in float32: this machine has no instructions for bfloat16" in done.stderr
    assert done.stdout.startswith("best epoch 1: val_r_femoral_neck")
    assert "epoch 1/1" in done.stderr
    missing = runner.invoke(app, ["bmd"])
    assert isinstance(missing.exception, UsageError)
