"""A validation as one self-contained page for people, print or screen, in the look of the screening report."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.errors import REFUSALS
from bmd_edge.measure.headline import HEADLINES
from bmd_edge.measure.t_score import OSTEOPOROSIS_T, REFERENCE_NAME, WHO_RANGES
from bmd_edge.report.pages import SITE_NAMES, templates
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from calibration.statistics.detection import TARGETS, t_scores
from calibration.validate import plots
from calibration.validate.headline import headline_data
from calibration.validate.one_site import data_of, selected
from calibration.validate.reporting_items import ITEMS
from calibration.validate.validate import Validation

MINUS = "\N{MINUS SIGN}"
_LOW = f"{OSTEOPOROSIS_T:g}"
ROWS: tuple[tuple[str, str, str], ...] = (
    ("r", "Pearson r", "plain"),
    ("ccc", "Lin's concordance", "plain"),
    ("rmse_gcm2", "RMSE, g/cm²", "plain"),
    ("mae_gcm2", "MAE, g/cm²", "plain"),
    ("bias_gcm2", "Bias (estimate − DEXA), g/cm²", "signed"),
    ("sd_difference_gcm2", "SD of the difference, g/cm²", "plain"),
    ("loa_low_gcm2", "Lower limit of agreement, g/cm²", "signed"),
    ("loa_high_gcm2", "Upper limit of agreement, g/cm²", "signed"),
    ("slope", "Calibration slope (ideal 1)", "plain"),
    ("intercept_gcm2", "Calibration intercept, g/cm² (ideal 0)", "signed"),
    ("within_lsc", "Within the least significant change of DXA", "share"),
    ("coverage", "Inside the film's 90 % interval", "share"),
)
"""Figures of the agreement table: name in validation.json, label, how they are written."""

SUBGROUP_ROWS = ("bias_gcm2", "rmse_gcm2", "slope", "within_lsc", "coverage")
"""Without r, which falls with the range of BMD in a part and so compares nothing."""

_KINDS = {name: kind for name, _, kind in ROWS}
_WRITE = {
    "plain": "{:.3f}", "signed": "{:+.3f}", "fine": "{:+.4f}", "size": "{:.4f}", "share": "{:.1f}", "mm": "{:.1f}",
    "change": "{:+.2f}",
}  # fmt: skip
_MISSING = {
    "other_side": "The film shows a hip of the other side only.",
}
_SPACING = {
    "calibrated": "calibrated", "imager_ermf": "magnification stated", "imager_sid_sod": "from distances",
    "imager_assumed": "magnification assumed", "pixel_spacing_assumed": "plane unknown", "given": "given",
}  # fmt: skip


def write_page(path: Path, made: Validation) -> None:
    """Write the page, atomically; the same validation gives the same bytes."""
    environment = templates(Path(__file__).parent / "templates")
    facts = made.facts
    primary = facts["primary"]
    precisions = [primary, *(name for name in facts["precisions"] if name != primary)]
    with replace_file(path) as file:
        file.writelines(
            environment.get_template("validation.html.j2").generate(
                research_use=facts["use"],
                reference=REFERENCE_NAME,
                summary=facts | {"precision": ", ".join(precisions)},
                facts=facts,
                primary=primary,
                precisions=precisions,
                findings=[shown_finding(one) for one in facts["findings"]],
                counts=facts["precisions"][primary],
                glance=_glance(facts["precisions"][primary]["sites"]),
                sites=[_site(made, site, precisions) for site in SITES],
                headline=_headline(made, precisions),
                missing=_missing(facts["precisions"][primary]["rows_without_a_number"]),
                quantized=[_quantized(made, name) for name in facts["quantized"]],
                said=said,
                counted_against={
                    one["aim"].partition("=")[0].rstrip(">"): one
                    for one in (facts["plan"] or {}).get("endpoints", [])
                    if one.get("without_a_number") and facts["plan"]["refusals"] == "against"
                },
                targets=[_minus(f"{t:g}") for t in TARGETS],
                items=ITEMS,
            )
        )


def said(figure: Mapping[str, float | None] | None, kind: str = "plain") -> str:
    """A figure with its 95 % interval, "0.882 (0.871 to 0.893)" or "86.4 % (84.5 to 88.2)"; a dash if there is none."""
    if figure is None or figure["value"] is None:
        return "–"
    value, low, high = figure["value"], figure["low"], figure["high"]
    write = _WRITE[kind]
    factor, unit = (100, " %") if kind in ("share", "change") else (1, "")
    text = write.format(value * factor) + unit
    if low is not None and high is not None:
        text += f" ({write.format(low * factor)} to {write.format(high * factor)})"
    return _minus(text)


def _minus(text: str) -> str:
    return text.replace("-", MINUS)


def data_uri(svg: str) -> str:
    """A figure as the source of a picture."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def shown_finding(one: Mapping[str, Any]) -> dict[str, Any]:
    """A finding as the page shows it, with its first films."""
    names = list(one["films"])
    return {**one, "shown": names[:12], "more": max(len(names) - 12, 0)}


