"""Finished runs."""

from pathlib import Path

import pytest

from tests.trainer.small_trainings import SMALL_BMD, SMALL_FINDER, task_for
from trainer.run.loop import train
from trainer.run.settings import BmdConfig, FinderConfig


@pytest.fixture(scope="session")
def runs(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[type, Path]:
    """A finished run of either network."""
    folder = tmp_path_factory.mktemp("runs")
    for config in (SMALL_BMD, SMALL_FINDER):
        train(task_for(config, cohort), config, folder / type(config).__name__)
    return {BmdConfig: folder / "BmdConfig", FinderConfig: folder / "FinderConfig"}
