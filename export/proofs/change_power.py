"""How often a change would be stated of hips whose films err as those of the phantom do, and from when on.

Two films of one hip stand for the first and the last of a series: they differ by their errors, and by a true change
that is added. All figures are synthetic.
"""

from collections.abc import Sequence
from itertools import permutations
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from bmd_edge.follow.change import LOSS_A_YEAR, comparisons_after, least_change
from bmd_edge.sites import SITES
from calibration.statistics.agreement import LSC_FACTOR
from calibration.statistics.bootstrap import F64, Figure, by_subject

VISITS = (2, 3, 4, 5, 6)
STUDY_SUBJECTS, DRAWS = 40, 100
"""A clinic's precision study, two films each, drawn so many times from the same hips; those judge, not are judged."""


class Errors(NamedTuple):
    """Of each unchanged hip its estimates (films, sites) and its true BMD, (n, sites); slopes (sites,); g/cm2."""

    estimates: tuple[F64, ...]
    true_gcm2: F64
    slope: F64


def modeled(errors: Errors, rates: Sequence[float], seed: int = 1) -> list[dict[str, Any]]:
    """The share of hips of which a change is stated, by yearly loss and number of yearly visits, with 95 %.

    The interval is the bootstrap's over subjects. Precision studies are drawn anew and judge all other hips.
    """
    rng = np.random.default_rng(seed)
    studies = [_study(errors, rng) for _ in range(DRAWS)]
    rows = []
    for rate in rates:
        for visits in VISITS:
            lost = 1 - (1 - rate) ** (visits - 1)
            shares = _shares(errors, lost, visits, studies)
            found = _mean_of(shares)
            none = found.low is None or found.high is None
            low, high = _exact(shares) if none else (found.low, found.high)
            rows.append(
                {"loss_a_year": rate, "visits": visits, "n": len(shares), "stated": round(float(shares.mean()), 4)}
                | {"low": round(float(low or 0.0), 4), "high": round(float(high or 0.0), 4)}
            )
    return rows


def _mean_of(shares: F64) -> Figure:
    def figure(weights: F64) -> dict[str, F64]:
        return {"stated": weights @ shares / weights.sum(-1)}

    return by_subject(figure, np.arange(len(shares)).astype(str).tolist())["stated"]


def _exact(shares: F64) -> tuple[float, float]:
    """For shares that are all 0 or all 1."""
    ends = stats.binomtest(round(shares.sum()), len(shares)).proportion_ci(0.95, method="exact")
    return float(ends.low), float(ends.high)


def _study(errors: Errors, rng: np.random.Generator) -> tuple[frozenset[int], F64]:
    """The hips of a precision study, and the upper limit of the SD it finds by site."""
    chosen = rng.choice(len(errors.estimates), min(STUDY_SUBJECTS, len(errors.estimates) // 2), replace=False)
    pairs = [rng.choice(len(errors.estimates[one]), 2, replace=False) for one in chosen]
    films = [errors.estimates[one][pair] for one, pair in zip(chosen, pairs, strict=True)]
    variance = np.mean([(one[0] - one[1]) ** 2 / 2 for one in films], axis=0)
    return frozenset(chosen.tolist()), np.sqrt(variance * len(chosen) / stats.chi2.ppf(0.05, len(chosen)))


def _shares(errors: Errors, lost: float, visits: int, studies: Sequence[tuple[frozenset[int], F64]]) -> F64:
    """By hip, how often a change is stated over all pairs of its films and all studies without it."""
    thresholds = _thresholds(studies, visits)
    found = []
    for number, films in enumerate(errors.estimates):
        others = np.array([number not in hips for hips, _ in studies])
        pairs = np.array(list(permutations(range(len(films)), 2)))
        change = films[pairs[:, 1]] - films[pairs[:, 0]] - errors.slope * errors.true_gcm2[number] * lost
        beyond = (np.abs(change)[:, None] > thresholds[others][None]).any(-1)
        found.append(beyond.mean())
    return np.array(found)


def _thresholds(studies: Sequence[tuple[frozenset[int], F64]], visits: int) -> F64:
    """The least significant change after so many visits, (studies, sites)."""
    return np.array([[least_change(sd, 1, 1, comparisons_after(visits - 1)) for sd in study] for _, study in studies])


def years_to_tell(errors: Errors, both: Sequence[tuple[F64, F64]]) -> dict[str, Any]:
    """Years until a loss of 1 % a year reaches the least significant change of one comparison (2.77 SD), by site.

    One film a visit, and two, from four films of a hip; the same of the mean of both hips of a pelvis. Each with the
    95 % interval of the SD (chi-squared).
    """
    found = {}
    for column, site in enumerate(SITES):
        a_year = LOSS_A_YEAR * errors.slope[column] * errors.true_gcm2[:, column].mean()
        films = [one[:, column] for one in errors.estimates]
        means = [((right + left) / 2)[:, column] for right, left in both]
        rows: dict[str, Any] = {}
        for name, hips in (("one hip", films), ("both hips", means)):
            rows[f"{name}, one film"] = _years(hips, a_year)
            rows[f"{name}, two films"] = _years(
                [one[:4].reshape(2, 2).mean(1) for one in hips if len(one) >= 4], a_year
            )
        rows["correlation of both hips"] = _correlation([(right[:, column], left[:, column]) for right, left in both])
        found[site] = rows
    return found


def _correlation(hips: Sequence[tuple[F64, F64]]) -> float | None:
    """Of the errors of both hips of a film: of what their estimates differ by from the mean of their films."""
    if not hips:
        return None
    right, left = (np.concatenate([pair[side] - pair[side].mean() for pair in hips]) for side in (0, 1))
    return round(float((right * left).mean() / np.sqrt((right**2).mean() * (left**2).mean())), 3)


def _years(visits: Sequence[F64], a_year: float) -> dict[str, float | int] | None:
    """From the estimates of each unchanged hip, one a visit; None where there are none."""
    degrees = sum(len(one) - 1 for one in visits)
    if not degrees:
        return None
    squares = sum(((one - one.mean()) ** 2).sum() for one in visits)
    sd, low, high = (float(np.sqrt(squares / q)) for q in (degrees, *stats.chi2.ppf(np.array([0.975, 0.025]), degrees)))
    years = [round(LSC_FACTOR * one / a_year, 1) for one in (sd, low, high)]
    return {
        "sd_gcm2": round(sd, 4), "degrees_of_freedom": degrees, "lsc_gcm2": round(LSC_FACTOR * sd, 4),
        "years": years[0], "low": years[1], "high": years[2],
    }  # fmt: skip
