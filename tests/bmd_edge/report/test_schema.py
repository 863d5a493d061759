"""The schema takes every report, and refuses what must not be."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from bmd_edge.engine import open as engines
from bmd_edge.report.film_report import SCHEMA_VERSION, FilmReport
from bmd_edge.report.results import json_line, write_jsonl
from bmd_edge.report.schema import DEVICES, json_schema


def test_every_line_satisfies_the_schema(reports: dict[str, FilmReport], tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    check = jsonschema.Draft202012Validator(json_schema())
    write_jsonl(tmp_path / "results.jsonl", reports.values())
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert len(lines) == len(reports)
    for line in lines:
        check.validate(json.loads(line))
    assert {json.loads(line)["status"] for line in lines} == {"read", "refused"}


def test_the_schema_refuses_what_must_not_be(reports: dict[str, FilmReport]) -> None:
    check = jsonschema.Draft202012Validator(json_schema())

    def broken(name: str, change, **wrong: object) -> bool:
        film = json.loads(json_line(reports[name]))
        change(film, **wrong)
        return not check.is_valid(film)

    assert broken("right", lambda film: film.update(status="refused", reason="implant"))  # a number on a refused film
    assert broken("right", lambda film: film["hips"][0].update(status="refused", reason="implant"))
    assert broken("implant", lambda film: film.update(status="read", reason=None))
    assert broken("right", lambda film: film.update(reason="implant"))
    assert broken("text", lambda film: film.update(reason=None))
    assert broken("text", lambda film: film.update(reason="a_new_code"))
    assert broken("right", lambda film: film["hips"][0]["estimates"].pop())
    assert broken("right", lambda film: film["hips"][0]["estimates"][0].update(bmd_gcm2=0.2))
    assert broken("right", lambda film: film["hips"][0]["estimates"][1].update(site="femoral_neck"))
    for name, value in (
        ("acquisition_date", "2020/1/1"),
        ("spacing_mm", [-1, 0]),
        ("age_years", 1e9),
        ("age_years", -1),
        ("kvp", 0),
        ("exposure_index", 0),
    ):
        assert broken("right", lambda film, **wrong: film.update(wrong), **{name: value})
    assert broken("right", lambda film: film.update(device="gpu"))
    assert broken("right", lambda film: film.update(spacing_source="measured"))
    assert broken("right", lambda film: film["hips"][0]["landmarks_px"].update(knee=[1, 2]))
    assert broken("right", lambda film: film.update(patient_name="x"))
    assert broken("right", lambda film: film.pop("band"))
    assert broken("right", lambda film: film.update(band="osteoporosis"))
    assert not broken("right", lambda film: film.update(band="refer_for_dxa"))


def described(schema: dict) -> Iterator[tuple[str, dict]]:
    """Every property of an object and of the objects inside it."""
    for name, one in schema.get("properties", {}).items():
        if "description" in one or "type" in one or "enum" in one:
            yield name, one
        yield from described(one.get("items", {}))


def test_every_property_says_what_it_means_and_no_fixed_value_is_free_text() -> None:
    found = dict(described(json_schema()))
    assert len(found) > 40
    assert [name for name, one in found.items() if len(one.get("description", "")) < 15] == []
    assert json_schema()["$id"] == f"urn:bmd-edge:results:{SCHEMA_VERSION}"
    fixed = (
        "status",
        "reason",
        "spacing_source",
        "view",
        "sex",
        "device",
        "precision",
        "copy",
        "band",
        "film_now",
        "side",
        "site",
    )
    assert [name for name in fixed if "enum" not in found[name]] == []
    assert set(engines.DEVICES) - {"auto"} < set(DEVICES)
    assert set(found["precision"]["enum"]) == set(engines.PRECISIONS) - {"auto"}
    assert [name for name in found if name.endswith(("_gcm2", "_mm"))] == [
        "spacing_mm",
        "bmd_gcm2",
        "low_gcm2",
        "high_gcm2",
    ]
    assert "plane of the hip" in found["spacing_mm"]["description"]
    assert "[row, column]" in found["spacing_mm"]["description"]
    assert "top-left corner" in found["landmarks_px"]["description"]


SCHEMAS = Path(__file__).parents[3] / "tests" / "schemas"


def test_the_schema_changes_only_with_its_version() -> None:
    """To change a released schema, move the kept one to bmd_edge/data, raise SCHEMA_VERSION, and keep the new one:
    `bmd-edge schema > tests/schemas/results-v3.json`.
    """
    kept = json.loads((SCHEMAS / f"results-v{SCHEMA_VERSION}.json").read_text(encoding="utf-8"))
    assert kept == json_schema()
    assert len(list(SCHEMAS.glob("results-v*.json"))) == 1


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_version_has_its_schema(version: int) -> None:
    schema = json_schema(version)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema_version"]["const"] == version
    assert ("site_calibration" in schema["properties"]) == (version == 1)
