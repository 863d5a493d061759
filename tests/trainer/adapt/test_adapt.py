"""A run is adapted to stand-in films, killed, taken up, and refused where it got worse."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from bmd_edge.errors import TableError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.table.film_table import HipRow, read_table, write_table
from tests.support import stand_in
from tests.trainer.small_trainings import SMALL_BMD, metrics
from trainer.adapt import proxies
from trainer.adapt.adapt import adapt, begin, check_same, check_start
from trainer.adapt.parent import Parent
from trainer.adapt.record import LEFT_OUT, NAME, read_adapted, with_other_networks
from trainer.commands import run_training
from trainer.networks.build import load_run

SMALL = {"epochs": "2", "steps": "2", "batch": "8", "unlabelled_batch": "8", "bf16": "false", "other_films": "0"}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.run.loop.plot_curves", lambda *_: None)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled regions, a clinic's, and a run that learned from the first."""
    place = tmp_path_factory.mktemp("adapt")
    rows = [stand_in.roi_row(place / "labelled", k) for k in range(104)]
    rows = [dataclasses.replace(row, split="calibrate") if k >= 80 else row for k, row in enumerate(rows)]
    write_table(place / "labelled" / "films.csv", rows)
    config = dataclasses.replace(SMALL_BMD, epochs=6)
    run_training(config, place / "labelled" / "films.csv", place / "parent", lambda *_: None)
    return place


