"""The schema takes every report, and refuses what must not be."""

import json
from pathlib import Path

import jsonschema

from bmd_edge.report.film_report import SCHEMA_VERSION, FilmReport
from bmd_edge.report.results import json_line, write_jsonl
from bmd_edge.report.schema import json_schema


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

    def broken(name: str, change) -> bool:
        film = json.loads(json_line(reports[name]))
        change(film)
        return not check.is_valid(film)

    assert broken("right", lambda film: film.update(status="refused", reason="implant"))  # a number on a refused film
    assert broken("right", lambda film: film["hips"][0].update(status="refused", reason="implant"))
    assert broken("implant", lambda film: film.update(status="read", reason=None))
    assert broken("right", lambda film: film.update(reason="implant"))
    assert broken("text", lambda film: film.update(reason=None))
    assert broken("text", lambda film: film.update(reason="a_new_code"))
    assert broken("right", lambda film: film["hips"][0]["estimates"].pop())
    assert broken("right", lambda film: film["hips"][0]["estimates"][0].update(bmd_gcm2=0.2))
    assert broken("right", lambda film: film.update(patient_name="x"))
    assert broken("right", lambda film: film.pop("band"))
    assert broken("right", lambda film: film.update(band="osteoporosis"))
    assert not broken("right", lambda film: film.update(band="refer_for_dxa"))


SCHEMAS = Path(__file__).parents[3] / "tests" / "schemas"


def test_the_schema_changes_only_with_its_version() -> None:
    """To change a released schema, raise SCHEMA_VERSION, then `bmd-edge schema > tests/schemas/results-v2.json`."""
    kept = json.loads((SCHEMAS / f"results-v{SCHEMA_VERSION}.json").read_text(encoding="utf-8"))
    assert kept == json_schema()


def test_every_kept_schema_is_one_and_the_newest_is_in_use() -> None:
    versions = []
    for path in SCHEMAS.glob("results-v*.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        versions.append(schema["properties"]["schema_version"]["const"])
        assert path.stem == f"results-v{versions[-1]}"
    assert sorted(versions) == list(range(1, SCHEMA_VERSION + 1))
