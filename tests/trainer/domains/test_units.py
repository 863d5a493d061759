"""Units on crude stand-in films: they are trained, measured, kept and taken up."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table, write_table
from tests.support import stand_in
from trainer.domains import design, units
from trainer.domains.design import NONE, STATISTICS, TESTED, VALIDATION, Size, Unit, settings
from trainer.domains.summary import score, summary
from trainer.domains.units import joined, run_unit, unlabelled, write_films
from trainer.phantom.cohort.plan import CohortConfig, cohort_path

SIZE = Size(budget=0.001, rows=(STATISTICS, "coral", "full"))
TINY = {"width": "0.125", "bf16": "false", "channels_last": "false", "batch": "4", "other_films": "0"}
SHORT = {"unlabelled_batch": "4", "epochs": "2", "augment": "0"}


def cohort(config: CohortConfig, first: int, splits: str) -> None:
    names = {"t": "train", "v": "val", "c": "calibrate", "u": "unlabelled", "e": "test"}
    folder, rows = cohort_path(config), list[HipRow]()
    for index, split in enumerate(splits):
        row = dataclasses.replace(stand_in.roi_row(folder, first + index), split=names[split])
        if split == "u":
            row = dataclasses.replace(row, bmd_gcm2=dict.fromkeys(SITES), scale=None)
        rows.append(row)
    write_table(folder / "films.csv", rows)


@pytest.fixture(scope="module", autouse=True)
def _made_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(design, "POOL", 2)
        patch.setattr(design, "START", {**design.START, **TINY})
        for row in SIZE.rows:
            own = {**design.ROWS[row].own, **TINY, **SHORT} | ({"committee": "2"} if row == "full" else {})
            patch.setitem(design.ROWS, row, design.ROWS[row]._replace(own=own))
        patch.setattr("trainer.run.loop.plot_curves", lambda *_: None)
        cohort(SIZE.source, 0, "t" * 20 + "v" * 20 + "c" * 20)
        for k, name in enumerate((VALIDATION, *TESTED)):
            cohort(SIZE.domain(name), 100 * (k + 1), "e" * 20 + "u" * 8)
        yield


def test_labelled_films_are_joined_with_the_first_unlabelled_ones_of_the_domain() -> None:
    domain = SIZE.domain("makers")
    rows = read_table(joined(SIZE.source, domain, 5))
    free = [row for row in rows if row.split == "unlabelled"]
    assert [row.film_path.name for row in free] == [row.film_path.name for row in unlabelled(domain)[:5]]
    assert all(row.film_path.is_file() for row in rows)
    assert len(rows) == 20 + 20 + 20 + 5
    assert not {row.subject for row in free} & {row.subject for row in rows if row.split != "unlabelled"}


def test_units_become_a_result_and_are_not_run_again(tmp_path: Path) -> None:
    out, told = tmp_path / "units", list[str]()
    write_films(SIZE, TESTED, out)
    wanted = [Unit(row, VALIDATION, SIZE.films, 0) for row in SIZE.rows] + [Unit(NONE, "chains", 0, 0)]
    wanted += [Unit(row, "chains", SIZE.films, 0) for row in SIZE.rows] + [Unit("coral", "chains", 4, 0)]
    found = [run_unit(unit, SIZE, out, told.append) for unit in wanted]
    assert any(line.startswith("full-0-chains-40-0") for line in told)
    none, coral = (
        next(one for one in found if (one["row"], one["domain"]) == (row, "chains")) for row in (NONE, "coral")
    )
    assert np.shape(coral["estimates_gcm2"]) == (20, 2)
    assert coral["estimates_gcm2"] != none["estimates_gcm2"]

    stamps = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    assert [run_unit(unit, SIZE, out, told.append) for unit in wanted] == json.loads(json.dumps(found))
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == stamps

    hips = json.loads((out / "films.json").read_text())
    result = summary(found, hips, SIZE, "python -m trainer.domains")
    assert json.loads(json.dumps(result)) == result
    rows = {(one["row"], one["site"]): one for one in result["rows"]}
    label = np.array(hips["chains"]["labels_gcm2"])[:, 0]
    rmse = [np.sqrt(np.mean((np.array(one["estimates_gcm2"])[:, 0] - label) ** 2)) for one in (none, coral)]
    assert rows["coral", "femoral_neck"]["rmse_gcm2"] == pytest.approx(rmse[1], abs=1e-4)
    less = rows["coral", "femoral_neck"]["less_none"]
    assert less["difference"] == pytest.approx(rmse[1] - rmse[0], abs=1e-4)
    assert less["percent"] == pytest.approx(100 * (rmse[1] / rmse[0] - 1), abs=0.2)
    assert less["low"] < less["difference"] < less["high"]
    inside = [
        np.abs(np.array(one["estimates_gcm2"])[:, 0] - label) <= np.array(one["half_gcm2"])[:, 0]
        for one in (none, coral)
    ]
    assert less["coverage_drop"]["value"] == pytest.approx(inside[0].mean() - inside[1].mean(), abs=1e-4)
    curve = {(one["row"], one["domain"], one["films"]) for one in result["learning_curve"]}
    assert curve == {("coral", "chains", 4), ("coral", "chains", 40)}
    assert set(result["trials"]) == set(SIZE.rows)


def test_the_interval_is_on_average_no_narrower_than_the_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Unit("coral", "makers", 8, 0)
    first = run_unit(unit, SIZE, tmp_path / "first", lambda _: None)
    widths = []
    original = units.least_scale

    def least(half: list[np.ndarray], spread: list[np.ndarray]) -> np.ndarray:
        widths.append([one.mean(0) for one in half])
        return original([3 * one for one in half], spread)

    monkeypatch.setattr(units, "least_scale", least)
    second = run_unit(unit, SIZE, tmp_path / "second", lambda _: None)
    assert len(widths[0]) == 2  # where labels are, and where none is
    assert second["estimates_gcm2"] == first["estimates_gcm2"]
    assert np.mean(second["half_gcm2"]) > 1.5 * np.mean(first["half_gcm2"])


def test_a_trial_that_diverges_is_kept_as_such_and_one_that_judges_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        design.ROWS,
        "coral",
        design.ROWS["coral"]._replace(own={**design.ROWS["coral"].own, "unlabelled_weight": "1e39"}),
    )
    told: list[str] = []
    trial = run_unit(Unit("coral", VALIDATION, SIZE.films, 0), SIZE, tmp_path, told.append)
    assert trial["rmse_gcm2"] is None
    assert trial["diverged"] is True
    assert "the loss is not finite" in told[-1]
    assert score(trial) == np.inf
    with pytest.raises(UsageError, match="the loss is not finite"):
        run_unit(Unit("coral", "makers", SIZE.films, 0), SIZE, tmp_path, told.append)


def test_a_unit_of_other_settings_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = Unit(NONE, "makers", 0, 0)
    run_unit(unit, SIZE, tmp_path, lambda _: None)
    place = tmp_path / f"{unit.name}.json"
    place.write_text(place.read_text().replace("lr = 0.002", "lr = 0.003"))
    with pytest.raises(UsageError, match="was made with other settings or films; remove it"):
        run_unit(unit, SIZE, tmp_path, lambda _: None)


def test_settings_of_the_stand_in_are_small() -> None:
    assert settings(Unit("coral", "makers", 8, 0), SIZE).width == 0.125
