"""FHIR resources: shapes by fhir.resources, meaning by the checks of the test server, numbers to the printed digit."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bmd_edge.clinic.objects.fhir import SYSTEM, written
from bmd_edge.clinic.objects.said import Occasion, Version
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.results import write_csv
from tests.bmd_edge.clinic.objects.said import APPROVAL, OCCASION, said_of, second
from tests.bmd_edge.clinic.objects.test_make import FILMS
from tests.support.clinic.fhir_server import ABSENT, faults
from tests.support.clinic.viewer import numbers_of_csv
from tests.support.screening import CANARY, NOTICE, hip_dicom

Resource = dict[str, Any]
SITES = {"29627003": "femoral_neck", "310651003": "total_hip"}


def said(film: bytes, occasion: Occasion = OCCASION) -> tuple[FilmReport, list[Resource]]:
    """The report of a film and its resources, with numbers as they are written."""
    report, made = said_of(film, occasion, kinds=("sr", "fhir"))
    data = json.loads(made["fhir"].data, parse_float=str)
    return report, [one["resource"] for one in data["entry"]]


def observations(resources: list[Resource]) -> list[Resource]:
    return [one for one in resources if one["resourceType"] == "Observation"]


def numbers(resources: list[Resource]) -> dict[tuple[str, str, str], str]:
    """(side, site, what) -> the number as it is written."""
    found = {}
    for one in observations(resources):
        codes = [coding["code"] for coding in one["bodySite"]["coding"]]
        where = {"24028007": "R", "7771000": "L"}.get(codes[-1], ""), SITES[codes[0]]
        if "valueQuantity" in one:
            found[*where, "bmd"] = one["valueQuantity"]["value"]
        for part in one.get("component", ()):
            if "valueRange" in part:
                found |= {(*where, end): part["valueRange"][end]["value"] for end in ("low", "high")}
            if "valueQuantity" in part:
                found[*where, "t_score"] = part["valueQuantity"]["value"]
    return found


@pytest.mark.parametrize("name", FILMS)
def test_resources_of_every_film_are_valid(name: str) -> None:
    _, resources = said(FILMS[name]())
    known: set[str] = set()
    for one in json.loads(json.dumps(resources)):
        assert list(faults(_with_numbers(one), known)) == []
        known.add(f"{one['resourceType']}/{one['id']}")
    assert [one["resourceType"] for one in resources[-1:]] == ["DiagnosticReport"]
    assert len(observations(resources)) >= 2


def _with_numbers(resource: Any) -> Any:
    """The resource with numbers where `said` left their text."""
    if isinstance(resource, dict):
        return {
            name: float(one) if name == "value" and re.fullmatch(r"-?\d+\.\d+", str(one)) else _with_numbers(one)
            for name, one in resource.items()
        }
    return [_with_numbers(one) for one in resource] if isinstance(resource, list) else resource


@pytest.mark.parametrize("name", ["right", "left", "pelvis", "one of two refused", "no age", "no hip"])
def test_numbers_are_those_of_the_csv_to_the_printed_digit(name: str, tmp_path: Path) -> None:
    report, resources = said(FILMS[name]())
    write_csv(tmp_path / "results.csv", [report])
    cells = numbers_of_csv(tmp_path / "results.csv")
    expected = {key: cell if key[2] == "t_score" else f"{Decimal(cell):.4f}" for key, cell in cells.items()}
    found = numbers(resources)
    assert found == expected
    assert all(len(one.partition(".")[2]) == 4 for key, one in found.items() if key[2] != "t_score")


def test_zeros_at_the_end_stay() -> None:
    assert written({"a": [Decimal("0.8000"), "0.8", 1, True, None]}) == '{"a": [0.8000, "0.8", 1, true, null]}'


def test_an_observation_says_that_it_is_no_dxa_and_for_research_only() -> None:
    report, resources = said(hip_dicom("RL", StudyDate="20260516"))
    for one in observations(resources):
        assert one["status"] == "preliminary"
        (code,) = one["code"]["coding"]
        assert (code["system"], code["code"]) in ((SYSTEM, "bmd-neck-rx"), (SYSTEM, "bmd-total-hip-rx"))
        assert "(not DXA)" in one["code"]["text"]
        assert "bundle test" in one["method"]["text"]
        notes = " ".join(note["text"] for note in one["note"])
        assert all(words in notes for words in ("Research use only", NOTICE, f"Approval {APPROVAL}"))
        assert one["subject"] == {"type": "Patient", "identifier": {"value": "CANARY-ID"}}
        assert one["effectiveDateTime"] == "2026-05-16"
        assert re.fullmatch(r"2026-05-17T08:30:00[+-]\d\d:\d\d", one["issued"])
        assert one["derivedFrom"][0]["identifier"]["value"] == f"urn:oid:{report.study_instance_uid}"
        flags = [part["valueCodeableConcept"]["text"] for part in one["component"] if "valueCodeableConcept" in part]
        assert flags == [FLAGS[flag] for flag in report.hips[0].estimates[0].flags]
    assert CANARY not in json.dumps(resources)
    last = resources[-1]
    assert last["code"]["coding"][0]["code"] == "18748-4"
    assert last["result"] == [{"reference": f"Observation/{one['id']}"} for one in observations(resources)]
    assert "Research use only" in last["conclusion"]


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, as the film is made
@pytest.mark.parametrize("patient", ["A\x00B", "A\nB", "\x1b[31mA"])
def test_a_patient_whose_id_no_record_can_hold_is_left_out(patient: str) -> None:
    """FHIR's strings have no control characters, and an ID without them could be another patient's."""
    for one in said(hip_dicom("R", PatientID=patient))[1]:
        assert "subject" not in one
    with_issuer = said(hip_dicom("R", IssuerOfPatientID="A\x00B"))[1]
    assert {json.dumps(one["subject"]["identifier"]) for one in with_issuer} == {'{"value": "CANARY-ID"}'}


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, as the film is made
@pytest.mark.parametrize("day", ["99999999", "20240230", "00000000"])
def test_a_day_that_no_calendar_has_is_left_out(day: str) -> None:
    for one in said(hip_dicom("R", StudyDate=day))[1]:
        assert "effectiveDateTime" not in one


def test_the_identifier_is_the_structured_reports_uid() -> None:
    _, made = said_of(hip_dicom("R"), kinds=("sr", "fhir"))
    for one in (entry["resource"] for entry in json.loads(made["fhir"].data)["entry"]):
        assert one["identifier"] == [{"system": "urn:dicom:uid", "value": f"urn:oid:{made['sr'].sop_instance_uid}"}]


@pytest.mark.parametrize(("film", "code"), [(hip_dicom("R", implant="R"), "implant"), (hip_dicom(""), "not_a_hip")])
def test_a_refusal_has_a_reason_and_no_value(film: bytes, code: str) -> None:
    _, resources = said(film)
    assert len(observations(resources)) == 2
    for one in observations(resources):
        assert "valueQuantity" not in one
        assert one["dataAbsentReason"]["coding"][0]["code"] in ABSENT
        assert one["dataAbsentReason"]["text"] == f"{code}: {REFUSALS[code].sentence} {REFUSALS[code].remedy}"
    assert REFUSALS[code].sentence in resources[-1]["conclusion"]


def test_a_withheld_t_score_has_its_reason() -> None:
    _, resources = said(hip_dicom("R", PatientAge=None))
    for one in observations(resources):
        (score,) = [part for part in one["component"] if part["code"]["coding"][0]["code"] == "t-score-rx"]
        assert score["dataAbsentReason"] == {"text": "No T-score: age unknown."}


def ids(film: bytes) -> list[str]:
    return [one["id"] for one in said(film)[1]]


def test_ids_follow_from_film_side_and_site_alone() -> None:
    uid = {"SOPInstanceUID": "1.2.826.0.1.3680043.10.9"}
    first = ids(hip_dicom("R", **uid))
    assert first == ids(hip_dicom("R", **uid, PatientAge="045Y", OperatorsName="Another^One"))
    assert set(first).isdisjoint(ids(hip_dicom("R", SOPInstanceUID="1.2.826.0.1.3680043.10.8")))
    both = ids(hip_dicom("RL", **uid))
    assert set(both) > set(first)
    assert len(set(both)) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        lambda one: one.update(status="banana"),
        lambda one: one.update(dataAbsentReason={"text": "x"}),
        lambda one: one["valueQuantity"].update(code="bananas"),
        lambda one: one["code"]["coding"].append({"system": "http://loinc.org", "code": "24701-5"}),
        lambda one: one.update(issued="2026-05-17T08:30:00"),
        lambda one: one.update(colour="red"),
        lambda one: one.update(valueString="two values"),
        lambda one: one["category"][0]["coding"][0].update(code="picture"),
        lambda one: one.update(id="x" * 65),
    ],
)
def test_the_checks_find_what_is_wrong(wrong: Callable[[Resource], None]) -> None:
    one = _with_numbers(said(hip_dicom("R"))[1][0])
    assert list(faults(one, set())) == []
    wrong(one)
    assert list(faults(one, set()))


def test_what_is_no_longer_said_is_withdrawn_and_stays_so() -> None:
    """The side of a film was wrong: its numbers must not stay in the record."""
    uid = {"SOPInstanceUID": "1.2.826.0.1.3680043.10.9"}
    _, wrong = said(hip_dicom("R", **uid))
    _, made = said_of(hip_dicom("R", **uid))

    def corrected(resources: list[Resource]) -> list[Resource]:
        was = second(made, "header corrected").version
        told = tuple(json.dumps(_with_numbers(one)) for one in resources)
        version = Version(2, was.replaced, was.why, told)
        return said(hip_dicom("L", **uid), Occasion(OCCASION.received, OCCASION.box, version))[1]

    later = corrected(wrong)
    gone = [one for one in observations(later) if one["status"] == "entered-in-error"]
    assert {one["id"] for one in gone} == {one["id"] for one in observations(wrong)}
    assert all("valueQuantity" not in one and "component" not in one for one in gone)
    assert "Withdrawn. Version 2, replaces 1: header corrected." in gone[0]["note"][0]["text"]
    assert {one["reference"] for one in later[-1]["result"]}.isdisjoint(f"Observation/{one['id']}" for one in gone)
    again = corrected(later)
    assert [one["id"] for one in again if one["status"] == "entered-in-error"] == [one["id"] for one in gone]
    for one in later:
        assert [fault for fault in faults(_with_numbers(one), set()) if "reference" not in fault] == []
