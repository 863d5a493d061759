"""Each aim of a plan against what was measured, as the plan counts it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bmd_edge.measure.headline import lowest_t_score
from bmd_edge.measure.t_score import OSTEOPOROSIS_T, t_score
from bmd_edge.table.film_table import HipRow
from bmd_edge.table.spreadsheet import decimal
from calibration.pairs.pairs import Pair
from calibration.statistics import detection
from calibration.statistics.bootstrap import F64, Figure, by_subject
from calibration.study.aims import MIN_OF_A_KIND, Aim, aims
from calibration.study.frozen import StudyPlan
from calibration.validate.acceptance import Limit, verdicts
from calibration.validate.one_site import with_exact_shares
from calibration.validate.validate import Validation, rounded

WEIGHT_COLUMN = "x_weight_kg"
WEIGHTS_KG = (20.0, 300.0)
CALLED = {"sensitivity": ("low_suspected", "refer_for_dxa"), "specificity": ("low_suspected",)}
"""Headlines that call a film low: sensitivity is that of the cut for it, specificity that of the other."""


@dataclass(frozen=True, slots=True)
class Film:
    """A film whose DXA T-score is known: lowest DXA T; lowest estimated T and headline, None where it has no number."""

    film: str
    subject: str
    dexa_t: float
    estimated_t: float | None
    band: str | None
    age_years: float
    weight_kg: float | None


def endpoints(made: Validation, plan: StudyPlan, rows: Sequence[HipRow]) -> list[dict[str, Any]]:
    """What became of each aim of the plan, the primary first: measured with 95 % interval, number, verdict, its words.

    `rows` are those of the table, for the weight that OST needs. Verdicts as of `validate --accept`; a half-width is
    met or not shown, and its words say that of the interval alone.
    """
    films = films_of(made, rows)
    wanted = [aims(text)[0] for text in plan.aims]
    found = [rounded(_endpoint(one, made, films, plan)) for one in wanted]
    found = [{**one, "said": _said(aim, one)} for aim, one in zip(wanted, found, strict=True)]
    return [{"aim": text, "primary": k == 0, **one} for k, (text, one) in enumerate(zip(plan.aims, found, strict=True))]


def _said(aim: Aim, found: Mapping[str, Any]) -> str:
    """The verdict in words; "met" is no word for a figure that is only known well."""
    if not aim.half_width:
        return {"met": "met", "missed": "missed", "not_shown": "not shown"}[found["verdict"]]
    words = f"{'known' if found['verdict'] == 'met' else 'not known'} to +-{aim.margin:g}"
    value = found["measured"]["value"]
    if aim.expected is None or value is None:
        return words
    return f"{words}; it is {value:.3f}, {aim.expected:g} was expected"


def films_of(made: Validation, rows: Sequence[HipRow]) -> list[Film]:
    """Films of subjects whose T-score may be given and whose DEXA is known, in the order of the table."""
    primary = made.facts["primary"]
    weights = {row.film: weight_kg(row) for row in rows}
    reports = {one.film: one.reports[primary] for one in made.films}
    dexa: dict[str, float] = {}
    first: dict[str, Pair] = {}
    for one in made.kept:
        for site, value in one.dexa_gcm2.items():
            if value is not None and one.has_t_score:
                dexa[one.film] = min(dexa.get(one.film, np.inf), t_score(site, value))
                first.setdefault(one.film, one)
    found = []
    for film, one in first.items():
        lowest = lowest_t_score(estimate for hip in reports[film].hips for estimate in hip.estimates)
        band = reports[film].band
        age = one.age_years or 0.0  # known: a T-score may be given
        found.append(Film(film, one.subject, dexa[film], lowest, band, age, weights.get(film)))
    return found


def weight_kg(row: HipRow) -> float | None:
    """The subject's weight, None where it is missing or no weight of an adult in kg."""
    try:
        found = decimal(row.extra[WEIGHT_COLUMN])
    except (KeyError, ValueError):
        return None
    return found if WEIGHTS_KG[0] <= found <= WEIGHTS_KG[1] else None


def _endpoint(aim: Aim, made: Validation, films: Sequence[Film], plan: StudyPlan) -> dict[str, Any]:
    facts = made.facts
    sites = facts["precisions"][facts["primary"]]["sites"]
    match aim.figure:
        case "bias_gcm2" | "rmse_gcm2":
            (one,) = verdicts([Limit(aim.figure, "<=", aim.margin, aim.site)], sites)
            return {"measured": one["measured"], "n": one["hips"], "verdict": one["verdict"]}
        case "coverage":
            figure = sites[aim.site]["figures"]["coverage"]
            return {"measured": figure, "n": sites[aim.site]["hips"], "verdict": _within(aim, figure)}
        case "loa_gcm2":
            ends = [sites[aim.site]["figures"][name] for name in ("loa_low_gcm2", "loa_high_gcm2")]
            widest = max(ends, key=lambda one: (one["high"] or np.inf) - (one["low"] or 0.0))
            return {"measured": widest, "n": sites[aim.site]["hips"], "verdict": _narrow(aim, widest)}
        case "int8_rmse_change":
            return _int8(aim, facts)
        case "auroc":
            return _auroc(aim, films)
    return _share(aim, films, plan)


