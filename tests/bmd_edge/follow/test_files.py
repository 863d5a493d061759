"""follow.csv and follow.json say the same, in the units that their names have."""

import csv
import json
from dataclasses import asdict, replace
from datetime import date

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.files import COLUMNS, write_csv, write_json
from bmd_edge.follow.repeatability import BetweenUnits
from bmd_edge.follow.series import series_of
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.sites import SITES
from tests.bmd_edge.follow.made_up import known, visited

FILMS = [
    visited("2020-05-01", 0.8),
    visited("2022-05-01", 0.78, 0.7),
    visited("2024-05-01", 0.6),
    visited("2025-05-01", 0.7, unit_pseudonym="un-b", maker="=cmd"),
    visited(None, 0.7),
]

UNITS = BetweenUnits(("Drawn One", "=cmd One"), 1, dict.fromkeys(SITES, 0.01), {}, {})


@pytest.fixture
def written(tmp_path):
    of = replace(known(slope=(0.8, 0.7, 0.9)), between_units={"int8": (UNITS,)})
    series, findings = series_of(FILMS, date(2026, 1, 1))
    hips = [follow(one, of) for one in series]
    write_csv(tmp_path / "follow.csv", hips, of)
    write_json(tmp_path / "follow.json", hips, findings, of)
    with (tmp_path / "follow.csv").open() as file:
        return list(csv.DictReader(file)), json.loads((tmp_path / "follow.json").read_text()), hips


def test_a_row_per_visit_with_the_change_in_that_of_the_last(written):
    rows, _, hips = written
    assert tuple(rows[0]) == COLUMNS
    assert [(row["part"], row["date"], row["films"]) for row in rows] == [
        ("1", "2020-05-01", "1"), ("1", "2022-05-01", "1"), ("1", "2024-05-01", "1"), ("2", "2025-05-01", "1"),
    ]  # fmt: skip
    assert [row["change_gcm2_total_hip"] for row in rows] == ["", "", "-0.2", ""]
    assert rows[2]["stated_total_hip"] == "True"
    assert [row["spoken_against_femoral_neck"] for row in rows] == ["", "", "implausible", ""]
    assert float(rows[2]["lsc_gcm2_total_hip"]) == pytest.approx(hips[0].changes[1].lsc_gcm2, abs=1e-4)
    assert float(rows[2]["rate_low_total_hip_gcm2_a_year"]) < float(rows[2]["rate_value_total_hip_gcm2_a_year"]) < 0
    assert rows[2]["first_date"] == "2020-05-01"
    assert [row["out_of_line_total_hip"] for row in rows] == ["", "False", "", ""]
    assert [row["precision_from"] for row in rows] == ["clinic"] * 3 + ["other_unit"]
    assert rows[3]["unit"] == "'=cmd One"
    assert {row["use"] for row in rows} == {RESEARCH_USE}


def test_json_says_everything_with_the_sentences(written):
    rows, facts, _ = written
    (hip,) = facts["hips"]
    assert facts["use"] == RESEARCH_USE
    assert facts["in_no_series"][0]["code"] == "no_date"
    units = json.loads(json.dumps(asdict(UNITS)))
    assert hip["breaks"] == [{"date": "2025-05-01", "changed": ["X-ray unit"], "between_units": units}]
    assert [one["stated"] for one in hip["changes"]] == [True, True]
    assert [one["spoken_against"] for one in hip["changes"]] == [["implausible"], []]
    assert [visit["bmd_total_hip_gcm2"] for visit in hip["visits"]] == [
        float(row["bmd_total_hip_gcm2"]) for row in rows
    ]
    assert any("no change across them is told" in line for line in hip["said"])


def test_a_visit_out_of_line_stands_in_its_row_and_its_sentence(tmp_path):
    films = [visited("2020-05-01", 0.8), visited("2022-05-01", 0.78, 0.6), visited("2024-05-01", 0.79)]
    hips = [follow(one, known()) for one in series_of(films, date(2026, 1, 1))[0]]
    write_csv(tmp_path / "follow.csv", hips, known())
    write_json(tmp_path / "follow.json", hips, [], known())
    with (tmp_path / "follow.csv").open() as file:
        row = list(csv.DictReader(file))[1]
    assert (row["out_of_line_femoral_neck"], row["out_of_line_total_hip"]) == ("False", "True")
    (hip,) = json.loads((tmp_path / "follow.json").read_text())["hips"]
    assert [one["out_of_line_total_hip"] for one in hip["visits"]] == [None, True, None]
    assert any("one visit out of line does not tell a change" in line for line in hip["said"])
