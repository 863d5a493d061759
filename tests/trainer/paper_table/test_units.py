"""The standard experiment on a crude stand-in cohort: units, resuming, and the table made of them."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, write_table
from tests.support import stand_in
from trainer.paper_table.page import read_hips, write_report
from trainer.paper_table.units import (
    ALTERNATIVES,
    RECIPES,
    TableSize,
    Unit,
    check_units,
    chosen,
    run_folder,
    run_unit,
    settings,
    trials,
    units,
    write_films,
)
from trainer.phantom.cohort.plan import cohort_path
from trainer.run.settings import SemiConfig, pretraining
from trainer.run.settings_file import read_config, to_toml

ROOT = Path(__file__).parents[3]
SIZE = TableSize(budget=0.01, seeds=2)
TINY = {"width": "0.125", "bf16": "false", "network": "resnet18", "steps": "2", "batch": "8"}


def test_units_come_seed_by_seed_and_share_their_pretraining() -> None:
    plain = {recipe: {} for recipe in RECIPES}
    found = trials() + units(TableSize(), plain)
    assert [unit.name for unit in found[:10]] == [f"{recipe}-0" for recipe in RECIPES]
    assert [unit.name for unit in found[20:30]] == [f"{recipe}-1" for recipe in RECIPES]
    assert len(found) == 10 * 4 + 4 + 1
    assert len({unit.name for unit in found}) == len(found)
    other = units(TableSize(), {**plain, "full": ALTERNATIVES["full"]})
    assert {unit.name for unit in other} - {unit.name for unit in found} == {"full_alternative-1", "full_alternative-2"}
    assert all(unit.changes | ALTERNATIVES["full"] == unit.changes for unit in other if unit.row == "full_alternative")
    full = settings(Unit("full", "full", 1), TableSize())
    assert isinstance(full, SemiConfig)
    members = [pretraining(full, member) for member in range(full.committee)]
    assert len({member.seed for member in members}) == full.committee
    assert all(dataclasses.replace(member, seed=1) == members[0] for member in members)
    supervised = settings(Unit("mse", "mse", 1), TableSize())
    adaptive = settings(Unit("adaptive_triplet", "adaptive_triplet", 1), TableSize())
    for recipe in RECIPES:
        config = settings(Unit(recipe, recipe, 1), TableSize())
        if isinstance(config, SemiConfig):
            assert pretraining(config) == (adaptive if recipe in ("paper", "full") else supervised)


def test_the_better_setting_on_val_is_kept(tmp_path: Path) -> None:
    for unit in trials():
        better = unit.row in ("mse", "full_alternative")
        (tmp_path / f"{unit.name}.json").write_text(json.dumps({"best": {"val_score": -0.05 if better else -0.06}}))
    found = chosen(tmp_path)
    assert found["full"] == ALTERNATIVES["full"]
    assert [recipe for recipe in RECIPES if found[recipe]] == ["full"]


def test_alternatives_are_settings() -> None:
    for unit in trials():
        assert settings(unit, TableSize()) is not None


def test_recipes_differ_in_their_method_only() -> None:
    """Number of steps and films, network, augmentation and the supervised trainings before are those of every rival;
    rate, weight and the share of labelled films are the method's own.
    """
    semi = [one for recipe in RECIPES if isinstance(one := read_config(recipe), SemiConfig)]
    for name in ("epochs", "steps", "network", "width", "augment", "weight_decay", "ema"):
        assert len({getattr(config, name) for config in semi}) == 1, name
    shown = {config.batch + (1 if config.committee > 1 else 2) * config.unlabelled_batch for config in semi}
    assert shown == {48}  # views per step, at most: some rivals learn from one view of an unlabelled film
    assert len({dataclasses.replace(pretraining(config), triplet_weight=0.0) for config in semi}) == 1
    supervised = [read_config(recipe) for recipe in RECIPES if not isinstance(read_config(recipe), SemiConfig)]
    for one in supervised:
        alike = {"triplet_weight": 0.0, "triplet_alpha": "sqrt"}
        assert dataclasses.replace(one, **alike) == dataclasses.replace(supervised[0], **alike)


def test_a_smaller_budget_is_shorter() -> None:
    full, small = (settings(Unit("full", "full", 0), size) for size in (TableSize(), TableSize(budget=0.1)))
    assert isinstance(full, SemiConfig)
    assert isinstance(small, SemiConfig)
    assert small.epochs == max(1, round(full.epochs / 10))
    hips = TableSize(budget=0.1).labelled
    assert small.pretrain_epochs == round(full.pretrain_epochs * 109 / hips)  # as many steps, over fewer hips each
    assert TableSize(budget=0.1).cohort.unlabelled == 822
    assert TableSize(budget=0.1).cohort.labelled == TableSize(budget=0.1).second_cohort.labelled == hips == 200
    assert TableSize(budget=0.5).cohort.labelled == 545
    assert TableSize().cohort.labelled == 1090
    for wrong in ({"budget": 0.0}, {"budget": 1.5}, {"seeds": 0}, {"recipes": ()}, {"recipes": ("mse", "msE")}):
        with pytest.raises(UsageError):
            TableSize(**wrong)


def test_some_rows_are_asked_for_without_the_others(tmp_path: Path) -> None:
    size = TableSize(budget=0.1, seeds=2, recipes=("mse", "triplet"))
    assert [unit.name for unit in trials(size.recipes)] == [
        "mse-0", "triplet-0", "mse_alternative-0", "triplet_alternative-0",
    ]  # fmt: skip
    assert [unit.name for unit in units(size, {"mse": {}, "triplet": ALTERNATIVES["triplet"]})] == [
        "mse-1", "triplet_alternative-1",
    ]  # fmt: skip
    assert size.cohort.unlabelled == 0  # nobody learns from them
    assert TableSize(budget=0.1, recipes=("mse", "full")).cohort.unlabelled == 822
    for unit in trials(size.recipes):
        (tmp_path / f"{unit.name}.json").write_text(json.dumps({"best": {"val_score": -len(unit.name)}}))
    assert chosen(tmp_path, size.recipes) == {"mse": {}, "triplet": {}}


def made_up_cohorts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two cohorts of SIZE, drawn crudely, in a cache folder of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    first, second = cohort_path(SIZE.cohort), cohort_path(SIZE.second_cohort)
    rows: list[HipRow] = []
    for index in range(110):
        row = stand_in.roi_row(first, index)
        split = ("train", "val", "test", "unlabelled")[(0, 0, 1, 2, 3)[index % 5]] if index < 100 else "test"
        maker = "G" if index >= 100 else "A"
        row = dataclasses.replace(row, split=split, extra={**row.extra, "x_maker_style": f"Synthetic-{maker}"})
        truth = {f"x_true_bmd_{site}": str(row.bmd_gcm2[site]) for site in SITES}
        if split == "unlabelled":
            row = dataclasses.replace(row, bmd_gcm2=dict.fromkeys(SITES), scale=None, extra={**row.extra, **truth})
        rows.append(row)
    write_table(first / "films.csv", rows)
    write_table(second / "films.csv", [stand_in.roi_row(second, 500 + index) for index in range(12)])


def test_units_become_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_cohorts(tmp_path / "cache", monkeypatch)
    out = tmp_path / "results"
    write_films(SIZE, out / "units")
    some = [Unit(recipe, recipe, seed, TINY) for recipe, seed in (("mse", 0), ("full", 0), ("full", 1))]
    some.append(Unit("mse_all", "mse", 0, {**TINY, "reveal": "true"}))
    told: list[str] = []
    for unit in some:
        run_unit(unit, settings(unit, SIZE), SIZE, out / "units", told.append)
    assert told
    hips = read_hips(out / "units" / "films.json")
    assert {name: len(one.subject) for name, one in hips.items()} == {"test": 20, "unseen": 10, "second": 12}
    unit = json.loads((out / "units" / "full-0.json").read_text())
    assert unit["phantom_config"] == SIZE.cohort.digest()
    assert {name: len(one) for name, one in unit["estimates_gcm2"].items()} == {"test": 20, "unseen": 10, "second": 12}
    assert read_config_text(tmp_path, unit["settings"]) == settings(some[1], SIZE)

    before = (out / "units" / "mse-0.json").stat().st_mtime_ns
    run_unit(some[0], settings(some[0], SIZE), SIZE, out / "units", told.append)
    assert (out / "units" / "mse-0.json").stat().st_mtime_ns == before

    table = json.loads(write_report(out, SIZE, "bmd-edge table").read_text())
    assert [(row["recipe"], row["site"], row["n_seeds"]) for row in table["rows"]] == [
        ("mse", "femoral_neck", 1), ("mse", "total_hip", 1), ("full", "femoral_neck", 2), ("full", "total_hip", 2),
    ]  # fmt: skip
    estimate = np.array(unit["estimates_gcm2"]["test"])[:, 0]
    supervised = np.array(json.loads((out / "units" / "mse-0.json").read_text())["estimates_gcm2"]["test"])[:, 0]
    label = hips["test"].labels_gcm2[:, 0]
    rmse = [float(np.sqrt(np.mean((one - label) ** 2))) for one in (estimate, supervised)]
    paired = table["paired"]["full_vs_mse"]
    assert paired["n_seeds"] == 1  # of the full method, only the seed that the other row has
    assert paired["rmse_diff_gcm2"] == pytest.approx(rmse[0] - rmse[1], abs=2e-5)
    assert {point["recipe"] for point in table["learning_curve"]} == {"mse", "full", "all_true_labels"}
    assert table["scale"]["budget"] == 0.01
    text = (out / "table.md").read_text()
    assert "Synthetic" in text
    assert "Research use only" in text
    assert "| full method: a committee's pseudo BMDs | 2 |" in text
    assert (out / "table.png").read_bytes().startswith(b"\x89PNG")


def read_config_text(folder: Path, text: str) -> object:
    (folder / "settings.toml").write_text(text)
    return read_config(folder / "settings.toml")


def test_a_killed_unit_goes_on_with_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_up_cohorts(tmp_path / "cache", monkeypatch)
    unit = Unit("mean_teacher", "mean_teacher", 0, {**TINY, "epochs": "200"})
    config = settings(unit, SIZE)

    class Killed(Exception):
        pass

    def kill(line: str) -> None:
        if "epoch 1/2" in line:  # of the semi-supervised training; the supervised one has other epochs
            raise Killed

    with pytest.raises(Killed):
        run_unit(unit, config, SIZE, tmp_path / "killed", kill)
    assert not list((tmp_path / "killed").glob("*.json"))
    assert len((run_folder(config, SIZE.cohort) / "metrics.jsonl").read_text().splitlines()) == 1
    went_on: list[str] = []
    run_unit(unit, config, SIZE, tmp_path / "killed", went_on.append)
    assert next(line for line in went_on if "epoch" in line).startswith("mean_teacher-0  epoch 2/2")
    made_up_cohorts(tmp_path / "other", monkeypatch)
    run_unit(unit, config, SIZE, tmp_path / "whole", lambda _: None)
    killed, whole = (json.loads((tmp_path / name / "mean_teacher-0.json").read_text()) for name in ("killed", "whole"))
    assert killed["estimates_gcm2"] == whole["estimates_gcm2"]


def test_units_that_were_trained_otherwise_are_refused(tmp_path: Path) -> None:
    def put(unit: Unit, **changed: object) -> None:
        facts = {
            "settings": to_toml(settings(unit, SIZE)),
            "phantom_config": SIZE.cohort.digest(),
            "second_phantom_config": SIZE.second_cohort.digest(),
            "best": {"val_score": -0.05},
        }
        (tmp_path / f"{unit.name}.json").write_text(json.dumps({**facts, **changed}))

    unit, later = Unit("mse", "mse", 0), Unit("mse_alternative", "mse", 1, ALTERNATIVES["mse"])
    for place in (unit, later):
        put(place)
        check_units(tmp_path, SIZE)
        for changed, said in (
            ({"settings": to_toml(settings(place, TableSize()))}, "other settings"),
            ({"phantom_config": TableSize().cohort.digest()}, "other films"),
            ({"second_phantom_config": "0"}, "other films"),
        ):
            put(place, **changed)
            with pytest.raises(UsageError, match=f"{place.name}.json comes from {said}.* choose another --out"):
                check_units(tmp_path, SIZE)
        put(place)
    put(Unit("mse", "mse", SIZE.seeds))
    with pytest.raises(UsageError, match="comes from another table"):
        check_units(tmp_path, SIZE)
    (tmp_path / f"mse-{SIZE.seeds}.json").unlink()

    for one in trials():
        put(one)  # none is better, so the recipes' own settings go on
    with pytest.raises(UsageError, match=r"mse_alternative-1\.json comes from another table"):
        check_units(tmp_path, SIZE)


ENDLESS_UNIT = """
import pathlib, time
import trainer.paper_table.units as units
units.run_unit = lambda unit, *_: (pathlib.Path({folder!r}, unit.name).touch(), time.sleep(600))
"""
INTERRUPTED = """
import pathlib, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
from trainer.paper_table.commands import _train
from trainer.paper_table.units import TableSize, trials
if __name__ == "__main__":
    _train(trials(), TableSize(0.01, 1), pathlib.Path({folder!r}), 2)
"""


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_table_waits_for_no_unit(tmp_path: Path, by: signal.Signals) -> None:
    folder = tmp_path / "begun"
    folder.mkdir()
    (tmp_path / "sitecustomize.py").write_text(ENDLESS_UNIT.format(folder=str(folder)))
    script = tmp_path / "run.py"
    script.write_text(INTERRUPTED.format(folder=str(folder)))
    path = os.pathsep.join([str(tmp_path), str(ROOT), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE)
    while len(list(folder.iterdir())) < 2 and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(by)  # to the parent alone, as a service manager does
    _, errors = process.communicate(timeout=60)  # ends when no worker holds the pipe any more
    assert process.returncode != 0
    assert (b"KeyboardInterrupt" in errors) == (by == signal.SIGINT)
    assert len(list(folder.iterdir())) == 2