def _within(aim: Aim, figure: Mapping[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return "not_shown"
    if aim.least <= low and high <= aim.most:
        return "met"
    return "missed" if high < aim.least or low > aim.most else "not_shown"


def _narrow(aim: Aim, figure: Mapping[str, Any]) -> str:
    known = figure["low"] is not None and figure["high"] is not None
    return "met" if known and figure["high"] - figure["low"] <= 2 * aim.margin else "not_shown"


def _above(aim: Aim, figure: Mapping[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    if low is None or high is None:
        return "not_shown"
    return "met" if low >= aim.least else "missed" if high < aim.least else "not_shown"


def _int8(aim: Aim, facts: Mapping[str, Any]) -> dict[str, Any]:
    if "int8" not in facts["quantized"]:
        return {"measured": Figure(None)._asdict(), "n": 0, "verdict": "not_shown"}
    one = facts["quantized"]["int8"]["sites"][aim.site]
    figure = one["figures"]["rmse_change"]
    return {"measured": figure, "n": one["hips"], "verdict": _bound(figure, aim.margin)}


def _bound(figure: Mapping[str, Any], most: float) -> str:
    if figure["high"] is None:
        return "not_shown"
    return "met" if figure["high"] <= most else "missed" if figure["low"] > most else "not_shown"


def score_of(against: str) -> Callable[[Film], float | None]:
    """The comparator's score of a film, low for low BMD; None where it is not known."""
    if against == "age":
        return lambda one: -one.age_years
    return lambda one: None if one.weight_kg is None else 0.2 * (one.weight_kg - one.age_years)


def _auroc(aim: Aim, films: Sequence[Film]) -> dict[str, Any]:
    """AUROC of the films minus the comparator's, T <= -2.5, on the films that have both; paired, by subject.

    With fewer than `MIN_OF_A_KIND` subjects of a kind it is not shown, as the plan counts on.
    """
    score = score_of(aim.against or "")
    both = [one for one in films if one.estimated_t is not None and score(one) is not None]
    film = np.array([one.estimated_t for one in both], np.float64)
    other = np.array([score(one) for one in both], np.float64)
    low = np.array([one.dexa_t <= OSTEOPOROSIS_T for one in both], np.bool_)

    def difference(weights: F64) -> dict[str, F64]:
        areas = [detection.areas(one, low, weights)["auroc"] for one in (film, other)]
        return {"difference": areas[0] - areas[1], "film": areas[0], "comparator": areas[1]}

    compared = by_subject(difference, [one.subject for one in both])
    figure = compared["difference"]._asdict()
    opposite = {"high": None if figure["low"] is None else -figure["low"], "low": -(figure["high"] or 0.0)}
    kinds = [len({one.subject for one, is_low in zip(both, low, strict=True) if is_low == kind}) for kind in (1, 0)]
    found = {
        "measured": figure,
        "film": compared["film"]._asdict(),
        "comparator": compared["comparator"]._asdict(),
        "n": len(both),
        "cases": int(low.sum()),
    }
    if min(kinds) < MIN_OF_A_KIND:
        why = f"{kinds[0]} subjects with low BMD and {kinds[1]} without, {MIN_OF_A_KIND} of each are the least"
        return {**found, "verdict": "not_shown", "why": why}
    return {**found, "verdict": _bound(opposite, aim.margin)}


def _share(aim: Aim, films: Sequence[Film], plan: StudyPlan) -> dict[str, Any]:
    """Sensitivity or specificity at the cut, T <= -2.5; a film without a number counts as the plan says."""
    counted = [one for one in films if one.band is not None or plan.refusals == "against"]
    low = np.array([one.dexa_t <= OSTEOPOROSIS_T for one in counted], np.bool_)
    called = np.array([_called(one, aim.figure) for one in counted], np.bool_)
    found = by_subject(lambda w: detection.two_way(called, low, w), [one.subject for one in counted])
    kind = low if aim.figure == "sensitivity" else ~low
    figure = with_exact_shares({aim.figure: found[aim.figure]}, {aim.figure: int(kind.sum())})[aim.figure]
    cells = {
        "true_low": called & low,
        "missed": ~called & low,
        "false_low": called & ~low,
        "true_other": ~called & ~low,
    }
    return {
        "measured": figure,
        "n": int(kind.sum()),
        "verdict": _above(aim, figure) if aim.floor else _narrow(aim, figure),
        "table": {name: int(cell.sum()) for name, cell in cells.items()},
        "without_a_number": sum(one.band is None for one in counted),
    }


def _called(one: Film, figure: str) -> bool:
    """Whether the film is called low; without a number the answer is the wrong one."""
    return one.dexa_t > OSTEOPOROSIS_T if one.band is None else one.band in CALLED[figure]
