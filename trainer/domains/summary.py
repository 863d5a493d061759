"""Finished units -> adapt.json; needs the units' files only, no films and no network.

Figures are means over seeds, with 95 % intervals over subjects; differences are paired: the same subjects for both.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.sites import SITES
from calibration.statistics.bootstrap import by_subject
from calibration.statistics.over_seeds import HOW, agreement, interval, paired_difference
from trainer.domains.design import CURVE, NONE, ROWS, STATISTICS, TESTED, VALIDATION, Size, facts

F64 = NDArray[np.float64]
Units = Sequence[Mapping[str, Any]]
AGAINST = (NONE, STATISTICS, "self_training")
"""Rows that every row is compared with."""
POPULATIONS = ("both", "screening")
"""Hips of a domain that a figure is of: all, or, where there are others, those whose anatomy is that of the labels, so
that only their films are strange."""


def score(unit: Mapping[str, Any]) -> float:
    """Mean RMSE over the sites, g/cm2: what chooses on the validation domain; infinite of a trial that diverged."""
    return math.inf if unit["rmse_gcm2"] is None else float(np.mean(list(unit["rmse_gcm2"].values())))


def chosen(units: Units) -> dict[str, int]:
    """The trial of each row with the least mean RMSE on the validation domain."""
    best: dict[str, Mapping[str, Any]] = {}
    for unit in units:
        if unit["domain"] == VALIDATION and (unit["row"] not in best or score(unit) < score(best[unit["row"]])):
            best[unit["row"]] = unit
    return {row: unit["trial"] for row, unit in best.items()}


def curve_rows(units: Units) -> tuple[str, ...]:
    """The rows of the learning curve: statistics only, and the best other on the validation domain."""
    scores = {row: min(score(one) for one in units if one["domain"] == VALIDATION and one["row"] == row)
              for row in chosen(units) if row != STATISTICS}  # fmt: skip
    return (STATISTICS, *([min(scores, key=lambda row: scores[row])] if scores else []))


def summary(units: Units, hips: Mapping[str, Any], size: Size, command: str) -> dict[str, Any]:
    """The content of adapt.json from the finished units and what `write_films` kept."""
    kept = chosen(units)
    tested = [one for one in units if one["domain"] in TESTED and one["trial"] == kept.get(one["row"], 0)]
    return {
        "synthetic": True,
        "command": command,
        "budget": size.budget,
        "seeds": size.seeds,
        "unlabelled_hips": size.films,
        "training_minutes": round(sum(one["minutes"] for one in units if one["row"] != NONE)),
        "domains": facts(size),
        "trials": {
            row: [
                {"changes": one["changes"], "rmse_gcm2": _rounded(score(one)), "kept": one["trial"] == kept[row]}
                for one in units
                if one["domain"] == VALIDATION and one["row"] == row
            ]
            for row in kept
        },
        "rows": list(_rows([one for one in tested if one["films"] in (0, size.films)], hips)),
        "learning_curve": list(_curve(tested, hips)),
    }


def _rounded(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None


def _rows(tested: Units, hips: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for domain in TESTED:
        found = {row: _of(tested, domain, row) for row in (NONE, *ROWS)}
        for row, units in ((row, units) for row, units in found.items() if units):
            rivals = {name: found[name] for name in AGAINST if name != row and found[name]}
            there = POPULATIONS if "wide" in hips[domain]["population"] else POPULATIONS[:1]
            for population, column in product(there, range(len(SITES))):
                named = {"row": row, "domain": domain, "population": population, "site": SITES[column]}
                yield named | _figures(units, rivals, hips[domain], population, column)


def _of(units: Units, domain: str, row: str) -> list[Mapping[str, Any]]:
    return sorted((one for one in units if (one["domain"], one["row"]) == (domain, row)), key=lambda one: one["seed"])


def _figures(
    units: Units, rivals: Mapping[str, Units], hips: Mapping[str, Any], population: str, column: int
) -> dict[str, Any]:
    label = np.array([one[column] if one[column] is not None else np.nan for one in hips["labels_gcm2"]], np.float64)
    known = np.isfinite(label) & (np.array([population in (POPULATIONS[0], one) for one in hips["population"]]))
    label, subject = label[known], [name for name, there in zip(hips["subject"], known, strict=True) if there]
    site = SITES[column]

    def of(some: Units, key: str) -> F64:
        return np.array([one[key] for one in some])[:, known, column]

    bmd = of(units, "estimates_gcm2")
    low, high = interval("rmse_gcm2", bmd, label, subject)
    inside = np.abs(bmd - label) <= of(units, "half_gcm2")
    figures: dict[str, Any] = {"seeds": len(units), "n": len(subject)}
    figures |= {name: round(value, 4) for name, value in agreement(bmd, label).items()}
    figures |= {"rmse_low": round(low, 4), "rmse_high": round(high, 4), "coverage": round(float(inside.mean()), 4)}
    figures["source_rmse_gcm2"] = round(float(np.mean([one["source_rmse_gcm2"][site] for one in units])), 4)
    for name, others in rivals.items():
        both = min(len(units), len(others))
        first, second = bmd[:both], of(others[:both], "estimates_gcm2")
        apart = paired_difference("rmse_gcm2", first, second, label, subject)
        theirs = agreement(second, label)["rmse_gcm2"]
        covered = np.abs(second - label) <= of(others[:both], "half_gcm2")
        figures[f"less_{name}"] = {
            **{key: round(value, 5) for key, value in apart.items()},
            "percent": round(100 * apart["difference"] / theirs, 2),
            "coverage_drop": _drop(covered, inside[:both], subject),
        }
    return figures


def _drop(before: NDArray[np.bool_], after: NDArray[np.bool_], subject: Sequence[str]) -> dict[str, float | None]:
    """How much less is inside the interval, with its 95 % interval; both (seeds, n)."""
    less = before.mean(0) - after.mean(0)
    found = by_subject(lambda weights: {"drop": weights @ less / weights.sum(-1)}, subject, HOW)["drop"]
    return {name: None if value is None else round(value, 4) for name, value in found._asdict().items()}


def _curve(tested: Units, hips: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for domain, row in product(CURVE, sorted({one["row"] for one in tested} - {NONE})):
        of_row = _of(tested, domain, row)
        films = sorted({one["films"] for one in of_row})
        for count in films if len(films) > 1 else ():
            units = [one for one in of_row if one["films"] == count]
            for column, site in enumerate(SITES):
                label = np.array([one[column] for one in hips[domain]["labels_gcm2"]], np.float64)
                known = np.isfinite(label)
                bmd = np.array([one["estimates_gcm2"] for one in units])[:, known, column]
                figures = {key: round(value, 4) for key, value in agreement(bmd, label[known]).items()}
                yield {"row": row, "films": count, "domain": domain, "site": site, "seeds": len(units), **figures}
