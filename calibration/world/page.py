"""All worlds of films on one self-contained page, in the look of a validation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bmd_edge.measure.t_score import REFERENCE_NAME
from bmd_edge.report.pages import SITE_NAMES, templates
from bmd_edge.report.safe_text import visible
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from calibration import validate
from calibration.validate import plots
from calibration.validate.one_site import selected
from calibration.validate.page import data_uri, said, shown_finding
from calibration.world.figures import AMONG_READ
from calibration.world.matching import ScoredHip
from calibration.world.truth import INTACT, UNFIT
from calibration.world.world import Scored

FIGURES = (
    ("r", "Pearson r", "plain"),
    ("rmse_gcm2", "RMSE, g/cm²", "plain"),
    ("bias_gcm2", "Bias, g/cm²", "signed"),
    ("slope_on_truth", "Slope on DEXA", "plain"),
    ("coverage", "In 90 % interval", "share"),
    ("width_gcm2", "Width, g/cm²", "plain"),
)
"""Figures of a site: name in world.json, label, how they are written."""

_TEMPLATES = Path(__file__).parent / "templates", Path(validate.__file__).parent / "templates"


def write_page(path: Path, made: Scored) -> None:
    """Write the page, atomically; the same score gives the same bytes."""
    facts = made.facts
    worlds = [_world(one, made.hips[one["name"]], facts["primary"]) for one in facts["worlds"]]
    with replace_file(path) as file:
        file.writelines(
            templates(*_TEMPLATES)
            .get_template("world.html.j2")
            .generate(
                research_use=facts["use"],
                reference=REFERENCE_NAME,
                summary=facts | {"precision": facts["primary"]},
                facts=facts,
                worlds=worlds,
                heads=[f"{one['title']}: {_count(one['facts'])}" for one in worlds],
                glance=_glance(facts["worlds"]),
                columns=[label for _, label, _ in FIGURES],
            )
        )


def _glance(worlds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the first table, a column for each world."""
    columns = [_column(one) for one in worlds]
    return [{"label": label, "cells": [column[label] for column in columns]} for label in columns[0]]


def _column(one: Mapping[str, Any]) -> dict[str, str]:
    whole = one["groups"][0] if one["groups"] else None
    none, core = one["false_reads"], whole and whole["landmarks"]["core"]
    cells = {
        "Numbers where none may stand": f"{none['read']} of {none['hips']}" if none["hips"] else "–",
        "Intact hips": whole and str(whole["hips"]),
        "Intact hips with a number": whole and f"{whole['read']}: {said(whole['read_share'], 'share')}",
        "of these flagged": whole and said(whole["flagged_share"], "share"),
        "Landmarks, median, mm": core and said(core["median_mm"], "mm"),
        "Landmarks, 95th percentile, mm": core and said(core["p95_mm"], "mm"),
    }
    for site in SITES:
        found = whole and whole["sites"][site]
        cells[f"{SITE_NAMES[site]}: hips with both numbers"] = found and str(found["hips"])
        for name, label, kind in FIGURES:
            cells[f"{SITE_NAMES[site]}: {label}"] = found and said(found["figures"][name], kind)
    return {label: cell or "–" for label, cell in cells.items()}


def _count(one: Mapping[str, Any]) -> str:
    return f"{one['hips']} hips on {one['table']['films']} films of {one['table']['subjects']} subjects"


def _world(one: Mapping[str, Any], hips: Sequence[ScoredHip], precision: str) -> dict[str, Any]:
    whole = one["groups"][0] if one["groups"] else None
    marks = whole["landmarks"] if whole else {}
    title = one["name"] if one["name"] == one["world"] else f"{one['name']} ({one['world']})"
    return {
        "facts": one,
        "title": visible(title),
        "findings": [shown_finding(finding) for finding in one["findings"]],
        "statuses": [_status(row) for row in one["statuses"]],
        "groups": [_group(row) for row in one["groups"]],
        "landmarks": [
            {
                "name": "core three" if name == "core" else name.replace("_", " "),
                "n": found["n"],
                "cells": [said(found["median_mm"], "mm"), said(found["p95_mm"], "mm")],
            }
            for name, found in marks.items()
            if found["n"]
        ],
        "sites": [_site(one, hips, site, precision) for site in SITES if whole and whole["sites"][site]["hips"]],
    }


def _status(row: Mapping[str, Any]) -> dict[str, Any]:
    right = "a number" if row["status"] == INTACT else "a refusal" if row["status"] in UNFIT else "either"
    why = ", ".join(f"{n} {code.replace('_', ' ')}" for code, n in row["codes"].items())
    return {**row, "name": row["status"].replace("_", " "), "right": right, "why": why}


def _label(row: Mapping[str, Any]) -> str:
    return visible(f"{row['division']}: {row['part']}")


def _group(row: Mapping[str, Any]) -> dict[str, Any]:
    core = row["landmarks"]["core"]
    if row["division"] in AMONG_READ:
        cells = [str(row["read"]), "–"]
    else:
        cells = [f"{row['read']}: {said(row['read_share'], 'share')}", said(row["flagged_share"], "share")]
    return {**row, "label": _label(row), "cells": [*cells, said(core["median_mm"], "mm"), said(core["p95_mm"], "mm")]}


def _site(one: Mapping[str, Any], hips: Sequence[ScoredHip], site: str, precision: str) -> dict[str, Any]:
    rows = [
        {
            "label": _label(row),
            "division": row["division"],
            "part": row["part"],
            **row["sites"][site],
            "cells": [said(row["sites"][site]["figures"][name], kind) for name, _, kind in FIGURES],
        }
        for row in one["groups"]
    ]
    whole, *parts = rows
    drawn = []
    if whole["hips"] > 2:
        _, data = selected([hip.pair for hip in hips if hip.intact], site, precision)
        drawn = [("DEXA against the estimate", plots.scatter(data, None))]
        drawn += [("bias by group", plots.forest(whole, parts, "bias_gcm2", "bias (estimate − DEXA), g/cm²"))]
    return {
        "name": SITE_NAMES[site],
        "facts": whole,
        "rows": rows,
        "figures": [{"alt": f"{SITE_NAMES[site]}: {alt}", "uri": data_uri(svg)} for alt, svg in drawn],
    }
