"""What the experiment compares, before anything is trained."""

from dataclasses import replace

import pytest

from bmd_edge.errors import UsageError
from trainer.domains.design import (
    ADAPTING,
    NONE,
    POOL,
    ROWS,
    STATISTICS,
    TESTED,
    VALIDATION,
    Size,
    Unit,
    curve,
    facts,
    settings,
    start_settings,
    starts_of,
    table,
    trials,
)
from trainer.phantom.cohort.plan import items

PLAIN = dict.fromkeys(ROWS, 0)
SMALL = Size(budget=0.02)


def test_labels_are_of_named_makers_and_of_the_screening_population_alone() -> None:
    made = items(SMALL.source)
    assert {item.spec.style for item in made} == set("ABCDE")
    assert {item.spec.population for item in made} == {"screening"}
    assert {item.split for item in made} == {"train", "val", "test", "calibrate"}
    for name in (VALIDATION, *TESTED):
        theirs = items(SMALL.domain(name))
        assert not {item.spec.style for item in theirs} & set("ABCDE")
        assert ("wide" in {item.spec.population for item in theirs}) == (name != "sites")
        assert not {item.spec.subject for item in theirs} & {item.spec.subject for item in made}


def test_the_domain_that_chooses_is_none_of_those_that_judge() -> None:
    styles = {name: {item.spec.style for item in items(SMALL.domain(name))} for name in (VALIDATION, *TESTED)}
    assert styles == {VALIDATION: {"F"}, "sites": {"S11"}, "makers": {"G", "H"}, "chains": {"wide"}}
    people = [item for name in (VALIDATION, *TESTED) for item in {i.spec.subject for i in items(SMALL.domain(name))}]
    assert len(set(people)) == len(people)
    learned, judging = (
        {item.subject for item in items(SMALL.domain("makers")) if (item.split == "unlabelled") == free}
        for free in (True, False)
    )
    assert learned
    assert not learned & judging


def test_each_seed_has_a_site_of_its_own_that_films_the_same_people() -> None:
    first, second = (items(unit.cohort(SMALL)) for unit in (Unit(NONE, "sites", 0, seed) for seed in (0, 1)))
    assert {item.spec.style for item in second} == {"S12"}
    assert [replace(item.spec, style="S12") for item in first] == [item.spec for item in second]
    assert [item.split for item in first] == [item.split for item in second]


def test_every_row_has_as_many_trials_and_sees_as_many_views() -> None:
    assert {len(row.trials) for row in ROWS.values()} == {4}
    assert all(row.trials[0] == {} for row in ROWS.values())
    units = trials(Size())
    assert len(units) == 4 * len(ROWS)
    assert {(unit.domain, unit.seed) for unit in units} == {(VALIDATION, 0)}
    for unit in units:
        config = settings(unit, Size())
        two = config.method == "pi_model" or (config.method == "self_training" and config.agree_weight > 0)
        shown = config.batch * (config.labelled_weight > 0) + (1 + two) * config.unlabelled_batch
        assert shown == (48 if unit.row == STATISTICS else 24), unit.name
        assert (config.pretrain_epochs, config.keep) == (0, "last"), unit.name
        if unit.row != STATISTICS:
            assert (config.epochs, config.steps) == (int(ADAPTING["epochs"]), int(ADAPTING["steps"]))


def test_the_units_that_judge_come_seed_by_seed_with_the_kept_trial() -> None:
    chosen = {**PLAIN, "coral": 1}
    units = table(Size(), chosen)
    assert len(units) == 3 * 3 * (1 + len(ROWS))
    assert [unit.seed for unit in units] == sorted(unit.seed for unit in units)
    assert {unit.changes["unlabelled_weight"] for unit in units if unit.row == "coral"} == {"1"}
    assert {unit.films for unit in units} == {0, 1000}
    more = curve(Size(), chosen, (STATISTICS, "coral"))
    curved = {"sites": {50, 200}, "chains": {4000}}
    assert {name: {unit.films for unit in more if unit.domain == name} for name in curved} == curved
    assert [Size().domain(name).unlabelled for name in (VALIDATION, *TESTED)] == [1000, 1000, 1000, 4000]
    names = [unit.name for unit in [*trials(Size()), *units, *more]]
    assert len(set(names)) == len(names)


def test_a_committee_is_all_starts_and_the_first_is_that_of_the_seed() -> None:
    full = next(unit for unit in table(Size(), PLAIN) if (unit.row, unit.seed) == ("full", 2))
    assert starts_of(full) == [2, 3, 4, 5, 0, 1]
    assert settings(full, Size()).committee == POOL
    for row in (NONE, "paper"):
        unit = next(unit for unit in table(Size(), PLAIN) if (unit.row, unit.seed) == (row, 2))
        assert starts_of(unit) == [2]


def test_start_and_adaptation_read_the_same_input() -> None:
    specs = {settings(unit, Size()).spec for unit in trials(Size())}
    assert specs == {start_settings(Size(), 0).spec}
    assert start_settings(Size(), 0).spec.disc_share == 0.6


def test_a_smaller_budget_is_shorter() -> None:
    assert (Size().films, Size().curve("chains")) == (1000, (1000, 4000))
    assert (SMALL.films, SMALL.curve("sites"), SMALL.curve("chains")) == (40, (20, 40), (40, 80))
    assert start_settings(SMALL, 0).epochs == 1
    assert settings(trials(SMALL)[4], SMALL).steps == 2
    sites = {f"site of seed {seed}" for seed in range(3)}
    assert set(facts(SMALL)) == {"source", VALIDATION, "makers", "chains"} | sites
    for wrong in ({"budget": 0.0}, {"seeds": 7}, {"rows": ("coral",)}, {"rows": (STATISTICS, "nothing")}):
        with pytest.raises(UsageError):
            Size(**wrong)  # type: ignore[arg-type]
