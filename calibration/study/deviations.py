"""A finished validation beside the plan it was made for: every deviation by name, and what cannot be told."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from bmd_edge.table.film_table import HipRow, read_table, spelled_otherwise
from calibration.pairs.dexa_checks import named_rows
from calibration.pairs.finding import Finding, weight
from calibration.study.aims import OF_SUBJECTS, aims
from calibration.study.endpoints import WEIGHT_COLUMN, WEIGHTS_KG, endpoints, weight_kg
from calibration.study.frozen import CUTS, StudyPlan
from calibration.validate.validate import Validation, of_split

DEXA_MAKER_COLUMN = "x_dexa_maker"

CANNOT_TELL = (
    "whether the clock of the machine was right when the plan was frozen, or when figures were made",
    "whether these films were screened elsewhere, or in a run that was not named with --screened, before the plan",
    "whether other plans were frozen beside this one and not shown",
    "whether the films of the table are all that the plan asks for, or chosen among them",
    "whether right and left of a few subjects were exchanged between film and DEXA: most hips are too much alike",
    "whether the exclusions in words were kept: who chose the films answers for them",
)
"""What no file shows: the report says it beside the deviations."""


def against_plan(
    made: Validation,
    plan: StudyPlan,
    table: Path,
    split: str,
    *,
    verified: bool,
    signed: bool,
    earlier: Path | None = None,
) -> None:
    """Put the plan, its endpoints and its deviations into the facts and findings of a validation.

    Args:
        made: the validation.
        plan: the frozen plan.
        table: the film table, for dates and weights.
        split: which rows of it were validated.
        verified: whether the plan's signature was checked.
        signed: whether one lies beside the plan.
        earlier: where a validation.json from before may lie.
    """
    rows = of_split(table, read_table(table), split)
    found = list(deviations(made, plan, rows, earlier))
    if not verified:
        why = "The signature of the plan was not checked (--plan-key)" if signed else "This plan is not signed"
        sentence = f"{why}: who wrote it cannot be told."
        found.append(Finding("plan_not_verified", "note", sentence))
    facts = made.facts
    facts["plan"] = {
        "digest": plan.digest,
        "made": plan.made,
        "verified": verified,
        "signed": signed,
        "subjects": plan.subjects,
        "subjects_with_both_numbers": _with_both_numbers(made),
        "refusals": plan.refusals,
        "subgroups": list(plan.subgroups),
        "exclusions": list(plan.exclusions),
        "endpoints": endpoints(made, plan, rows),
        "deviations": [one.code for one in found],
        "cannot_tell": list(CANNOT_TELL),
    }
    for one in facts["plan"]["endpoints"]:
        if one["verdict"] != "met":
            of_films = aims(one["aim"])[0].figure in OF_SUBJECTS
            sentence = f"Planned aim {one['aim']}{', the primary endpoint' if one['primary'] else ''}"
            sentence += f", on {one['n']} films" * of_films + f": {one['said']}"
            sentence += f", {one['why']}." if "why" in one else "."
            severity, hips = "error" if one["primary"] else "warning", 0 if of_films else one["n"]
            found.append(Finding(f"aim_{one['verdict']}", severity, sentence, hips))
    facts["findings"] = [*map(asdict, sorted(found, key=weight)), *facts["findings"]]


def deviations(
    made: Validation, plan: StudyPlan, rows: Sequence[HipRow], earlier: Path | None = None
) -> Iterator[Finding]:
    """Everything in which the validation is not as planned; severity "error" where its figures are of something else
    than was planned.
    """
    yield from _another_bundle(made.facts, plan)
    yield from _seen_before(made, plan, earlier)
    yield from _too_few(made, plan)
    yield from _dates(plan, rows)
    yield from _dexa(plan, rows)
    yield from _added(made.facts, plan)
    if any("ost" in text for text in plan.aims) and (none := [row for row in rows if weight_kg(row) is None]):
        sentence = (
            f"OST needs the weight of every subject in the column {WEIGHT_COLUMN}, {WEIGHTS_KG[0]:g}-{WEIGHTS_KG[1]:g}"
            f" kg{spelled_otherwise(WEIGHT_COLUMN, none)}: {named_rows(none)} do not count for it."
        )
        yield Finding("plan_weights_missing", "warning", sentence, len(none))


def _another_bundle(facts: Mapping[str, Any], plan: StudyPlan) -> Iterator[Finding]:
    if facts["bundle_digest"] != plan.bundle_digest:
        sentence = (
            f"The plan is for bundle {plan.bundle} ({plan.bundle_digest[:16]}), measured was {facts['bundle']}"
            f" ({facts['bundle_digest'][:16]})."
        )
        yield Finding("plan_other_bundle", "error", sentence)
    if facts["primary"] != plan.precision:
        sentence = f"The plan is for {plan.precision}, shown first is {facts['primary']}: use the planned --device."
        yield Finding("plan_other_precision", "error", sentence)
    points = facts["precisions"][facts["primary"]]["headline"]["operating_points"]
    cuts = {name: round(points[name], 6) for name in CUTS} if points else None
    planned = plan.cuts and {name: round(value, 6) for name, value in plan.cuts.items()}
    if facts["recalibration"] is not None or cuts != planned:
        sentence = "The estimates or cuts are not those of the plan: a recalibration was used, or other cuts."
        yield Finding("plan_other_cuts", "error", sentence)


def _seen_before(made: Validation, plan: StudyPlan, earlier: Path | None) -> Iterator[Finding]:
    if datetime.fromisoformat(plan.made).timestamp() > datetime.now().timestamp():
        sentence = f"The plan says it was frozen {plan.made}, which is still to come: a clock is wrong, here or there."
        yield Finding("plan_in_the_future", "warning", sentence)
    before = set(plan.screened)
    films = tuple(sorted({one.film_id for one in made.pairs if one.film_id in before and one.film_id}))
    if films:
        hips = sum(one.film_id in before for one in made.pairs)
        sentence = "These films had been screened when the plan was frozen: their results may have been seen."
        yield Finding("plan_films_screened_before", "error", sentence, hips, films)
    if earlier and earlier.is_file() and earlier.stat().st_mtime < datetime.fromisoformat(plan.made).timestamp():
        sentence = "--out holds a validation from before the plan was frozen: results may have been seen."
        yield Finding("plan_after_results", "error", sentence)


def _too_few(made: Validation, plan: StudyPlan) -> Iterator[Finding]:
    numbers = _with_both_numbers(made)
    subjects = len({one.subject for one in made.pairs})
    if numbers < plan.subjects:
        sentence = (
            f"{numbers} subjects with both numbers, planned were {plan.subjects}; {subjects} subjects enrolled,"
            f" planned were {plan.enrolled}: the study is not finished, and an aim met so early may be met by chance."
        )
        yield Finding("plan_fewer_subjects", "error", sentence)
    several = subjects - len({one.film for one in made.pairs})
    if several < 0 and any(aims(text)[0].figure in OF_SUBJECTS for text in plan.aims):
        sentence = f"{-several} films more than subjects; the plan counts one film of a subject."
        yield Finding("plan_several_films", "note", sentence)


def _with_both_numbers(made: Validation) -> int:
    primary = made.facts["primary"]
    return len({one.subject for one in made.kept if one.answers[primary].bmd_gcm2 and any(one.dexa_gcm2.values())})


def _dates(plan: StudyPlan, rows: Sequence[HipRow]) -> Iterator[Finding]:
    missing = [row for row in rows if not (row.film_date and row.dxa_date)]
    if missing:
        sentence = (
            f"Film or DEXA without a date (columns film_date and dxa_date) in {named_rows(missing)}: whether"
            f" {plan.days} days lie between them at most cannot be told."
        )
        yield Finding("plan_dates_missing", "warning", sentence, len(missing))
    today = date.today()
    ahead = [row for row in rows if any(day and day > today for day in (row.film_date, row.dxa_date))]
    if ahead:
        sentence = (
            f"A date of film or DEXA is still to come in {named_rows(ahead)}: whether {plan.days} days lie between them"
            " at most cannot be told."
        )
        yield Finding("plan_dates_to_come", "warning", sentence, len(ahead))
    far = [row for row in rows if _days(row) > plan.days]
    if far:
        turned = sum(any(_days(one) <= plan.days for one in _day_and_month_exchanged(row)) for row in far)
        hint = f" With day and month of one date exchanged {turned} of them would be inside." if turned else ""
        sentence = (
            f"More than the {plan.days} days of the plan between film and DEXA in {named_rows(far)}; they are in the"
            f" figures.{hint}"
        )
        yield Finding("plan_outside_days", "warning", sentence, len(far))


def _days(row: HipRow) -> int:
    return abs((row.film_date - row.dxa_date).days) if row.film_date and row.dxa_date else 0


def _day_and_month_exchanged(row: HipRow) -> Iterator[HipRow]:
    for name in ("film_date", "dxa_date"):
        day = getattr(row, name)
        if day and day.day <= 12:
            yield replace(row, **{name: day.replace(month=day.day, day=day.month)})


def _dexa(plan: StudyPlan, rows: Sequence[HipRow]) -> Iterator[Finding]:
    other = [row for row in rows if row.scale and row.scale != plan.scale]
    if other:
        used = ", ".join(sorted({str(row.scale) for row in other}))
        sentence = f"DEXA of scale {used} in {named_rows(other)}, planned is {plan.scale}."
        yield Finding("plan_other_scale", "warning", sentence, len(other))
    measured = [row for row in rows if any(row.bmd_gcm2.values())]
    silent = [row for row in measured if not row.extra.get(DEXA_MAKER_COLUMN)]
    if silent:
        sentence = (
            f"The maker of the DEXA (column {DEXA_MAKER_COLUMN}) is not in {named_rows(silent)}"
            f"{spelled_otherwise(DEXA_MAKER_COLUMN, silent)}: whether it was {plan.dexa_maker}, as planned, cannot be"
            " told."
        )
        yield Finding("plan_dexa_maker_missing", "note", sentence, len(silent))
    makers = [
        row for row in measured if not _same(row.extra.get(DEXA_MAKER_COLUMN) or plan.dexa_maker, plan.dexa_maker)
    ]
    if makers:
        used = ", ".join(sorted({row.extra[DEXA_MAKER_COLUMN] for row in makers}))
        sentence = f"DEXA by {used} in {named_rows(makers)}, planned is {plan.dexa_maker}: another device, or spelling."
        yield Finding("plan_other_dexa_maker", "warning", sentence, len(makers))


def _same(maker: str, other: str) -> bool:
    return maker.casefold().split() == other.casefold().split()


def _added(facts: Mapping[str, Any], plan: StudyPlan) -> Iterator[Finding]:
    shown = {row["division"] for rows in facts["subgroups"].values() for row in rows}
    if added := sorted(shown - set(plan.subgroups)):
        sentence = f"Subgroups that the plan does not name, to be read as explored afterwards: {', '.join(added)}."
        yield Finding("plan_subgroups_added", "note", sentence)
    if missing := sorted(set(plan.subgroups) - shown):
        sentence = (
            f"Subgroups of the plan that the report does not show, as all hips are of one part: {', '.join(missing)}."
        )
        yield Finding("plan_subgroups_missing", "note", sentence)
    if facts["acceptance"]:
        limits = {f"{one['site']}.{one['figure']}{one['sense']}{one['value']:g}" for one in facts["acceptance"]}
        if more := sorted(limits - set(plan.aims)):
            sentence = f"Limits that the plan does not name (--accept): {', '.join(more)}."
            yield Finding("plan_limits_added", "note", sentence)
