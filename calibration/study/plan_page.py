"""A frozen plan as a page to print, and a draft in words for the terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bmd_edge.measure.t_score import REFERENCE_NAME
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.report.pages import SITE_NAMES, templates
from bmd_edge.system.files import replace_file
from calibration import validate
from calibration.study.aims import COMPARATOR_NAMES, Aim, aims
from calibration.study.frozen import StudyPlan
from calibration.study.power import with_margin
from calibration.study.sizes import MOST_SUBJECTS
from calibration.validate.reporting_items import ITEMS

_TEMPLATES = Path(__file__).parent / "templates", Path(validate.__file__).parent / "templates"
_REFUSALS = {
    "against": "count as wrong answers for sensitivity and specificity, and in no other figure",
    "left_out": "count in no figure, and are listed by reason",
}
_CALLED = "low is low suspected or DXA advised"
_CALLED_FIRMLY = "low is low suspected"
_T_SCORE = "the lowest of both sites and of the hips on the film, of DEXA and of estimates; one film of a subject"
NAMES = {
    "rmse_gcm2": "RMSE, g/cm2",
    "bias_gcm2": "bias, g/cm2",
    "int8_sd_gcm2": "SD of INT8 minus fp32 at a hip, g/cm2",
    "bmd_sd_gcm2": "SD of DEXA among subjects, g/cm2",
    "hips": "hips with both numbers per subject",
    "hip_r": "correlation of the errors of two hips",
    "left_out": "share of subjects without both numbers",
    "prevalence": "share with a DXA T-score of -2.5 or less",
    "coverage": "share inside the 90 % interval, of the worse site",
    "r_age": "correlation of DEXA and age",
    "r_ost": "correlation of DEXA and OST",
    "source": "from",
    "guessed": "guessed, neither measured nor given",
}
"""Assumptions as a reader sees them."""


def words(aim: Aim) -> str:
    """An aim in a sentence's half."""
    site = f"{SITE_NAMES[aim.site].lower()}: " if aim.site else ""
    margin, expected, other = f"{aim.margin:g}", f"{aim.expected or 0:g}", COMPARATOR_NAMES.get(aim.against or "")
    if aim.floor:
        called = _CALLED if aim.figure == "sensitivity" else _CALLED_FIRMLY
        return f"{aim.figure} for T <= -2.5 is at least {aim.least:g}, {expected} expected; {called}"
    return (
        site
        + {
            "bias_gcm2": f"the mean difference from DEXA lies between -{margin} and {margin} g/cm2",
            "rmse_gcm2": f"the RMSE is at most {margin} g/cm2",
            "loa_gcm2": f"each limit of agreement is known to +-{margin} g/cm2",
            "coverage": f"the 90 % interval covers a share of {aim.least:g} to {aim.most:g}",
            "sensitivity": f"sensitivity for T <= -2.5 is known to +-{margin}, {expected} expected; {_CALLED}",
            "specificity": f"specificity for T <= -2.5 is known to +-{margin}, {expected} expected; {_CALLED_FIRMLY}",
            "auroc": f"the AUROC for T <= -2.5 is not below that of {other} by more than {margin}",
            "int8_rmse_change": f"INT8 raises the RMSE by no more than {margin} of it",
        }[aim.figure]
    )


def said(draft: Mapping[str, Any]) -> Iterator[str]:
    """A draft line by line."""
    sizes = draft["sizes"]
    yield f"Enroll {sizes['enrolled']} subjects, one film each: {sizes['subjects']} with both numbers are needed."
    for one in sizes["aims"]:
        yield f"  {one['aim']}: {one['subjects']} with both numbers, {one['enrolled']} to enroll"
        yield f"    {words(aims(one['aim'])[0])}; {one['power_in_study']:.0%} likely in this study"
    yield f"All aims together: shown with at least {sizes['power_of_all_at_least']:.0%}. The first is the primary one."
    left_out = draft["assumptions"]["left_out"]
    for one in counted_wrong([aims(one["aim"])[0] for one in sizes["aims"]], left_out):
        yield from textwrap.wrap(one, 78, subsequent_indent="  ")
    if other := sizes["otherwise"]:
        yield "If your films are read worse, each aim would need:"
        yield from textwrap.wrap(_otherwise(other), 78, initial_indent="  ", subsequent_indent="  ")
        yield from (f"  {one['aim']}: {_needed(one)}" for one in other["aims"])
    for row in [*sizes["smaller"], *sizes["subgroups"]]:
        yield f"{row['part']}, {row['subjects']} with both numbers:"
        for one in row["shown"]:
            yield f"  {one['aim']}: {one['power']:.0%} likely; with {sizes['power']:.0%} still shown: {_still(one)}"
    yield from _expected_aurocs(sizes["comparators"])
    yield "It rests on (--assume NAME=VALUE gives what you know better, --pilot what your films have shown):"
    yield from (f"  {name}: {value}" for name, value in _assumed(draft["assumptions"]))
    yield RESEARCH_USE


def counted_wrong(wanted: Iterable[Aim], left_out: float) -> Iterator[str]:
    """What becomes of an expected sensitivity or specificity where films without a number count as wrong answers."""
    for one in wanted:
        if one.figure in ("sensitivity", "specificity") and one.expected and left_out:
            yield (
                f"{one.text}: with films without a number counted as wrong, {one.expected:g} of those with one come to"
                f" {one.expected * (1 - left_out):.2f} of all if the {left_out:g} without both numbers are all refused"
                " films: expect less, or lay down --refusals left_out."
            )