def _glance(sites: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the first table, a column for each site."""
    rows: dict[str, list[str]] = {}
    for facts in sites.values():
        found = facts["figures"]
        limits = [said({**found[name], "low": None}, "signed") for name in ("loa_low_gcm2", "loa_high_gcm2")]
        for label, cell in (
            ("Hips", str(facts["hips"])),
            ("Pearson r", said(found["r"])),
            ("RMSE, g/cm²", said(found["rmse_gcm2"])),
            ("Bias (estimate − DEXA), g/cm²", said(found["bias_gcm2"], "signed")),
            ("Limits of agreement, g/cm²", " and ".join(limits)),
            ("Calibration slope (ideal 1)", said(found["slope"])),
            ("Inside the film's 90 % interval", said(found["coverage"], "share")),
            ("AUROC, T ≤ −2.5", said(facts["detection"]["targets"][_LOW]["auroc"])),
        ):
            rows.setdefault(label, []).append(cell)
    return [{"label": label, "cells": cells} for label, cells in rows.items()]


def _missing(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        {
            "n": n,
            "code": code,
            "sentence": REFUSALS[code].sentence if code in REFUSALS else _MISSING[code],
            "remedy": REFUSALS[code].remedy if code in REFUSALS else "Check the side of this row in the table.",
        }
        for code, n in rows
    ]


def _site(made: Validation, site: str, precisions: Sequence[str]) -> dict[str, Any]:
    primary = precisions[0]
    every = {name: made.facts["precisions"][name]["sites"][site] for name in precisions}
    facts = every[primary]
    some, data = selected(made.kept, site, primary)
    shown: dict[str, Any] = {
        "name": SITE_NAMES[site],
        "facts": facts,
        "rows": [
            {"label": label, "cells": [said(one["figures"][name], kind) for one in every.values()]}
            for name, label, kind in ROWS
        ],
        "exact": {name: said(facts["exact_limits"][name], "signed") for name in ("low", "high")}
        if facts["exact_limits"]
        else None,
        "deming": [said(facts["figures"].get(name)) for name in ("deming_slope", "deming_intercept_gcm2")],
        "figures": [],
        "detection": _detection(every),
        "repeats": facts["repeats"],
        "subgroups": [_subgroup(made, row) for row in made.facts["subgroups"][site]],
        "forest": None,
    }
    if len(some) > 2:
        line = facts["figures"]["slope"]["value"], facts["figures"]["intercept_gcm2"]["value"]
        drawn_line = line if None not in line else None
        classed = [one for one in some if one.has_t_score]
        in_class = data_of(classed, site, primary)
        dexa_t = t_scores(site, in_class.y)
        targets = {f"{t:g}": dexa_t <= t for t in TARGETS}
        drawn = [
            ("DEXA against the estimate, with identity and least squares line", plots.scatter(data, drawn_line)),
            ("Bland-Altman plot against the estimate", plots.bland_altman(data, facts["exact_limits"], "estimate")),
            ("Bland-Altman plot against the mean", plots.bland_altman(data, facts["exact_limits"], "mean")),
            ("Calibration curve", plots.calibration_curve(facts["calibration_bins"], drawn_line)),
            ("ROC curves of finding low DEXA", plots.roc(in_class.x, targets, title="ROC, by hip")),
        ]
        shown["figures"] = [{"alt": f"{SITE_NAMES[site]}: {alt}", "uri": data_uri(svg)} for alt, svg in drawn]
        if made.facts["subgroups"][site]:
            svg = plots.forest(facts, shown["subgroups"], "bias_gcm2", "bias (estimate − DEXA), g/cm²")
            shown["forest"] = {"alt": f"{SITE_NAMES[site]}: bias by subgroup", "uri": data_uri(svg)}
    return shown


def _detection(every: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    facts = next(iter(every.values()))["detection"]
    rows = []
    for t in TARGETS:
        cells = [one["detection"]["targets"][f"{t:g}"] for one in every.values()]
        low = cells[0]["n_low"]
        rows.append({"label": f"T ≤ {_minus(f'{t:g}')}: AUROC", "cells": [said(one["auroc"]) for one in cells]})
        label = f"T ≤ {_minus(f'{t:g}')}: AUPRC (prevalence {low} of {facts['hips']})"
        rows.append({"label": label, "cells": [said(one["auprc"]) for one in cells]})
    for name, label in (("kappa", "Cohen's kappa of the WHO ranges"), ("kappa_linear", "the same, linear weights")):
        rows.append({"label": label, "cells": [said(one["detection"]["kappa"][name]) for one in every.values()]})
    names = [_word(name) for name in facts["ranges"]]
    crossed = [{"name": name, "cells": cells} for name, cells in zip(names, facts["dexa_by_estimate"], strict=True)]
    return {"rows": rows, "names": names, "crossed": crossed, "hips": facts["hips"]}


def _subgroup(made: Validation, row: Mapping[str, Any]) -> dict[str, Any]:
    part = _SPACING.get(row["part"], row["part"]).replace("kg/m2", "kg/m²")
    known = made.facts["bundle_makers"]
    if row["division"] == "maker" and known and row["part"] not in known:
        part += " *"
    cells = [said(row["figures"][name], _KINDS[name]) for name in SUBGROUP_ROWS]
    return {**row, "part": part, "cells": cells}


def _headline(made: Validation, precisions: Sequence[str]) -> dict[str, Any]:
    primary = precisions[0]
    every = {name: made.facts["precisions"][name]["headline"] for name in precisions}
    estimate, dexa, subject, _ = headline_data(made.kept, made.films, primary)
    facts = every[primary]
    rows = []
    for t in TARGETS:
        cells = [one["targets"][f"{t:g}"] for one in every.values()]
        label = f"T ≤ {_minus(f'{t:g}')}"
        rows.append({"label": f"{label}: AUROC", "cells": [said(one["auroc"]) for one in cells]})
        prevalence = f"{cells[0]['n_low']} of {facts['films']}"
        rows.append(
            {"label": f"{label}: AUPRC (prevalence {prevalence})", "cells": [said(one["auprc"]) for one in cells]}
        )
    shown: dict[str, Any] = {"facts": facts, "rows": rows, "points": [], "figure": None}
    marks = []
    for t, cuts in (facts["at_operating_points"] or {}).items():
        for cut, found in cuts.items():
            name = "low suspected" if cut == "low_suspected" else "low suspected or DXA advised"
            cells = [said(found[one], "share") for one in ("sensitivity", "specificity", "ppv", "npv")]
            counts = [found[one] for one in ("true_low", "missed", "false_low", "true_other")]
            shown["points"].append({"target": _minus(t), "called": name, "cells": cells, "counts": counts})
            if t == _LOW and None not in (found["sensitivity"]["value"], found["specificity"]["value"]):
                marks.append((1 - found["specificity"]["value"], found["sensitivity"]["value"]))
    if len(subject):
        targets = {f"{t:g}": np.asarray(dexa <= t) for t in TARGETS}
        svg = plots.roc(estimate, targets, marks, "ROC, by film: lowest T of its hips")
        shown["figure"] = {"alt": "ROC curves by film", "uri": data_uri(svg)}
    return shown


def _quantized(made: Validation, precision: str) -> dict[str, Any]:
    facts = made.facts["quantized"][precision]
    both = [one for one in made.kept if all(one.answers[name].bmd_gcm2 for name in ("fp32", precision))]
    sites = []
    for site, one in facts["sites"].items():
        fp32, other = (np.array([pair.answers[name].bmd_gcm2[site] for pair in both]) for name in ("fp32", precision))
        uri = data_uri(plots.shifts(fp32, other, precision, one["limits"])) if len(both) > 2 else None
        sites.append({"name": SITE_NAMES[site], "facts": one, "rows": _shift_rows(one, precision), "uri": uri})
    flips = [
        {**one, "what": _WHAT.get(one["what"], one["what"]), "from": _word(one["fp32"]), "to": _word(one[precision])}
        for one in facts["flips"]
    ]
    return {"precision": precision, "sites": sites, "flips": flips, "headline": facts["headline"]}


def _shift_rows(one: Mapping[str, Any], precision: str) -> list[tuple[str, str, str]]:
    """(label, measured, budget)."""
    found, limits = one["figures"], one["limits"] or {}
    largest = "–" if one["max_shift_gcm2"] is None else f"{one['max_shift_gcm2']:.4f}"

    def budget(name: str, text: str) -> str:
        return text.format(limits[name]) if limits else ""

    return [
        ("Mean shift, g/cm²", said(found["mean_shift_gcm2"], "fine"), budget("mean_shift_gcm2", "±{:.3f}")),
        ("95th percentile of its size", said(found["p95_shift_gcm2"], "size"), ""),
        ("99th percentile of its size", said(found["p99_shift_gcm2"], "size"), budget("p99_shift_gcm2", "{:.3f}")),
        ("Largest shift", largest, ""),
        (
            "Change of the RMSE to DEXA",
            said(found["rmse_change"], "change"),
            budget("rmse_change_upper95", "+{:.0%}").replace("%", " %"),
        ),
        (f"r to DEXA, {precision.upper()} − fp32", said(found["r_difference"], "fine"), ""),
        (
            "Hips in another WHO range",
            f"{one['hips_in_another_range']}",
            budget("flip_share", "{:.1%}").replace("%", " %"),
        ),
    ]


_WHAT = {**{site: f"WHO range, {name.lower()}" for site, name in SITE_NAMES.items()}, "band": "headline"}


def _word(code: str | None) -> str:
    if code in WHO_RANGES:
        return _minus(WHO_RANGES[code].removeprefix("WHO range: "))
    return HEADLINES[code].partition(":")[0] if code in HEADLINES else (code or "none").replace("_", " ")
