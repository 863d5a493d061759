"""Aims against what was measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bmd_edge.table.film_table import read_table
from calibration.study.endpoints import WEIGHT_COLUMN, endpoints, films_of
from tests.calibration.study.plans import draft, plan, validation

ALL = (
    "femoral_neck.rmse_gcm2<=0.2", "total_hip.bias_gcm2<=0.1", "femoral_neck.loa_gcm2=+-0.3",
    "femoral_neck.coverage=0.8..1", "sensitivity=0.9+-0.5", "specificity=0.9+-0.5", "auroc>=age-0.3",
    "auroc>=ost-0.3", "femoral_neck.int8_rmse_change<=0.2",
)  # fmt: skip


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    def weighed(row):
        return replace(row, extra={WEIGHT_COLUMN: f"{60 + int(row.subject[1:]) % 30}"})

    made, table = validation(tmp_path_factory.mktemp("held"), weighed)
    return made, read_table(table)


def by_aim(held: tuple, **other: object) -> dict:
    made, rows = held
    found = endpoints(made, plan(of=draft(ALL), **other), rows)
    assert [one["aim"] for one in found] == list(ALL)
    return {one["aim"].split("=")[0].split("<")[0] + ("ost" in one["aim"]) * "ost": one for one in found}


def test_figures_are_those_of_the_validation(held: tuple) -> None:
    found, facts = by_aim(held), held[0].facts
    sites = facts["precisions"]["int8"]["sites"]
    assert found["femoral_neck.rmse_gcm2"]["measured"] == sites["femoral_neck"]["figures"]["rmse_gcm2"]
    assert found["femoral_neck.coverage"]["measured"] == sites["femoral_neck"]["figures"]["coverage"]
    change = facts["quantized"]["int8"]["sites"]["femoral_neck"]["figures"]["rmse_change"]
    assert found["femoral_neck.int8_rmse_change"]["measured"] == change
    widths = [sites["femoral_neck"]["figures"][name] for name in ("loa_low_gcm2", "loa_high_gcm2")]
    widest = max(one["high"] - one["low"] for one in widths)
    measured = found["femoral_neck.loa_gcm2"]["measured"]
    assert measured["high"] - measured["low"] == pytest.approx(widest)


def test_left_out_refusals_give_the_table_of_the_validation_and_counted_ones_are_wrong(held: tuple) -> None:
    facts = held[0].facts["precisions"]["int8"]["headline"]["at_operating_points"]["-2.5"]
    out, against = (by_aim(held, refusals=how) for how in ("left_out", "against"))
    for name, cut in (("sensitivity", "refer_for_dxa"), ("specificity", "low_suspected")):
        cells = {cell: facts[cut][cell] for cell in ("true_low", "missed", "false_low", "true_other")}
        assert out[name]["table"] == cells
        assert out[name]["measured"]["value"] == facts[cut][name]["value"]
        counted = against[name]["table"]
        assert counted["true_low"] == cells["true_low"]
        assert counted["true_other"] == cells["true_other"]
        wrong = counted["missed"] + counted["false_low"] - cells["missed"] - cells["false_low"]
        assert wrong == against[name]["without_a_number"] > 0


@pytest.mark.parametrize("against", ["age", "ost"])
def test_the_area_is_compared_on_the_same_films(against: str, held: tuple) -> None:
    films = [one for one in films_of(*held) if one.estimated_t is not None]
    low = np.array([one.dexa_t <= -2.5 for one in films])
    age = np.array([one.age_years for one in films])
    weight = np.array([one.weight_kg for one in films])
    scores = {"age": -age, "ost": 0.2 * (weight - age)}
    expected = roc_auc_score(low, [-one.estimated_t for one in films]) - roc_auc_score(low, -scores[against])
    found = by_aim(held)["auroc>" + "ost" * (against == "ost")]
    assert found["measured"]["value"] == pytest.approx(expected, abs=1e-6)
    assert found["film"]["value"] - found["comparator"]["value"] == pytest.approx(expected, abs=2e-6)
    assert found["n"] == len(films)


@pytest.mark.parametrize(
    ("aim", "verdict"),
    [
        ("femoral_neck.coverage=0.4..0.6", "missed"), ("femoral_neck.coverage=0.89..0.91", "not_shown"),
        ("femoral_neck.loa_gcm2=+-0.001", "not_shown"), ("sensitivity=0.9+-0.01", "not_shown"),
        ("sensitivity>=0.99-0.9", "met"), ("specificity>=0.999-0.0001", "missed"),
        ("auroc>=age-0.3", "met"), ("femoral_neck.rmse_gcm2<=0.01", "missed"),
        ("total_hip.int8_rmse_change<=0.5", "met"),
    ],
)  # fmt: skip
def test_verdicts(aim: str, verdict: str, held: tuple) -> None:
    made, rows = held
    (found,) = endpoints(made, plan(of=draft((aim,))), rows)
    assert found["verdict"] == verdict


def test_an_aim_of_precision_never_says_met(held: tuple) -> None:
    made, rows = held
    wanted = ("sensitivity=0.99+-0.5", "specificity=0.9+-0.01", "femoral_neck.loa_gcm2=+-0.3", "auroc>=age-0.3")
    found = endpoints(made, plan(of=draft(wanted)), rows)
    assert [one["verdict"] for one in found] == ["met", "not_shown", "met", "met"]
    value = found[0]["measured"]["value"]
    assert found[0]["said"] == f"known to +-0.5; it is {value:.3f}, 0.99 was expected"
    assert found[1]["said"].startswith("not known to +-0.01; it is ")
    assert [one["said"] for one in found[2:]] == ["known to +-0.3", "met"]


def test_without_weights_ost_is_not_shown(tmp_path: Path) -> None:
    made, table = validation(tmp_path)
    (found,) = endpoints(made, plan(of=draft(("auroc>=ost-0.3",))), read_table(table))
    assert (found["n"], found["verdict"], found["measured"]["value"]) == (0, "not_shown", None)


@pytest.mark.parametrize(("subjects", "verdict"), [(9, "not_shown"), (10, "met")])
def test_an_area_of_fewer_than_ten_subjects_of_a_kind_is_not_shown(subjects: int, verdict: str, held: tuple) -> None:
    made, rows = held
    low = {one.subject for one in films_of(made, rows) if one.estimated_t is not None and one.dexa_t <= -2.5}
    gone = set(sorted(low)[subjects:])
    few = replace(made, pairs=[one for one in made.pairs if one.subject not in gone])
    (found,) = endpoints(few, plan(of=draft(("auroc>=age-0.3",))), rows)
    assert found["cases"] >= subjects  # films
    assert found["verdict"] == verdict
    assert ("9 subjects with low BMD" in found.get("why", "")) == (subjects == 9)
