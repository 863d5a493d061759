"""A table says what it will make, and how long about."""

import json
from pathlib import Path

import pytest

from trainer.paper_table.effort import FILM_CPU_S, TRAINING_MINUTES, work
from trainer.paper_table.units import TableSize, Unit, run_folder, settings
from trainer.phantom.cohort.plan import cohort_path, items


def test_films_and_trainings_that_are_missing_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    size = TableSize(budget=0.1, seeds=2, recipes=("mse", "mean_teacher"))
    films = len(list(items(size.cohort))) + len(list(items(size.second_cohort)))
    said = list(work(size, tmp_path / "units", 2))
    minutes = films * FILM_CPU_S / 120
    assert said[0] == f"{films} films to make, about {minutes:.0f} minutes of 2 free cores"
    # both settings of each row with seed 0, and one of each with seed 1; mean_teacher starts from the trainings of mse
    assert 6 * TRAINING_MINUTES * 0.1 / 2 == 1.5
    assert said[1] == "6 trainings to run, about 2 minutes of 2 free cores"

    assert said[2].startswith(f"films and trainings stay in {tmp_path / 'cache' / 'bmd-edge'} (")

    rows = cohort_path(size.cohort) / "rows"
    rows.mkdir(parents=True)
    (rows / "000000.json").touch()
    (tmp_path / "units").mkdir()
    for name in ("mse_alternative-0", "mse-1", "mean_teacher-1"):
        (tmp_path / "units" / f"{name}.json").write_text(json.dumps({}))
    config = settings(Unit("mse", "mse", 0), size)
    trained = run_folder(config, size.cohort)
    trained.mkdir(parents=True)
    (trained / "metrics.jsonl").write_text("{}\n" * (config.epochs - 1))
    assert list(work(size, tmp_path / "units", 1))[1].startswith("3 trainings")  # one is not finished
    (trained / "metrics.jsonl").write_text("{}\n" * config.epochs)
    said = list(work(size, tmp_path / "units", 1))
    assert said[0].startswith(f"{films - 1} films")
    assert said[0].endswith("; 1 there from before")
    assert said[1].startswith("2 trainings")
    assert said[1].endswith("; 1 there from before")
    (trained / "metrics.jsonl").unlink()
    assert list(work(TableSize(budget=0.1, seeds=1, recipes=("mse",)), tmp_path / "units", 2))[1] == (
        "1 training to run, a minute or less of 2 free cores"
    )
