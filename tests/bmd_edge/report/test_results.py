"""Rows of results.csv, which no spreadsheet takes for formulas."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

from bmd_edge.errors import FLAGS
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport
from bmd_edge.report.results import CSV_COLUMNS, write_csv, write_jsonl
from tests.support.screening import drawn_screener, hip_dicom

HOSTILE = "=cmd|' /C calc'!A0<script>alert(1)</script>{{7*7}}\x1b[31m\u202e\r\n"


def test_flags_of_film_and_hip_stand_beside_every_estimate(tmp_path: Path) -> None:
    """A number never goes out without its cautions, whichever of film, hip and age they come from."""
    unsure = {"EstimatedRadiographicMagnificationFactor": None, "ViewPosition": None, "ImageLaterality": "L"}
    with drawn_screener() as screener:
        report = screener.read(hip_dicom("R", **unsure), file="a.dcm")
    expected = {"magnification_assumed", "view_unknown", "side_contradiction", "assumed_postmenopausal"}
    write_jsonl(tmp_path / "results.jsonl", [report])
    write_csv(tmp_path / "results.csv", [report])
    (hip,) = json.loads((tmp_path / "results.jsonl").read_text())["hips"]
    assert [set(estimate["flags"]) for estimate in hip["estimates"]] == [expected, expected]
    (row,) = rows_of(tmp_path / "results.csv")
    assert row["flags"].split() == [flag for flag in FLAGS if flag in expected]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_one_row_per_hip_and_one_for_a_film_without(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    write_csv(tmp_path / "results.csv", reports.values())
    rows = rows_of(tmp_path / "results.csv")
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [(row["file"], row["side"], row["status"], row["reason"]) for row in rows] == [
        ("right.dcm", "R", "read", ""),
        ("pelvis.dcm", "R", "read", ""),
        ("pelvis.dcm", "L", "refused", "implant"),
        ("implant.dcm", "R", "refused", "implant"),
        ("young.dcm", "R", "read", ""),
        ("unknown.dcm", "R", "read", ""),
        ("nothing.dcm", "", "refused", "not_a_hip"),
        ("text.dcm", "", "refused", "not_dicom"),
    ]
    for row in rows:
        estimates = {key: text for key, text in row.items() if re.match("(bmd|low|high)_.*_gcm2", key)}
        assert len(estimates) == 6
        assert all(bool(text) == (row["status"] == "read") for text in estimates.values())
        assert row["use"] == RESEARCH_USE


def test_csv_numbers_stay_numbers_and_formulas_do_not_run(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    (hip,) = reports["right"].hips
    low = replace(hip.estimates[0], t_score=-3.1, low_gcm2=-0.02)
    hostile = [
        replace(reports["right"], file=text + "x", maker=text, hips=(replace(hip, estimates=(low, hip.estimates[1])),))
        for text in ("=", "+", "-", "@", "\t=", "\r=", "＝", HOSTILE)
    ]
    write_csv(tmp_path / "results.csv", hostile)
    for row in rows_of(tmp_path / "results.csv"):
        for column in ("file", "maker"):
            assert row[column][0] not in "=+-@\t\r\n＝"
            assert row[column].isprintable()
        assert float(row["t_score_femoral_neck"]) == -3.1
        assert float(row["low_femoral_neck_gcm2"]) == -0.02
    assert len((tmp_path / "results.csv").read_bytes().splitlines()) == 1 + len(hostile)
