"""The JSON Schema of results.jsonl: what each property means, in which unit, plane and orientation."""

import json
from dataclasses import fields
from importlib.resources import files
from typing import Any

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.film.film import FilmFacts
from bmd_edge.film.patient_and_device import KVP, MAX_AGE_YEARS
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.measure.t_score import REFERENCE_NAME, T_SCORE_REASONS
from bmd_edge.report.film_report import COPIES, FILM_NOW, RESEARCH_USE, SCHEMA_VERSION, STATUSES
from bmd_edge.sites import SITES

SPACING_SOURCES = {
    "calibrated": "calibrated on the film",
    "scanned_assumed": "of the film's scan",
    "imager_ermf": "detector pixel, magnification stated",
    "imager_sid_sod": "detector pixel, magnification from distances",
    "imager_assumed": "detector pixel, magnification assumed",
    "pixel_spacing_assumed": "plane of the spacing unknown",
    "given": "given by the user",
}
"""Where the pixel size of a film comes from, in words."""
DEVICES = ("cpu", "cuda", "tensorrt", "function")
"""What the networks ran on; a "function" is an engine that a program has put in."""
_NUMBER_OR_NULL: dict[str, Any] = {"type": ["number", "null"]}
_FACTS: dict[str, tuple[dict[str, Any], str]] = {
    "warnings": ({}, "How often the header breaks the standard in places that do not touch the pixels."),
    "sop_instance_uid": ({}, "SOP Instance UID (0008,0018) of the film."),
    "study_instance_uid": ({}, "Study Instance UID (0020,000D): the films of one visit share it."),
    "series_instance_uid": ({}, "Series Instance UID (0020,000E)."),
    "acquisition_date": (
        {"type": ["string", "null"], "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
        "YYYY-MM-DD, of the acquisition, else of the series, else of the study.",
    ),
    "patient_pseudonym": (
        {},
        "A hash of the patient's ID under a key in this user's configuration: the same for all films of one patient"
        " under one key (its fingerprint is patient_key of run.json), and telling nothing else.",
    ),
    "accession_number": (
        {},
        "Accession Number (0008,0050), by which the archive finds the examination, and with it the patient; null unless"
        " screen --accession asks for it.",
    ),
    "pixel_digest": ({}, "A hash of the stored values: the same in every lossless compression."),
    "spacing_mm": (
        {},
        "Pixel size [row, column] of the stored image in mm in the plane of the hip: the distance between centers of"
        " neighboring rows, then columns. At the detector a pixel is larger by the magnification, and that size, not"
        " this, is what --spacing-mm takes.",
    ),
    "spacing_source": ({"enum": [None, *SPACING_SOURCES]}, "Where the pixel size comes from: "),
    "view": ({"enum": [None, "AP"]}, "The view that the header states; a film of another one is refused."),
    "age_years": (
        _NUMBER_OR_NULL | {"exclusiveMinimum": 0, "maximum": MAX_AGE_YEARS},
        "Age at the acquisition in years: as stated, else from birth date and acquisition date.",
    ),
    "sex": ({"enum": ["F", "M", None]}, "Patient's Sex (0010,0040)."),
    "maker": ({}, "Manufacturer (0008,0070)."),
    "model": ({}, "Manufacturer's Model Name (0008,1090)."),
    "unit_pseudonym": (
        {},
        "A hash of maker, model, serial number and station name of the X-ray unit under the same key: films of one unit"
        " have the same, and another one is another unit, or a unit that was renamed.",
    ),
    "kvp": (_NUMBER_OR_NULL | {"minimum": KVP[0], "maximum": KVP[1]}, "Tube voltage in kV."),
    "exposure_index": (_NUMBER_OR_NULL | {"exclusiveMinimum": 0}, "Exposure index of IEC 62494-1, no unit."),
}
_SIDE = "The patient's side, from the anatomy: R right, L left, null unknown."
_PIXELS = "in pixels of the stored image: x to the right, y down, the film's top-left corner at (0, 0)"


def json_schema(version: int = SCHEMA_VERSION) -> dict[str, Any]:
    """JSON Schema (2020-12) of one object of results.jsonl; of an earlier version, as it was kept."""
    if version != SCHEMA_VERSION:
        kept = files("bmd_edge") / "data" / f"results-v{version}.json"
        return dict(json.loads(kept.read_text(encoding="utf-8")))
    film = _object(
        schema_version=({"const": SCHEMA_VERSION}, "Version of this schema."),
        file=(_TEXT, "Path of the file below the screened folder, with slashes; null for bytes and data sets."),
        film_id=(_TEXT | {"pattern": "^[0-9a-f]{16}$"}, "16 hex digits of the SHA-256 of the file's bytes."),
        status=(
            {"enum": list(STATUSES)},
            "read: at least one hip has a number; refused: none may stand; failed: worth another try.",
        ),
        reason=(_REASON, f"Why the film has no number; null where it has one. {_SAYS_REASON}"),
        **_facts(),
        bundle=({"type": "string"}, "Version of the bundle, as its maker calls it."),
        bundle_digest=({"type": "string", "pattern": "^[0-9a-f]{64}$"}, "SHA-256 that names the bundle's content."),
        recalibration=(_TEXT, "SHA-256 of the clinic's recalibration (screen --recalibration); null without one."),
        device=({"enum": list(DEVICES)}, "What the networks ran on; function is an engine that a program has put in."),
        precision=({"enum": ["fp32", "int8"]}, "Arithmetic of the BMD network."),
        copy=({"enum": [None, *COPIES]}, "Whether another file shows the same image. " + _listed(COPIES)),
        copy_of=(_TEXT, "The file that `copy` speaks of, as in `file`."),
        band=(
            {"enum": [*HEADLINES, None]},
            "The headline, from the lowest T-score of the film's hips and the bundle's cuts; null without a T-score or "
            "cuts. not_suspected never rules low BMD out.",
        ),
        band_meaning=({"enum": [*HEADLINES.values(), None]}, "The headline in words."),
        film_now=({"enum": list(FILM_NOW)}, _FILM_NOW + _listed(FILM_NOW)),
        hips=({"type": "array", "items": _hip()}, "The hips that were looked for, each once."),
    )
    a_read_hip = {"contains": {"properties": {"status": {"const": "read"}}}}
    film |= _if_read({"hips": a_read_hip}, {"hips": {"not": a_read_hip}})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:bmd-edge:results:{SCHEMA_VERSION}",
        "title": f"bmd-edge results.jsonl, version {SCHEMA_VERSION}",
        "description": f"One line of results.jsonl: one file. {RESEARCH_USE}",
        **film,
    }


