"""What is said about a film, and the files that say it to machines: results.jsonl, results.csv, run.json.

Neither results file holds a time or a run id, so two runs over the same films compare byte by byte. None of them holds
a patient's name or id, or the path of the folder. The pages for people are in `bmd_edge.report_html`.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bmd_edge.bundle.calibration import OperatingPoints
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.estimate import Estimate, who_range
from bmd_edge.measure.headline import BANDS, band
from bmd_edge.measure.network_answer import NetworkAnswer
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file

SCHEMA_VERSION = 1
STATUSES = ("read", "refused", "failed")
RESEARCH_USE = "Research use only, not for diagnosis. Estimated from a radiograph; confirm by DXA."


@dataclass(frozen=True, slots=True, kw_only=True)
class HipReport:
    """One hip: `read` with one estimate per site, or `refused` with a reason of `bmd_edge.errors.REFUSALS` and none.

    `landmarks_px` maps names to (x, y) and `box_px` is (left, top, width, height), both in stored-image pixels with
    the top-left corner of the film at (0, 0) (PS3.3 C.18.6). `box_px` and `network` stand in no results file.
    """

    side: str | None
    status: str
    reason: str | None
    landmarks_px: dict[str, tuple[float, float]]
    box_px: tuple[float, float, float, float] | None
    estimates: tuple[Estimate, ...]
    network: NetworkAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmReport:
    """One file: `read` (at least one hip has a number), `refused`, or `failed` (worth another try).

    `file` is the posix path relative to the screened folder, None for bytes and data sets. Facts of the header are
    None where unknown. `spacing_mm` is (row, column) at the hip. `warnings` counts what the reader objected to.
    `band` is the headline, a key of `bmd_edge.measure.headline.BANDS`, None without one.
    `site_calibration` is the SHA-256 of the site's own recalibration.
    """

    file: str | None
    film_id: str | None
    status: str
    reason: str | None
    warnings: int = 0
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    view: str | None = None
    age_years: float | None = None
    sex: str | None = None
    maker: str | None = None
    model: str | None = None
    kvp: float | None = None
    exposure_index: float | None = None
    bundle: str
    bundle_digest: str
    site_calibration: str | None = None
    device: str
    precision: str
    band: str | None = None
    hips: tuple[HipReport, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The object of results.jsonl, which `json_schema` describes."""
        hidden = ("box_px", "network")
        hips = [{key: value for key, value in asdict(hip).items() if key not in hidden} for hip in self.hips]
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "band_meaning": self.band_meaning, "hips": hips}

    @property
    def band_meaning(self) -> str | None:
        """The headline in words; `not_suspected` says that low BMD is not ruled out."""
        return self.band and BANDS[self.band]

    @property
    def complete(self) -> bool:
        """Whether every hip that was looked for has a number."""
        return self.status == "read" and all(hip.status == "read" for hip in self.hips)


def film_band(hips: Iterable[HipReport], points: OperatingPoints | None) -> str | None:
    """`band` of all hips of a film; beside a hip that looks fractured, low BMD is never unsuspected.

    A fragility fracture of the hip outweighs any T-score (Siris et al., Osteoporos Int 2014;25:1439-1443).
    """
    hips = list(hips)
    found = band((estimate for hip in hips for estimate in hip.estimates), points)
    fractured = any(hip.reason == "fracture" for hip in hips)
    return "refer_for_dxa" if fractured and found == "not_suspected" else found


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run used and how many films and hips ended how; nothing in it names a patient or a place.

    `left` counts files that were still changing and are left for the next run.
    """

    schema_version: int
    versions: dict[str, str]
    bundle: str
    bundle_digest: str
    device: str
    precision: str
    spacing_given_mm: float | None
    notice: str
    films: dict[str, int]
    hips: dict[str, int]
    film_reasons: dict[str, int]
    hip_reasons: dict[str, int]
    left: int = 0
    site_calibration: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every film and every hip has its numbers."""
        return not (self.films["refused"] or self.films["failed"] or self.hips["refused"] or self.left)


def count(reports: Iterable[FilmReport]) -> dict[str, dict[str, int]]:
    """Count films and hips by status and by reason: the last four fields of `RunSummary`.

    A film on which hips were found counts under `film_reasons` never, its hips under `hip_reasons`.
    """
    films, hips, film_reasons, hip_reasons = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for report in reports:
        films[report.status] += 1
        if report.reason and not report.hips:
            film_reasons[report.reason] += 1
        for hip in report.hips:
            hips[hip.status] += 1
            if hip.reason:
                hip_reasons[hip.reason] += 1
    return {
        "films": {status: films[status] for status in STATUSES},
        "hips": {status: hips[status] for status in ("read", "refused")},
        "film_reasons": dict(sorted(film_reasons.items())),
        "hip_reasons": dict(sorted(hip_reasons.items())),
    }


