"""What `bmd-edge follow` writes for machines: follow.csv, a row per visit of a hip, and follow.json."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bmd_edge.follow.change import Change, Followed, between_units, precision_from
from bmd_edge.follow.doubts import other_hips, out_of_line, spoken_against
from bmd_edge.follow.repeatability import RepeatabilityFile
from bmd_edge.follow.series import CONDITIONS, Break, Finding, Visit
from bmd_edge.follow.words import said
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.report.safe_text import safe_cell
from bmd_edge.sites import SITES
from bmd_edge.system.csv_cells import csv_line
from bmd_edge.system.files import replace_file

SCHEMA = 1
_CHANGE = ("change_gcm2", "lsc_gcm2", "stated", "years_to_tell")
_RATE = ("value", "low", "high")
COLUMNS = (
    "patient", "side", "part", "date", "films",
    *(f"{part}_{site}_gcm2" for site in SITES for part in ("bmd", "low", "high")),
    *(f"{name}_{site}" for site in SITES for name in ("out_of_line", *_CHANGE, "spoken_against")),
    *(f"rate_{end}_{site}_gcm2_a_year" for site in SITES for end in _RATE),
    "first_date", "unit", "bundle", *CONDITIONS, "precision_from", "use",
)  # fmt: skip
"""The change stands in the row of the last visit of a part; `first_date` is that of the visit it is compared with.
`out_of_line` stands in those between them: whether the visit lies outside the band and the last one does not.
`spoken_against` is what speaks against a change, by the names of `doubts.spoken_against`, with a space between.
"""


def write_csv(path: Path, hips: Sequence[Followed], known: RepeatabilityFile | None) -> None:
    """Write one row per visit of every hip, atomically."""
    others = other_hips(hips)
    with replace_file(path) as file:
        file.write(csv_line(COLUMNS))
        for followed in hips:
            other_hip = others.get((followed.series.patient, followed.series.side))
            for visit, cells in _visits(followed, known):
                changes = [one for one in followed.changes if one.last is visit]
                cells |= {"patient": followed.series.patient, "side": followed.series.side, "use": RESEARCH_USE}
                cells |= {name: value for one in changes for name, value in _change_cells(one).items()}
                against = {one.site: spoken_against(followed, one, other_hip) for one in changes}
                cells |= {f"spoken_against_{site}": " ".join(names) for site, names in against.items()}
                file.write(csv_line(safe_cell(cells.get(name)) for name in COLUMNS))


def _visits(followed: Followed, known: RepeatabilityFile | None) -> Iterator[tuple[Visit, dict[str, Any]]]:
    """The visits of a hip by part, each with its figures; what is not known is None."""
    out = {one.visit: one.change_gcm2 for one in out_of_line(followed)}
    banded = {one.first for one in followed.changes if one.precision_from == "clinic"}
    for number, (part, sd) in enumerate(zip(followed.series.parts, followed.sd_gcm2, strict=True), 1):
        for visit in part:
            cells: dict[str, Any] = {"part": number, "date": visit.taken.isoformat(), "films": len(visit.films)}
            cells |= {"unit": visit.unit, "bundle": visit.films[0].bundle}
            cells |= dict(zip(CONDITIONS, visit.conditions, strict=True))
            for site in SITES:
                mean, half = visit.mean_gcm2(site), visit.half_gcm2(site, sd[site])
                ends = {"bmd": mean, "low": mean - half, "high": mean + half}
                cells |= {f"{end}_{site}_gcm2": round(value, 4) for end, value in ends.items()}
                judged = visit in part[1:-1] and part[0] in banded
                cells[f"out_of_line_{site}"] = site in out.get(visit, {}) if judged else None
            yield visit, cells | {"precision_from": precision_from(visit, known)}


def _change_cells(one: Change) -> dict[str, Any]:
    cells: dict[str, Any] = {f"{name}_{one.site}": _rounded(getattr(one, name)) for name in _CHANGE}
    if one.rate:
        cells |= {f"rate_{end}_{one.site}_gcm2_a_year": _rounded(getattr(one.rate, end)) for end in _RATE}
    return cells | {"first_date": one.first.taken.isoformat()}


def _break(one: Break, known: RepeatabilityFile | None) -> dict[str, Any]:
    units = between_units(one, known)
    return {"date": one.after.taken.isoformat(), "changed": one.changed, "between_units": units and asdict(units)}


def _rounded(value: float | bool | None) -> float | bool | None:
    return round(value, 4) if isinstance(value, float) else value


def write_json(
    path: Path, hips: Sequence[Followed], findings: Sequence[Finding], known: RepeatabilityFile | None
) -> None:
    """Write everything that is known of the series, with the sentences of the page."""
    others = other_hips(hips)
    facts = {
        "schema": SCHEMA,
        "use": RESEARCH_USE,
        "precision": known and {"source": known.source, "bundle_digest": known.bundle_digest, "units": known.units},
        "hips": [_hip(one, known, others.get((one.series.patient, one.series.side))) for one in hips],
        "in_no_series": [one._asdict() for one in findings],
    }
    with replace_file(path) as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")


def _hip(followed: Followed, known: RepeatabilityFile | None, other_hip: Followed | None) -> dict[str, Any]:
    series = followed.series
    return {
        "patient": series.patient,
        "side": series.side,
        "visits": [cells for _, cells in _visits(followed, known)],
        "breaks": [_break(one, known) for one in series.breaks],
        "changes": [
            {
                "site": one.site,
                "first_date": one.first.taken.isoformat(),
                "last_date": one.last.taken.isoformat(),
                "precision_from": one.precision_from,
                **{name: _rounded(getattr(one, name)) for name in _CHANGE},
                "spoken_against": spoken_against(followed, one, other_hip),
                "rate_gcm2_a_year": one.rate and {k: _rounded(v) for k, v in asdict(one.rate).items()},
            }
            for one in followed.changes
        ],
        "said": [line.text for line in said(followed, known, other_hip)],
    }