def clinic(place: Path, n: int = 24) -> list[HipRow]:
    rows = [stand_in.roi_row(place / "cut", 500 + k) for k in range(n)]
    found = [
        dataclasses.replace(
            row,
            film_path=place / "cut" / row.film,
            split="unlabelled",
            scale=None,
            subject=f"clinic-{k // 2}",
            side="RL"[k % 2],
            extra=row.extra | {"x_film": str(k // 2)},
        )
        for k, row in enumerate(rows)
    ]
    return [dataclasses.replace(row, bmd_gcm2=dict.fromkeys(SITES)) for row in found]


def adapted(place: Path, out: Path, said: list[str] | None = None, **changes: str) -> dict[str, object]:
    say = (said if said is not None else []).append
    return adapt(
        place / "parent", clinic(place), place / "labelled" / "films.csv", out, "pseudo_bmd", SMALL | changes, say
    )


def test_the_run_says_on_how_many_films_and_how_wide(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "WORSE", 1e9)  # so few steps on so few films may do anything
    said: list[str] = []
    facts = adapted(place, tmp_path / "run", said)
    assert (facts["adapted_without_dexa_on_films"], facts["hips"]) == (12, 24)  # both hips of each film
    assert any("no proxy knows whether" in line for line in said)
    assert any(re.match(r"hips apart: \d", line) for line in said)
    assert any(line.startswith("repeats apart: not measured") for line in said)
    assert json.loads((tmp_path / "run" / NAME).read_text()) == facts
    known = read_adapted(tmp_path / "run")
    assert known is not None
    assert set(known.least_scale) == set(SITES)
    assert all(value > 0 for value in known.least_scale.values())
    assert metrics(tmp_path / "run")[-1]["epoch"] == 1
    assert not np.array_equal(
        load_run(tmp_path / "run").bmd_head.weight.detach(), load_run(place / "parent").bmd_head.weight.detach()
    )
    table = read_table(tmp_path / "run" / "films.csv")
    assert all(row.film_path.is_file() for row in table)
    assert sum(row.split == "unlabelled" for row in table) == 24

    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    assert adapted(place, tmp_path / "run") == facts  # again: nothing is trained anew
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before


def test_each_network_of_a_bundle_is_adapted_from_its_own(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "WORSE", 1e9)
    second = dataclasses.replace(SMALL_BMD, epochs=1, seed=7)
    run_training(second, place / "labelled" / "films.csv", tmp_path / "second", lambda *_: None)
    parents = (place / "parent", tmp_path / "second")
    monkeypatch.setattr("trainer.adapt.adapt.parent_of", lambda *_: Parent(parents, {"bundle": "two"}, None))
    facts = adapted(place, tmp_path / "run")
    assert facts["other_networks"] == ["network_2"]
    runs = with_other_networks([tmp_path / "run"])
    assert runs == [tmp_path / "run", tmp_path / "run" / "network_2"]
    weights = [load_run(run).bmd_head.weight.detach().numpy() for run in (*parents, *runs)]
    apart = [[np.abs(one - other).max() for one in weights[:2]] for other in weights[2:]]
    assert np.argmin(apart, 1).tolist() == [0, 1]  # each has gone on from its own
    assert np.min(apart) > 0
    known = read_adapted(*runs)
    assert known is not None
    assert (known.films, known.runs) == (12, (tmp_path / "run",))


def test_a_network_that_forgot_is_refused_and_named(place: Path, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"the adapted network is refused, it got worse: .*forgotten: phantom films"):
        adapted(place, tmp_path / "run", lr="0.3", epochs="3", clip_norm="0")
    assert not (tmp_path / "run" / NAME).exists()


def test_norms_alone_change_no_weight_and_what_other_films_lose_refuses_nothing(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(proxies, "WORSE", 0.0)  # whatever moved is worse
    rows, table = clinic(place), place / "labelled" / "films.csv"
    with pytest.raises(TableError, match="it got worse") as refused:
        adapt(place / "parent", rows, table, tmp_path / "run", "statistics", {"other_films": "0"}, said.append)
    assert "forgotten" not in str(refused.value)
    assert any(line.startswith("forgotten: ") and "it refuses nothing: no weight has changed" in line for line in said)
    before, after = (load_run(run).state_dict() for run in (place / "parent", tmp_path / "run"))
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved
    assert all("running" in name or "num_batches" in name for name in moved)


def test_a_recipe_that_adapts_nothing_is_refused(place: Path, tmp_path: Path) -> None:
    rows, table = clinic(place), place / "labelled" / "films.csv"
    with pytest.raises(UsageError, match="mse adapts no trained network"):
        adapt(place / "parent", rows, table, tmp_path / "run", "mse", {}, lambda _: None)


def test_a_folder_of_another_adaptation_is_left(tmp_path: Path) -> None:
    begin(tmp_path / "run", check_same(tmp_path / "run", "parent", "films"))
    check_same(tmp_path / "run", "parent", "films")
    with pytest.raises(UsageError, match="another network or folder"):
        check_same(tmp_path / "run", "parent", "other films")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        check_same(tmp_path / "other", "parent", "films")
    with pytest.raises(UsageError, match=r"letter\.txt: --out is a file"):
        check_same(tmp_path / "other" / "letter.txt", "parent", "films")
    (tmp_path / "refused").mkdir()
    (tmp_path / "refused" / LEFT_OUT).write_text("films that were refused before anything had begun")
    check_same(tmp_path / "refused", "parent", "films")


def test_what_is_wrong_with_all_but_the_films_is_said_first(place: Path, tmp_path: Path) -> None:
    table = place / "labelled" / "films.csv"
    check_start(place / "parent", table, "pseudo_bmd", SMALL)
    check_start(None, None, "statistics", {})
    kept = [row for row in read_table(table) if row.split != "calibrate"]
    write_table(table.with_name("lacking.csv"), kept)
    for parent, labelled, recipe, changes, said in (
        (tmp_path / "embeded", None, "statistics", {}, r"embeded: no such folder \(did you mean embedded\?\)"),
        (tmp_path, None, "statistics", {}, r"is no run folder: it has no config\.json; give the --out"),
        (None, None, "statistic", {}, r"no recipe of this name \(did you mean statistics\?\)"),
        (None, None, "pseudo_bmd", {"epoch": "3"}, r"unknown setting 'epoch' \(did you mean epochs\?\)"),
        (None, None, "mse", {}, "mse adapts no trained network"),
        (None, tmp_path / "none.csv", "statistics", {}, "there is no such film table"),
        (
            None,
            table.with_name("lacking.csv"),
            "statistics",
            {},
            r"no region \(x_image roi\) of the split calibrate; give",
        ),
    ):
        with pytest.raises(UsageError, match=said):
            check_start(parent, labelled, recipe, changes)