def write_jsonl(path: Path, reports: Iterable[FilmReport]) -> None:
    """Write one object per file, atomically."""
    with replace_file(path) as file:
        for report in reports:
            file.write(json_line(report) + "\n")


def json_line(report: FilmReport) -> str:
    """One line of results.jsonl: ASCII, so that no name in it can harm a terminal or an old reader."""
    return json.dumps(report.to_dict(), allow_nan=False)


def write_run(path: Path, summary: RunSummary) -> None:
    """Write run.json, atomically."""
    with replace_file(path) as file:
        file.write(json.dumps(asdict(summary), indent=2, allow_nan=False) + "\n")


# -- results.csv --------------------------------------------------------------------------------------------------

_FILM_COLUMNS = ("warnings", "spacing_source", "view", "age_years", "sex", "maker", "model", "kvp", "exposure_index")
_RUN_COLUMNS = ("bundle", "bundle_digest", "site_calibration", "device", "precision")
_BAND_COLUMNS = ("band", "band_meaning")
CSV_COLUMNS = (
    "file", "film_id", "side", "status", "reason", *_BAND_COLUMNS,
    *(f"{part}_{site}{unit}" for site in SITES for part, unit in
      (("bmd", "_gcm2"), ("low", "_gcm2"), ("high", "_gcm2"), ("t_score", ""), ("who_range", ""))),
    "t_score_reason", "flags", "spacing_row_mm", "spacing_column_mm", *_FILM_COLUMNS,
    "sop_instance_uid", "study_instance_uid", *_RUN_COLUMNS, "use",
)  # fmt: skip


def write_csv(path: Path, reports: Iterable[FilmReport]) -> None:
    """Write one row per hip, atomically; a file without a hip is one row with an empty side."""
    with replace_file(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for report in reports:
            writer.writerows([safe_cell(row.get(name)) for name in CSV_COLUMNS] for row in _rows(report))


def _rows(report: FilmReport) -> list[dict[str, Any]]:
    film = {name: getattr(report, name) for name in (*_BAND_COLUMNS, *_FILM_COLUMNS, *_RUN_COLUMNS, "file", "film_id")}
    film |= {"sop_instance_uid": report.sop_instance_uid, "study_instance_uid": report.study_instance_uid}
    film |= {"status": report.status, "reason": report.reason, "use": RESEARCH_USE}
    if report.spacing_mm:
        film |= {"spacing_row_mm": report.spacing_mm[0], "spacing_column_mm": report.spacing_mm[1]}
    return [film | _hip_cells(hip) for hip in report.hips] or [film]


def _hip_cells(hip: HipReport) -> dict[str, Any]:
    cells: dict[str, Any] = {"side": hip.side, "status": hip.status, "reason": hip.reason}
    for estimate in hip.estimates:
        site = estimate.site
        cells |= {f"{part}_{site}_gcm2": getattr(estimate, f"{part}_gcm2") for part in ("bmd", "low", "high")}
        cells |= {f"t_score_{site}": estimate.t_score, f"who_range_{site}": who_range(estimate)}
        cells["t_score_reason"] = estimate.t_score_reason
    cells["flags"] = " ".join(flags_of(hip))
    return cells


def flags_of(hip: HipReport) -> list[str]:
    """The flags of all estimates of a hip, each once, in the order of `bmd_edge.errors.FLAGS`."""
    standing = {flag for estimate in hip.estimates for flag in estimate.flags}
    return [flag for flag in FLAGS if flag in standing]


def safe_cell(value: object) -> object:
    """A cell of a CSV file for people: text that a spreadsheet would run as a formula gets an apostrophe.

    Text is made `visible`; numbers stay numbers, and what is unknown stays empty.
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠")) else text


def visible(text: str) -> str:
    """Escape what would act instead of show: control characters, terminal escapes, direction overrides, surrogates."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


# -- JSON Schema --------------------------------------------------------------------------------------------------


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
    film = _object(
        schema_version={"const": SCHEMA_VERSION},
        file=nullable["text"],
        film_id={"type": ["string", "null"], "pattern": "^[0-9a-f]{16}$"},
        status={"enum": list(STATUSES)},
        reason=reason,
        warnings={"type": "integer", "minimum": 0},
        sop_instance_uid=nullable["text"],
        study_instance_uid=nullable["text"],
        spacing_mm={"oneOf": [{"type": "null"}, point]},
        spacing_source=nullable["text"],
        view=nullable["text"],
        age_years=nullable["number"],
        sex={"enum": ["F", "M", None]},
        maker=nullable["text"],
        model=nullable["text"],
        kvp=nullable["number"],
        exposure_index=nullable["number"],
        bundle=text,
        bundle_digest={"type": "string", "pattern": "^[0-9a-f]{64}$"},
        site_calibration=nullable["text"],
        device=text,
        precision=text,
        band={"enum": [*BANDS, None]},
        band_meaning={"enum": [*BANDS.values(), None]},
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
