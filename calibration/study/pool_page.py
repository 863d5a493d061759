"""Pooled figures as a page with forest plots, and in words for the terminal."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bmd_edge.measure.t_score import REFERENCE_NAME
from bmd_edge.report.pages import SITE_NAMES, templates
from bmd_edge.report.safe_text import visible
from bmd_edge.system.files import replace_file
from calibration import validate
from calibration.validate.page import data_uri
from calibration.validate.plots import forest

_TEMPLATES = Path(__file__).parent / "templates", Path(validate.__file__).parent / "templates"
NAMES = {
    "bias_gcm2": "bias (film − DEXA), g/cm²",
    "rmse_gcm2": "RMSE, g/cm²",
    "coverage": "share inside the 90 % interval",
    "sensitivity": "sensitivity, T ≤ −2.5, by film",
    "specificity": "specificity, T ≤ −2.5, by film",
    "auroc": "AUROC, T ≤ −2.5, by film",
}


def name_of(figure: str) -> str:
    """A figure as a reader sees it."""
    site, _, short = figure.rpartition(".")
    return f"{SITE_NAMES[site]}: {NAMES[short]}" if site else NAMES[short][0].upper() + NAMES[short][1:]


def said(facts: Mapping[str, Any]) -> Iterator[str]:
    """What everyone asks for first, line by line."""
    yield f"{len(facts['clinics'])} clinics, bundle {facts['bundle']} ({facts['bundle_digest'][:16]})"
    for figure, one in facts["figures"].items():
        if one["pooled"]:
            new = one["pooled"]["prediction"]
            yield (
                f"{name_of(figure)}: {_said(one['pooled']['random'])}; a new clinic"
                f" {_said(new, ends_only=True) if new else '-'}; I2 {one['pooled']['i2']['value']:.0%}"
            )
    yield facts["use"]


def _said(figure: Mapping[str, float] | None, *, ends_only: bool = False) -> str:
    if figure is None:
        return "–"
    ends = f"{figure['low']:.3f} to {figure['high']:.3f}"
    return ends if ends_only else f"{figure['value']:.3f} ({ends})"


def write_pool(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write pool.json and pool.html, each atomically; the same summaries give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with replace_file(folder / "pool.json") as file:
        file.write(json.dumps(facts, indent=1, allow_nan=False) + "\n")
    shown = [_shown(facts, figure, one) for figure, one in facts["figures"].items() if one["clinics"]]
    with replace_file(folder / "pool.html") as file:
        file.writelines(
            templates(*_TEMPLATES)
            .get_template("pool.html.j2")
            .generate(
                research_use=facts["use"],
                reference=REFERENCE_NAME,
                summary={**facts, "device": "pooled"},
                facts=facts,
                figures=shown,
                clinics={visible(name): one for name, one in facts["clinics"].items()},
            )
        )


def _shown(facts: Mapping[str, Any], figure: str, one: Mapping[str, Any]) -> dict[str, Any]:
    pooled = one["pooled"]
    rows = [
        {"division": "clinic", "part": visible(name), "hips": facts["clinics"][name]["subjects"], "figures": {"it": it}}
        for name, it in one["clinics"].items()
    ]
    uri = None
    if pooled:
        everyone = sum(row["hips"] for row in rows)
        whole = {"division": "all", "part": "random effects", "hips": everyone, "figures": {"it": pooled["random"]}}
        if pooled["prediction"]:
            new = {"division": "expected", "part": "new clinic", "hips": everyone}
            rows.append({**new, "figures": {"it": {**pooled["prediction"], "value": None}}})
        uri = data_uri(forest(whole, rows, "it", name_of(figure), zero=figure.endswith("bias_gcm2")))
    return {
        "name": name_of(figure),
        "uri": uri,
        "pooled": pooled
        and {
            "Clinics like these (random effects, Hartung-Knapp)": _said(pooled["random"]),
            "These clinics alone, by precision (fixed effects)": _said(pooled["fixed"]),
            "Expected in a new clinic, 95 %": "–"
            if not pooled["prediction"]
            else _said(pooled["prediction"], ends_only=True),
            "I², share of the variance between clinics": "{value:.0%} ({low:.0%} to {high:.0%})".format(**pooled["i2"]),
            "τ²": "{value:.3g} ({low:.3g} to {high:.3g})".format(**pooled["tau2"]),
            "Q": f"{pooled['q']:.1f}, p = {pooled['q_p']:.3f}",
        },
        "not_told": ", ".join(map(visible, one["not_told"])),
    }
