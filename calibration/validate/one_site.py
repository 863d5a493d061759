"""All figures of one site in one precision."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import stats

from bmd_edge.measure.t_score import RANGES
from calibration.pairs.pairs import Pair
from calibration.statistics import agreement, detection, precision_error
from calibration.statistics.agreement import Data
from calibration.statistics.bootstrap import CONFIDENCE, F64, Figure, by_subject

SHARES = ("coverage", "within_lsc")
_LARGEST = 10
_MIN_BIN = 15  # hips in a point of the calibration curve


def labelled(kept: Sequence[Pair], site: str, precision: str) -> list[Pair]:
    """Hips that have both an estimate and a DEXA of this site."""
    return [one for one in kept if one.answers[precision].bmd_gcm2 and one.dexa_gcm2[site] is not None]


def selected(kept: Sequence[Pair], site: str, precision: str) -> tuple[list[Pair], Data]:
    """Hips that have both numbers, and the numbers."""
    some = labelled(kept, site, precision)
    return some, data_of(some, site, precision)


def data_of(pairs: Sequence[Pair], site: str, precision: str) -> Data:
    """The arrays of one site and precision, in the order of `pairs`, which all have both numbers."""
    answers = [one.answers[precision] for one in pairs]
    return Data(
        x=np.array([answer.bmd_gcm2[site] for answer in answers], np.float64),
        y=np.array([one.dexa_gcm2[site] for one in pairs], np.float64),
        low=np.array([answer.low_gcm2[site] for answer in answers], np.float64),
        high=np.array([answer.high_gcm2[site] for answer in answers], np.float64),
        cv=np.array([agreement.PRECISION_CV[one.scale or "hologic"][site] for one in pairs], np.float64),
    )


def site_figures(kept: Sequence[Pair], site: str, precision: str) -> dict[str, Any]:
    """Everything that is said about one site in one precision."""
    some, data = selected(kept, site, precision)
    subject = [one.subject for one in some]
    ratio = agreement.error_ratio(data)
    found = by_subject(
        lambda w: agreement.figures(data, w) | (agreement.deming(data, ratio, w) if ratio else {}), subject
    )
    limits = agreement.exact_limits(data.x - data.y)
    return {
        "hips": len(some),
        "distinct_hips": len({(one.subject, one.side) for one in some}),
        "films": len({one.film for one in some}),
        "subjects": len(set(subject)),
        "figures": with_exact_shares(found, {name: len(some) for name in SHARES}),
        "exact_limits": limits and {name: Figure(*value)._asdict() for name, value in limits._asdict().items()},
        "deming_error_ratio": ratio,
        "calibration_bins": _bins(data, subject),
        "detection": _site_detection(some, site, precision),
        "repeats": _repeats(kept, site, precision),
        "largest_differences": _largest(some, data),
    }


def _bins(data: Data, subject: Sequence[str]) -> list[dict[str, Any]]:
    """Mean DEXA, with its interval, and mean estimate of hips of about the same estimate; up to ten equal parts."""
    order = np.argsort(data.x, kind="stable")
    bins = []
    for part in np.array_split(order, min(max(len(order) // _MIN_BIN, 1), 10)):
        mean = by_subject(partial(_mean_dexa, data.y[part]), [subject[k] for k in part])
        bins.append(
            {"hips": len(part), "mean_estimate_gcm2": float(data.x[part].mean()), "dexa": mean["dexa"]._asdict()}
        )
    return bins


def _mean_dexa(dexa: F64, weights: F64) -> dict[str, F64]:
    with np.errstate(all="ignore"):
        return {"dexa": np.asarray(weights @ dexa / weights.sum(-1))}


def with_exact_shares(found: Mapping[str, Figure], shares: Mapping[str, int]) -> dict[str, dict[str, float | None]]:
    """Shares of hips that are all alike have no bootstrap interval; they get the exact one (Clopper & Pearson 1934)."""
    facts = {}
    for name, figure in found.items():
        if name in shares and figure.value in (0.0, 1.0) and shares[name]:
            n = shares[name]
            exact = stats.binomtest(round(figure.value * n), n).proportion_ci(CONFIDENCE, method="exact")
            figure = Figure(figure.value, float(exact.low), float(exact.high))
        facts[name] = figure._asdict()
    return facts


def _site_detection(some: Sequence[Pair], site: str, precision: str) -> dict[str, Any]:
    """Hips whose T-score may be given: areas for both targets, ranges of estimate and DEXA crossed, kappa."""
    classed = [one for one in some if one.has_t_score]
    data = data_of(classed, site, precision)
    estimate, dexa = (detection.t_scores(site, values) for values in (data.x, data.y))
    a, b = detection.range_of(estimate), detection.range_of(dexa)
    subject = [one.subject for one in classed]
    found = by_subject(lambda w: detection.kappas(a, b, w), subject)
    return {
        "hips": len(classed),
        "subjects": len(set(subject)),
        "targets": {f"{t:g}": areas_of(data.x, dexa <= t, subject) for t in detection.TARGETS},
        "ranges": list(RANGES),
        "dexa_by_estimate": detection.crossed(a, b),
        "kappa": {name: figure._asdict() for name, figure in found.items()},
    }


def areas_of(score: F64, low: detection.Bools, subject: Sequence[str]) -> dict[str, Any]:
    """`detection.areas` with intervals, and the number of hips or films to find."""
    found = by_subject(lambda w: detection.areas(score, low, w), subject)
    return {"n_low": int(low.sum()), **{name: figure._asdict() for name, figure in found.items()}}


def _repeats(kept: Sequence[Pair], site: str, precision: str) -> dict[str, Any]:
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in kept:
        if one.answers[precision].bmd_gcm2:
            groups[one.subject, one.side].append(one.answers[precision].bmd_gcm2[site])
    return precision_error.repeatability([np.array(values) for values in groups.values()])


def _largest(some: Sequence[Pair], data: Data) -> list[dict[str, Any]]:
    order = np.argsort(-np.abs(data.x - data.y), kind="stable")[:_LARGEST]
    return [
        {
            "film_id": some[k].film_id,
            "table_row": some[k].table_row,
            "side": some[k].side,
            "estimate_gcm2": float(data.x[k]),
            "dexa_gcm2": float(data.y[k]),
            "difference_gcm2": float(data.x[k] - data.y[k]),
        }
        for k in order
    ]
