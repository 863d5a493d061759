"""The same figures for parts of the cohort: where the estimate is worse, the average hides it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from bmd_edge.report.pages import SITE_NAMES
from calibration.pairs.finding import Finding
from calibration.pairs.pairs import Pair
from calibration.statistics.agreement import Data, figures
from calibration.statistics.bootstrap import by_subject
from calibration.validate.one_site import SHARES, with_exact_shares

SHOWN = ("bias_gcm2", "rmse_gcm2", "r", "slope", "within_lsc", "coverage")
MIN_COVERAGE_HIPS, COVERAGE_FLOOR = 400, 0.88
"""From so many hips on, a subgroup is a finding when the upper bound of its coverage lies below the floor."""

UNKNOWN = "unknown"
SIDES = {"R": "right", "L": "left"}
SEXES = {"F": "female", "M": "male", None: UNKNOWN}
_AGE_EDGES, _BMI_EDGES = (50, 60, 70, 80), (18.5, 25.0, 30.0)


def _band(value: float | None, edges: Sequence[float], unit: str) -> str:
    """ "under 50 years", "50 to 60 years" (60 not included), "80 years or more"."""
    if value is None:
        return UNKNOWN
    if value < edges[0]:
        return f"under {edges[0]:g}{unit}"
    for low, high in pairwise(edges):
        if value < high:
            return f"{low:g} to {high:g}{unit}"
    return f"{edges[-1]:g}{unit} or more"


def _order(edges: Sequence[float], unit: str) -> list[str]:
    inner = [_band(edge, edges, unit) for edge in edges]
    return [_band(edges[0] - 1, edges, unit), *inner, UNKNOWN]


PARTS: dict[str, Callable[[Pair], str]] = {
    "sex": lambda one: SEXES[one.sex],
    "age": lambda one: _band(one.age_years, _AGE_EDGES, " years"),
    "BMI": lambda one: _band(one.bmi, _BMI_EDGES, " kg/m2"),
    "maker": lambda one: one.maker or UNKNOWN,
    "spacing": lambda one: one.spacing_source or UNKNOWN,
    "side": lambda one: SIDES[one.side],
}
"""How the cohort is divided; a division with one part only says nothing and is left out."""

_ORDERS = {
    "sex": ["female", "male", UNKNOWN],
    "age": _order(_AGE_EDGES, " years"),
    "BMI": _order(_BMI_EDGES, " kg/m2"),
}


def subgroups(pairs: Sequence[Pair], data: Data) -> list[dict[str, Any]]:
    """Figures of every part, with intervals by subject; `pairs` and the arrays of `data` in the same order."""
    rows = []
    for division, part, mine in divided(pairs, PARTS):
        some = Data(*(values[mine] for values in data))
        subject = [pairs[k].subject for k in mine]
        found = by_subject(partial(_shown, some), subject)
        rows.append(
            {
                "division": division,
                "part": part,
                "hips": len(mine),
                "subjects": len(set(subject)),
                "figures": with_exact_shares(found, {name: len(mine) for name in SHARES}),
            }
        )
    return rows


def apart(site: str, rows: Sequence[Mapping[str, Any]], whole: Mapping[str, Any]) -> Iterator[Finding]:
    """The parts whose interval of the bias does not hold the bias of all hips, in one finding that says how many parts
    were compared: one interval in twenty misses by chance.
    """
    everyone = whole["figures"]["bias_gcm2"]["value"]
    compared = [row for row in rows if row["figures"]["bias_gcm2"]["low"] is not None]
    found = [
        f"{row['division']} {row['part']} {bias['value']:+.3f} ({bias['low']:+.3f} to {bias['high']:+.3f},"
        f" {row['hips']} hips)"
        for row in compared
        if not (bias := row["figures"]["bias_gcm2"])["low"] <= everyone <= bias["high"]
    ]
    if found:
        sentence = (
            f"{SITE_NAMES[site]}: the bias of {'; '.join(found)} is apart from that of all hips, {everyone:+.3f} g/cm2."
            f" {len(compared)} parts were compared: about {max(round(len(compared) / 20), 1)} would be by chance."
        )
        yield Finding("subgroup_apart", "warning", sentence)


T = TypeVar("T")


def divided(ones: Sequence[T], parts: Mapping[str, Callable[[T], str | None]]) -> Iterator[tuple[str, str, list[int]]]:
    """(division, part, places in `ones` of its members); a member that a division gives None is in no part of it."""
    for division, part_of in parts.items():
        names = [part_of(one) for one in ones]
        present = {name for name in names if name is not None}
        if len(present) < 2:
            continue
        for part in sorted(present, key=_ORDERS.get(division, sorted(present)).index):
            yield division, part, [k for k, name in enumerate(names) if name == part]


def _shown(data: Data, weights: Any) -> dict[str, Any]:
    found = figures(data, weights)
    return {name: found[name] for name in SHOWN}
