"""Hips and their answers -> what became of each true status, and the figures of the intact ones, in groups."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.sites import SITES
from calibration.statistics.agreement import Data, figures
from calibration.statistics.bootstrap import F64, Bootstrap, by_subject
from calibration.statistics.quantiles import quantile
from calibration.validate.one_site import data_of, labelled, with_exact_shares
from calibration.validate.subgroups import PARTS, divided
from calibration.world.matching import ScoredHip
from calibration.world.truth import INTACT, STATUSES, UNKNOWN

MIN_SUBJECTS = 5
"""Of so many subjects a figure gets an interval here, for a set of foreign films may stand on a few CTs.

An interval of fewer than ten is too narrow, which the page says.
"""

_FEW = Bootstrap(min_subjects=MIN_SUBJECTS)

MIN_HIPS = 3
"""Two hips always lie on a line: r and slope need one more."""

CORE = ("head_center", "greater_trochanter", "lesser_trochanter")
"""Landmarks that are points, and not places along an axis."""

DIVISIONS: dict[str, Callable[[ScoredHip], str | None]] = {
    "style": lambda hip: hip.style or UNKNOWN,
    "style, unflagged": lambda hip: (hip.style or UNKNOWN) if hip.read and not hip.doubts else None,
    "maker": lambda hip: PARTS["maker"](hip.pair),
    "sex": lambda hip: PARTS["sex"](hip.pair),
    "age": lambda hip: PARTS["age"](hip.pair),
    "pose": lambda hip: hip.pose or UNKNOWN,
    "flag": lambda hip: ("flagged" if hip.doubts else "unflagged") if hip.read else None,
}

AMONG_READ = ("style, unflagged", "flag")
"""Divisions of the hips that have a number; shares of numbers and flags say nothing there."""


def statuses(hips: Sequence[ScoredHip]) -> list[dict[str, Any]]:
    """Of each true status: hips, found, read, read without a doubt, and why the others have no number."""
    rows = []
    for status in (*STATUSES, UNKNOWN):
        some = [hip for hip in hips if hip.status == status]
        if some:
            rows.append(
                {
                    "status": status,
                    "hips": len(some),
                    "found": sum(hip.found for hip in some),
                    "read": sum(hip.read for hip in some),
                    "read_unflagged": sum(hip.read and not hip.doubts for hip in some),
                    "codes": dict(Counter(hip.answer.reason for hip in some if not hip.read).most_common()),
                }
            )
    return rows


def groups(hips: Sequence[ScoredHip], precision: str) -> list[dict[str, Any]]:
    """The figures of all intact hips, and of every part of them."""
    intact = [hip for hip in hips if hip.status == INTACT]
    if not intact:
        return []
    parts = [("all", "hips", list(range(len(intact)))), *divided(intact, DIVISIONS)]
    return [
        {"division": division, "part": part, **group([intact[k] for k in mine], precision)}
        for division, part, mine in parts
    ]


def group(hips: Sequence[ScoredHip], precision: str) -> dict[str, Any]:
    """All that is said of some intact hips, with intervals by subject."""
    read = [hip for hip in hips if hip.read]
    return {
        "hips": len(hips),
        "subjects": len({hip.pair.subject for hip in hips}),
        "found": sum(hip.found for hip in hips),
        "read": len(read),
        "flagged": sum(bool(hip.doubts) for hip in read),
        "read_share": _share(hips, lambda hip: hip.read),
        "flagged_share": _share(read, lambda hip: bool(hip.doubts)),
        "landmarks": {"core": _landmarks(hips, CORE), **{name: _landmarks(hips, (name,)) for name in LANDMARKS}},
        "sites": {site: _site([hip.pair for hip in hips], site, precision) for site in SITES},
    }


def _share(hips: Sequence[ScoredHip], holds: Callable[[ScoredHip], bool]) -> dict[str, float | None]:
    held = np.array([holds(hip) for hip in hips], np.float64)

    def share(weights: F64) -> Mapping[str, F64]:
        with np.errstate(all="ignore"):
            return {"share": weights @ held / weights.sum(-1)}

    found = by_subject(share, [hip.pair.subject for hip in hips], _FEW)
    return with_exact_shares(found, {"share": len(hips)})["share"]


def _landmarks(hips: Sequence[ScoredHip], names: Sequence[str]) -> dict[str, Any]:
    """Median and 95th percentile of the errors of these landmarks together, mm."""
    errors = [(hip.errors_mm[name], hip.pair.subject) for hip in hips for name in names if name in hip.errors_mm]
    mm = np.array([error for error, _ in errors], np.float64)

    def spread(weights: F64) -> Mapping[str, F64]:
        return {"median_mm": quantile(mm, weights, 0.5), "p95_mm": quantile(mm, weights, 0.95)}

    found = by_subject(spread, [subject for _, subject in errors], _FEW)
    return {"n": len(errors), **{name: figure._asdict() for name, figure in found.items()}}


def _site(pairs: Sequence[Any], site: str, precision: str) -> dict[str, Any]:
    some = labelled(pairs, site, precision)
    subject = [one.subject for one in some]
    found = by_subject(partial(agreement, data_of(some, site, precision)), subject, _FEW)
    return {
        "hips": len(some),
        "subjects": len(set(subject)),
        "figures": with_exact_shares(found, {"coverage": len(some)}),
    }


def agreement(data: Data, weights: F64) -> dict[str, F64]:
    """r, RMSE, bias, slope of the estimate on the truth, coverage and mean full width of the 90 % interval.

    The slope is that of the least squares line of the estimate on DEXA (ideal 1): below 1 estimates are pulled to the
    middle. That of DEXA on the estimate, which a recalibration would mend, stands in a validation.
    """
    found = figures(data, weights)
    turned = figures(data._replace(x=data.y, y=data.x), weights)
    with np.errstate(all="ignore"):
        width = weights @ (data.high - data.low) / weights.sum(-1)
    line = {"r": found["r"], "slope_on_truth": turned["slope"]}
    if len(data.x) < MIN_HIPS:
        line = {name: np.full_like(values, np.nan) for name, values in line.items()}
    return {
        **line,
        **{name: found[name] for name in ("rmse_gcm2", "bias_gcm2", "coverage")},
        "width_gcm2": np.asarray(width),
    }
