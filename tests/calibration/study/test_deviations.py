"""Every deviation from a plan has its name; a validation as planned has none."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from bmd_edge.table.film_table import HipRow, read_table
from calibration.study.deviations import against_plan, deviations
from calibration.validate.acceptance import accept, limit
from calibration.validate.page import said, write_page
from tests.calibration.study.plans import AIMS, MAKER, draft, plan, validation


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple:
    return validation(tmp_path_factory.mktemp("planned"))


def codes(made: object, rows: object, /, **other: object) -> dict[str, object]:
    several = {"plan_several_films"}  # the cohort has subjects with two films
    return {one.code: one for one in deviations(made, plan(**other), rows) if one.code not in several}


def test_what_is_as_planned_has_no_deviation(planned: tuple) -> None:
    made, table = planned
    assert codes(made, read_table(table)) == {}


@pytest.mark.parametrize(
    ("code", "severity", "other"),
    [
        ("plan_other_bundle", "error", {"of": draft() | {"bundle_digest": "0" * 64}}),
        ("plan_other_precision", "error", {"of": draft() | {"precision": "fp32"}}),
        ("plan_other_cuts", "error", {"of": draft() | {"cuts": {"low_suspected_t": -2.5, "refer_for_dxa_t": -1.9}}}),
        ("plan_other_cuts", "error", {"of": draft() | {"cuts": None}}),
        ("plan_fewer_subjects", "error", {"of": draft(subjects=400)}),
        ("plan_outside_days", "warning", {"days": 22}),
        ("plan_other_scale", "warning", {"scale": "lunar"}),
        ("plan_subgroups_added", "note", {"subgroups": ("sex", "age", "BMI", "maker", "spacing")}),
        ("plan_in_the_future", "warning", {"made": "2999-01-01"}),
        ("plan_subgroups_missing", "note", {"subgroups": ("sex", "age", "BMI", "maker", "spacing", "side", "moon")}),
        ("plan_other_dexa_maker", "warning", {"dexa_maker": "Prodigy"}),
        ("plan_weights_missing", "warning", {"of": draft((*AIMS, "auroc>=ost-0.3"))}),
        ("plan_films_screened_before", "error", {"screened": ("0000000000000000", "ffff")}),
    ],
)
def test_each_deviation_is_named(code: str, severity: str, other: dict, planned: tuple) -> None:
    made, table = planned
    (found,) = codes(made, read_table(table), **other).values()
    assert (found.code, found.severity) == (code, severity)


def test_rows_without_dates_and_exchanged_days_are_told(planned: tuple) -> None:
    made, table = planned
    rows = read_table(table)
    found = codes(made, [replace(rows[0], dxa_date=None), *rows[1:]])
    assert "in row 2: whether 90 days" in found["plan_dates_missing"].sentence
    turned = replace(rows[1], film_date=date(2025, 10, 3))
    found = codes(made, [rows[0], turned, *rows[2:]])
    assert found["plan_outside_days"].hips == 1
    assert "With day and month of one date exchanged 1 of them would be inside" in found["plan_outside_days"].sentence


def test_dates_that_are_still_to_come_are_a_deviation_with_each_row_once(planned: tuple) -> None:
    made, table = planned
    rows = read_table(table)
    ahead = replace(rows[2], film_date=date(2999, 1, 2), dxa_date=date(2999, 1, 1))
    found = codes(made, [*rows[:2], ahead, *rows[3:]])["plan_dates_to_come"]
    assert "still to come in row 4: whether 90 days" in found.sentence
    assert found.hips == 1


def test_the_maker_of_the_dexa_is_checked_row_by_row(planned: tuple) -> None:
    made, table = planned
    rows = read_table(table)
    assert codes(made, rows, dexa_maker=" HORIZON ") == {}
    found = codes(made, [replace(rows[0], extra={}), replace(rows[1], extra={"x_dexa_maker": "iDXA"}), *rows[2:]])
    assert "in row 2: whether it was Horizon, as planned" in found["plan_dexa_maker_missing"].sentence
    otherwise = codes(made, [replace(rows[0], extra={"x_dexa_manufacturer": "Horizon"}), *rows[1:]])
    assert "(not read: x_dexa_manufacturer; is x_dexa_maker meant?)" in otherwise["plan_dexa_maker_missing"].sentence
    assert found["plan_other_dexa_maker"].sentence.startswith("DEXA by iDXA in row 3, planned is Horizon")
    unlabelled = replace(rows[0], extra={}, bmd_gcm2=dict.fromkeys(rows[0].bmd_gcm2))
    assert codes(made, [unlabelled, *rows[1:]]) == {}


@pytest.mark.parametrize("weight", ["70 kg", "70000", "7", "nan", "-70", "1e9"])
def test_what_is_no_weight_in_kg_is_told(weight: str, planned: tuple) -> None:
    made, table = planned
    weighed = [replace(row, extra=MAKER | {"x_weight_kg": "61,5"}) for row in read_table(table)]
    of = draft((*AIMS, "auroc>=ost-0.3"))
    assert codes(made, weighed, of=of) == {}
    odd = [replace(weighed[0], extra=MAKER | {"x_weight_kg": weight}), *weighed[1:]]
    found = codes(made, odd, of=of)
    assert "20-300 kg: row 2 do not count" in found["plan_weights_missing"].sentence
    without = [replace(weighed[0], extra=MAKER | {"x_weight": "61"}), *weighed[1:]]
    said = codes(made, without, of=of)["plan_weights_missing"].sentence
    assert "20-300 kg (not read: x_weight; is x_weight_kg meant?): row 2" in said


def test_limits_that_are_added_are_told(planned: tuple) -> None:
    made, table = planned
    added = replace(made, facts=json.loads(json.dumps(made.facts)))
    accept(added.facts, [limit("femoral_neck.rmse_gcm2<=0.2"), limit("total_hip.r>=0.1")])
    (found,) = codes(added, read_table(table)).values()
    assert found.code == "plan_limits_added"
    assert found.sentence.endswith("(--accept): total_hip.r>=0.1.")


def test_a_plan_that_is_younger_than_results_is_told(planned: tuple, tmp_path: Path) -> None:
    made, table = planned
    earlier = tmp_path / "validation.json"
    earlier.write_text("{}")
    now = plan()
    for days, told in ((-1, True), (1, False)):
        stamp = (date(2025, 1, 1) + timedelta(days)).toordinal() * 86400 - date(1970, 1, 1).toordinal() * 86400
        os.utime(earlier, (stamp, stamp))
        assert ("plan_after_results" in {one.code for one in deviations(made, now, read_table(table), earlier)}) == told


def test_an_aim_that_is_not_shown_counts_what_its_figure_is_of(planned: tuple) -> None:
    made, table = planned
    held = replace(made, facts=json.loads(json.dumps(made.facts)))
    wanted = ("femoral_neck.loa_gcm2=+-0.001", "sensitivity=0.9+-0.01")
    against_plan(held, plan(of=draft(wanted)), table, "test", verified=True, signed=True)
    shown = [one for one in held.facts["findings"] if one["code"] == "aim_not_shown"]
    found = {one["sentence"].split()[2].rstrip(",:"): one for one in shown}
    hips, films = (one["n"] for one in held.facts["plan"]["endpoints"])
    assert found[wanted[0]]["hips"] == hips > films > 0
    assert found[wanted[0]]["sentence"].endswith(": not known to +-0.001.")
    assert found[wanted[1]]["hips"] == 0
    assert f", on {films} films: not known to +-0.01; it is 0." in found[wanted[1]]["sentence"]
    assert found[wanted[1]]["sentence"].endswith(", 0.9 was expected.")


def test_the_report_holds_plan_endpoints_deviations_and_what_cannot_be_told(planned: tuple, tmp_path: Path) -> None:
    made, table = planned
    held = replace(made, facts=json.loads(json.dumps(made.facts)))
    against_plan(
        held, plan(of=draft((*AIMS, "total_hip.bias_gcm2<=0.0001"))), table, "test", verified=False, signed=False
    )
    facts = held.facts["plan"]
    assert facts["endpoints"][0]["verdict"] == "met"
    assert [one["primary"] for one in facts["endpoints"]] == [True, *[False] * len(AIMS)]
    assert "plan_not_verified" in facts["deviations"]
    assert {"aim_missed", "aim_not_shown"} & {one["code"] for one in held.facts["findings"]}
    severities = [one["severity"] for one in held.facts["findings"]]
    assert severities == sorted(severities[: -len(made.facts["findings"])], key=("error", "warning", "note").index) + [
        one["severity"] for one in made.facts["findings"]
    ]
    write_page(tmp_path / "page.html", held)
    page = (tmp_path / "page.html").read_text()
    for text in (
        *(aim.replace("<", "&lt;").replace(">", "&gt;") for aim in AIMS),
        "plan_not_verified",
        "This plan is not signed: who wrote it",
        f"Primary aim {AIMS[0].replace('<', '&lt;')}: met; ",
        f" subjects with both numbers of {facts['subjects']} planned",
        "known to +-0.5; it is ",
        "AUROC of the films 0.",
        f"count, too, as wrong answers: sensitivity is {said(facts['endpoints'][1]['measured'])} there",
        "clock",
        "STARD-AI",
    ):
        assert text in page
    write_page(tmp_path / "without.html", made)
    assert "Against the plan</h2>" not in (tmp_path / "without.html").read_text()


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("impossible_date", lambda _row: {"dxa_date": date(2999, 1, 1)}),
        ("sex_changes", lambda row: {"sex": "FM"[row.side == "L"]}),
        ("birth_changes", lambda row: {"age_years": 50.0 + 9 * (row.side == "L")}),
        ("dates_apart", lambda _row: {"film_date": date(2023, 1, 1)}),
    ],
)
def test_bad_rows_are_findings_with_their_rows(code: str, change: Callable[[HipRow], dict], tmp_path: Path) -> None:
    made, _ = validation(tmp_path, lambda row: replace(row, **change(row)) if row.subject == "S001" else row)
    (found,) = (one for one in made.facts["findings"] if one["code"] == code)
    assert "rows 4 and 5" in found["sentence"]
    assert found["hips"] == 2