def _expected_aurocs(comparators: Mapping[str, Any]) -> Iterator[str]:
    for name, one in comparators.items():
        yield f"Expected AUROC: films {one['film']:.2f}, {COMPARATOR_NAMES[name]} {one['comparator']:.2f}"


def _still(one: Mapping[str, Any]) -> str:
    """The aim with the margin that is still shown, without the name of its figure."""
    (aim,) = aims(one["aim"])
    return "–" if one["margin"] is None else with_margin(aim, one["margin"]).text.partition(aim.figure)[2]


def _otherwise(other: Mapping[str, Any]) -> str:
    rmse = ", ".join(f"{SITE_NAMES[site].lower()} {value:g}" for site, value in other["rmse_gcm2"].items())
    said = (
        f"With {other['source'].partition(';')[0]}: RMSE {rmse} g/cm2, {other['coverage']:g} inside the 90 % interval."
    )
    taken = [one for row in other["aims"] if (one := aims(row["aim"])[0]).figure in ("sensitivity", "specificity")]
    if not taken:
        return said
    granted = " and ".join(f"{one.figure} {one.expected:g}" for one in taken).capitalize()
    return (
        f"{said} {granted}: taken for granted here, too; films that are read worse make less of it, and how much less"
        " is not known."
    )


def _needed(one: Mapping[str, Any]) -> str:
    if one["subjects"] is None:
        return f"no study of {MOST_SUBJECTS:,} subjects shows it"
    return f"{one['subjects']} with both numbers, {one['enrolled']} to enroll"


def _assumed(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    for name, value in facts.items():
        label = NAMES[name] if name in ("source", "guessed") else f"{NAMES[name]} ({name})"
        if name == "guessed":
            value = ", ".join(NAMES[one] for one in value) or "nothing"
        elif isinstance(value, dict):
            value = ", ".join(f"{SITE_NAMES[k].lower()} {v:g}" for k, v in value.items())
        found.append((label, f"{value:g}" if isinstance(value, float) else f"{value}"))
    return found


def write_page(path: Path, plan: StudyPlan) -> None:
    """Write the page, atomically; the same plan gives the same bytes."""
    sizes, other = plan.sizes, plan.sizes["otherwise"]
    parts = [*sizes["smaller"], *sizes["subgroups"]]
    cells = [[f"{_still(one)} ({100 * one['power']:.0f} %)" for one in part["shown"]] for part in parts]
    # A row an aim: a study has many aims and few parts, and a sheet is narrow.
    smaller = [
        {"label": one["aim"], "cells": of_parts}
        for one, of_parts in zip(sizes["aims"], zip(*cells, strict=True), strict=bool(parts))
    ]
    shown = [
        {
            **one,
            "text": one["aim"],
            "words": words(aims(one["aim"])[0]),
            "power": f"{100 * one['power_in_study']:.0f} %",
        }
        for one in sizes["aims"]
    ]
    summary = {
        "notice": "A plan: nothing has been measured for it.",
        "versions": {"bmd-edge": plan.version},
        "bundle": plan.bundle,
        "bundle_digest": plan.bundle_digest,
        "device": "plan",
        "precision": plan.precision,
    }
    with replace_file(path) as file:
        file.writelines(
            templates(*_TEMPLATES)
            .get_template("plan.html.j2")
            .generate(
                research_use=RESEARCH_USE,
                reference=REFERENCE_NAME,
                summary=summary,
                plan=plan,
                aims=shown,
                parts=[f"{part['part']}: {part['subjects']}" for part in parts],
                smaller=smaller,
                laid_down=_laid_down(plan),
                assumptions=_assumed(plan.assumptions),
                otherwise=_otherwise(other) if other else None,
                other_sizes=[{"label": one["aim"], "cells": [_needed(one)]} for one in other["aims"]] if other else [],
                expected=[*_expected_aurocs(sizes["comparators"])],
                items=[one for one in ITEMS if one.answer is None],
            )
        )


def _laid_down(plan: StudyPlan) -> list[tuple[str, str]]:
    wanted = [aims(text)[0] for text in plan.aims]
    refused = counted_wrong(wanted, plan.assumptions.get("left_out", 0)) if plan.refusals == "against" else ()
    cuts = "low suspected at an estimated T <= {low_suspected_t:.2f}, DXA advised at T <= {refer_for_dxa_t:.2f}"
    return [
        ("Cuts of the headline", cuts.format(**plan.cuts) if plan.cuts else "none: the bundle gives no headline"),
        ("T-score of a film", _T_SCORE),
        ("Called low", f"for sensitivity {_CALLED}; for specificity {_CALLED_FIRMLY}"),
        ("Subgroups", ", ".join(plan.subgroups) or "none; any other is explored afterwards"),
        ("Left out", "; ".join(plan.exclusions) or "nobody but whom the validation leaves out, each with a finding"),
        ("Days between film and DEXA", f"{plan.days} at most"),
        ("DEXA", f"{plan.dexa_maker}, scale {plan.scale}; compared on the Hologic scale"),
        ("Films without a number", " ".join([f"{_REFUSALS[plan.refusals]}.", *refused])),
        ("Films screened before this plan", _screened(plan)),
    ]


def _screened(plan: StudyPlan) -> str:
    return f"{len(plan.screened)}, named in the plan's file" if plan.screened else "none named"