def _hip() -> dict[str, Any]:
    hip = _object(
        side=({"enum": ["R", "L", None]}, _SIDE),
        status=({"enum": ["read", "refused"]}, "read: with one estimate per site; refused: with none."),
        reason=(_REASON, f"Why the hip has no number; null where it has one. {_SAYS_REASON}"),
        landmarks_px=(
            {"type": "object", "propertyNames": {"enum": list(LANDMARKS)}, "additionalProperties": _PAIR},
            f"Landmark -> [x, y] {_PIXELS}; empty where none was found.",
        ),
        estimates=(
            {"type": "array", "items": _estimate(), "allOf": [_at_most_one("site", site) for site in SITES]},
            "One for each site, in the order of the enum of `site`.",
        ),
    )
    return hip | _if_read({"estimates": {"minItems": len(SITES)}}, {"estimates": {"maxItems": 0}})


def _estimate() -> dict[str, Any]:
    return _object(
        site=({"enum": list(SITES)}, "The part of the femur."),
        bmd_gcm2=(
            {"type": "number", "minimum": 0.25, "maximum": 1.60},
            "Areal BMD in g/cm2 on the Hologic scale, as DXA projects it (in the plane of the hip, anteroposterior).",
        ),
        low_gcm2=(_NUMBER, "Lower end of the 90 % interval in g/cm2, at most bmd_gcm2; never clipped."),
        high_gcm2=(_NUMBER, "Upper end of the 90 % interval in g/cm2, at least bmd_gcm2; never clipped."),
        t_score=(
            _NUMBER_OR_NULL,
            f"SDs above the mean of the reference ({REFERENCE_NAME}), rounded to 0.1; null where it is withheld.",
        ),
        t_score_reason=(
            {"enum": [None, *T_SCORE_REASONS]},
            "Why the T-score is withheld. " + _listed(T_SCORE_REASONS),
        ),
        flags=(
            {"type": "array", "items": {"enum": list(FLAGS)}, "uniqueItems": True},
            "Cautions beside the number, those of film and hip; what each means is in bmd_edge.FLAGS.",
        ),
    )


# -- the parts ----------------------------------------------------------------------------------------------------

_TEXT: dict[str, Any] = {"type": ["string", "null"]}
_FILM_NOW = (
    "Where the film was when its folder, or the film itself, was last screened; a run does not look at other folders"
    " that the results tell of. there: It was in its folder; "
)
_NUMBER: dict[str, Any] = {"type": "number"}
_PAIR: dict[str, Any] = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_REASON: dict[str, Any] = {"enum": [None, *REFUSALS]}
_SAYS_REASON = "Sentence and remedy of each code are in bmd_edge.REFUSALS."
_KINDS: dict[Any, dict[str, Any]] = {
    int: {"type": "integer", "minimum": 0},
    str | None: _TEXT,
    tuple[float, float] | None: {
        "oneOf": [{"type": "null"}, _PAIR | {"items": {"type": "number", "exclusiveMinimum": 0}}]
    },
}


def _facts() -> dict[str, tuple[dict[str, Any], str]]:
    """What the header says, in the order of `FilmFacts`; null is unknown."""
    found = {}
    for fact in fields(FilmFacts):
        limits, meaning = _FACTS[fact.name]
        listed = _listed(SPACING_SOURCES) if fact.name == "spacing_source" else ""
        found[fact.name] = limits or _KINDS[fact.type], meaning + listed
    return found


def _listed(meanings: dict[str, str]) -> str:
    return "; ".join(f"{name}: {meaning.rstrip('.')}" for name, meaning in meanings.items() if meaning) + "."


def _object(**properties: tuple[dict[str, Any], str]) -> dict[str, Any]:
    described = {name: {"description": meaning, **what} for name, (what, meaning) in properties.items()}
    return {"type": "object", "properties": described, "required": list(described), "additionalProperties": False}


def _at_most_one(name: str, value: str) -> dict[str, Any]:
    one = {"properties": {name: {"const": value}}}
    return {"contains": one, "minContains": 0, "maxContains": 1}


def _if_read(read: dict[str, Any], otherwise: dict[str, Any]) -> dict[str, Any]:
    """What is `read` has no reason; anything else has one and no number."""
    return {
        "if": {"properties": {"status": {"const": "read"}}},
        "then": {"properties": {"reason": {"type": "null"}, **read}},
        "else": {"properties": {"reason": {"type": "string"}, **otherwise}},
    }
