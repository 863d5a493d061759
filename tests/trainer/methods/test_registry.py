"""Every recipe trains."""

import dataclasses
from pathlib import Path

import pytest
import torch

from tests.trainer.small_trainings import (
    ONE_STEP,
    metrics,
)
from trainer.commands import run_training
from trainer.networks.build import load_run
from trainer.run.settings import FinderConfig, SemiConfig
from trainer.run.settings_file import read_config, recipes


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
