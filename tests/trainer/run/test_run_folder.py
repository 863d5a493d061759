import json
from pathlib import Path

import pytest
import torch

from tests.trainer.small_trainings import SMALL_BMD, SMALL_FINDER, metrics, task_for
from trainer.networks.build import load_run
from trainer.run.settings import Config
from trainer.run.settings_file import read_config


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
