"""A film's report: its fields, and null for what is unknown."""

import json
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import jsonschema

from bmd_edge.errors import FLAGS, TO_DO
from bmd_edge.film.film import FilmFacts
from bmd_edge.film.read import read_film
from bmd_edge.report.film_report import FilmReport, caution, count
from bmd_edge.report.results import json_line, write_csv
from bmd_edge.report.schema import json_schema
from bmd_edge.screen.jobs import Loaded
from bmd_edge.screen.ledger import Ledger
from bmd_edge.system.machine import cpu_name
from tests.bmd_edge.report.test_pages import Parsed, index_page
from tests.bmd_edge.report.test_results import rows_of
from tests.support.screening import drawn_screener, hip_dicom


def test_the_fields_are_those_of_the_contract(reports: dict[str, FilmReport]) -> None:
    film = json.loads(json_line(reports["right"]))
    assert " ".join(film) == (
        "schema_version file film_id status reason warnings sop_instance_uid study_instance_uid"
        " series_instance_uid acquisition_date patient_pseudonym accession_number pixel_digest spacing_mm"
        " spacing_source view age_years sex maker model unit_pseudonym kvp exposure_index bundle bundle_digest"
        " recalibration device precision band film_now copy copy_of hips band_meaning"
    )
    assert " ".join(film["hips"][0]) == "side status reason landmarks_px estimates"
    assert " ".join(film["hips"][0]["estimates"][0]) == (
        "site bmd_gcm2 low_gcm2 high_gcm2 t_score t_score_reason flags"
    )


def test_an_unknown_fact_is_null(reports: dict[str, FilmReport]) -> None:
    film = json.loads(json_line(reports["unknown"]))
    assert [film[name] for name in ("age_years", "sex", "maker", "kvp", "exposure_index", "band")] == [None] * 6
    assert {row["t_score"] for row in film["hips"][0]["estimates"]} == {None}
    assert {row["t_score_reason"] for row in film["hips"][0]["estimates"]} == {"age_unknown"}


def test_every_fact_of_the_header_is_said_everywhere(tmp_path: Path) -> None:
    """Each field of FilmFacts is in results.jsonl, its schema and results.csv, in the ledger, and on the page."""
    values = {int: 1000, str | None: "stated", float | None: 90.5}
    facts = {
        fact.name: values[fact.type] + (str(n) if fact.type == str | None else n)
        for n, fact in enumerate(fields(FilmFacts))
        if fact.name not in ("sex", "spacing_mm", "spacing_source", "view", "acquisition_date")
    } | {"sex": "F", "spacing_mm": (0.125, 0.1875), "spacing_source": "calibrated", "view": "AP"}
    facts["acquisition_date"] = "2019-11-04"
    film = replace(read_film(hip_dicom("R")), **facts)
    with drawn_screener() as screener:
        report = screener.measure(Loaded(film.film_id, film), "a.dcm")

    line = json.loads(json_line(report))
    assert {name: line[name] for name in facts} == {**facts, "spacing_mm": [0.125, 0.1875]}
    jsonschema.Draft202012Validator(json_schema()).validate(line)
    assert set(facts) <= set(json_schema()["required"])

    write_csv(tmp_path / "results.csv", [report])
    cells = {**facts, "spacing_row_mm": 0.125, "spacing_column_mm": 0.1875}
    del cells["spacing_mm"]
    assert {name: rows_of(tmp_path / "results.csv")[0].get(name) for name in cells} == {
        name: str(value) for name, value in cells.items()
    }

    with closing(Ledger(tmp_path)) as ledger:
        ledger.put(b"a.dcm", (1, 1, 1), "settings", report, None)
        assert list(ledger.reports()) == [report]

    shown = {**facts, "sex": "female", "spacing_mm": "0.125", "spacing_source": "calibrated on the film"}
    text = Parsed(index_page(tmp_path, [report])).text
    assert [name for name, value in shown.items() if str(value) not in text] == []


def test_counts(reports: dict[str, FilmReport]) -> None:
    assert count(reports.values()) == {
        "films": {"read": 4, "refused": 3, "failed": 0, "left_out": 0},
        "hips": {"read": 4, "refused": 2},
        "film_reasons": {"not_a_hip": 1, "not_dicom": 1},
        "hip_reasons": {"implant": 2},
        "not_there": {},
        "cpus": [cpu_name()],
    }


def test_a_caution_says_what_to_do_where_something_is_wrong() -> None:
    assert caution("side_contradiction") == f"{FLAGS['side_contradiction']} {TO_DO['side_contradiction']}"
    assert caution("view_unknown") == FLAGS["view_unknown"]
