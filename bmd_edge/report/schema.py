"""The JSON Schema of results.jsonl."""

from dataclasses import fields
from typing import Any

from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.film.film import FilmFacts
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.film_report import COPIES, FILM_NOW, RESEARCH_USE, SCHEMA_VERSION, STATUSES
from bmd_edge.sites import SITES


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one object of results.jsonl."""
    text, number = {"type": "string"}, {"type": "number"}
    nullable = {"text": {"type": ["string", "null"]}, "number": {"type": ["number", "null"]}}
    reason = {"enum": [None, *REFUSALS]}
    point = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
    estimate = _object(
        site={"enum": list(SITES)},
        bmd_gcm2={"type": "number", "minimum": 0.25, "maximum": 1.60},
        low_gcm2=number,
        high_gcm2=number,
        t_score=nullable["number"],
        t_score_reason={"enum": [None, *T_SCORE_REASONS]},
        flags={"type": "array", "items": {"enum": list(FLAGS)}, "uniqueItems": True},
    )
    hip = _object(
        side={"enum": ["R", "L", None]},
        status={"enum": ["read", "refused"]},
        reason=reason,
        landmarks_px={"type": "object", "additionalProperties": point},
        estimates={"type": "array", "items": estimate},
    )
    hip |= _if_read({"estimates": {"minItems": len(SITES)}}, {"estimates": {"maxItems": 0}})
    kinds: dict[Any, dict[str, Any]] = {
        int: {"type": "integer", "minimum": 0},
        str | None: nullable["text"],
        float | None: nullable["number"],
        tuple[float, float] | None: {"oneOf": [{"type": "null"}, point]},
    }
    facts = {fact.name: kinds[fact.type] for fact in fields(FilmFacts)} | {"sex": {"enum": ["F", "M", None]}}
    film = _object(
        schema_version={"const": SCHEMA_VERSION},
        file=nullable["text"],
        film_id={"type": ["string", "null"], "pattern": "^[0-9a-f]{16}$"},
        status={"enum": list(STATUSES)},
        reason=reason,
        **facts,
        bundle=text,
        bundle_digest={"type": "string", "pattern": "^[0-9a-f]{64}$"},
        site_calibration=nullable["text"],
        device=text,
        precision=text,
        copy={"enum": [None, *COPIES]},
        copy_of=nullable["text"],
        band={"enum": [*HEADLINES, None]},
        band_meaning={"enum": [*HEADLINES.values(), None]},
        film_now={"enum": list(FILM_NOW)},
        hips={"type": "array", "items": hip},
    )
    a_read_hip = {"contains": {"properties": {"status": {"const": "read"}}}}
    film |= _if_read({"hips": a_read_hip}, {"hips": {"not": a_read_hip}})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"bmd-edge results.jsonl, version {SCHEMA_VERSION}",
        "description": RESEARCH_USE,
        **film,
    }


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _if_read(read: dict[str, Any], otherwise: dict[str, Any]) -> dict[str, Any]:
    """What is `read` has no reason; anything else has one and no number."""
    return {
        "if": {"properties": {"status": {"const": "read"}}},
        "then": {"properties": {"reason": {"type": "null"}, **read}},
        "else": {"properties": {"reason": {"type": "string"}, **otherwise}},
    }
