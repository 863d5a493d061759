"""Agreement of several trainings of one network: figures averaged over them, with intervals by subject.

Estimates (seeds, n) and DEXA (n,) of one site in g/cm2; subject (n,) names whose hip each is.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibration.statistics.agreement import of_sums, products
from calibration.statistics.bootstrap import F64, Bootstrap, by_subject
from calibration.statistics.detection import areas

FIGURES = ("r", "rmse_gcm2", "bias_gcm2", "slope")
HOW = Bootstrap(seed=20260, min_subjects=2)


def agreement(estimates_gcm2: F64, dexa_gcm2: F64) -> dict[str, float]:
    """Pearson's r, RMSE, bias (estimate minus DEXA) and slope (OLS of DEXA on the estimate, ideal 1)."""
    weights = np.ones(len(dexa_gcm2))
    return {name: float(_each(name, estimates_gcm2, dexa_gcm2, weights).mean()) for name in FIGURES}


def auroc(estimates_gcm2: F64, low: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve of finding `low` (n,) by a low estimate; None without both kinds."""
    if low.all() or not low.any():
        return None
    return float(np.mean([areas(one, low, np.ones((1, len(low))))["auroc"] for one in estimates_gcm2]))


def interval(name: str, estimates_gcm2: F64, dexa_gcm2: F64, subject: Sequence[str]) -> tuple[float, float]:
    """95 % interval of a figure of `FIGURES`; NaN where there is none."""

    def mean(weights: F64) -> dict[str, F64]:
        return {name: _each(name, estimates_gcm2, dexa_gcm2, weights).mean(-1)}

    found = by_subject(mean, subject, HOW)[name]
    return _known(found.low), _known(found.high)


def paired_difference(
    name: str, first_gcm2: F64, second_gcm2: F64, dexa_gcm2: F64, subject: Sequence[str]
) -> dict[str, float]:
    """First minus second in a figure, on the same resampled subjects, with its interval."""

    def difference(weights: F64) -> dict[str, F64]:
        first, second = (_each(name, one, dexa_gcm2, weights).mean(-1) for one in (first_gcm2, second_gcm2))
        return {"difference": first - second}

    found = by_subject(difference, subject, HOW)["difference"]
    return {"difference": _known(found.value), "low": _known(found.low), "high": _known(found.high)}


def _each(name: str, estimates: F64, dexa: F64, weights: F64) -> F64:
    """A figure of every seed (..., seeds) for weights (..., n); 0 where a network answers one number."""
    center = dexa.mean()
    terms = products(estimates - center, np.broadcast_to(dexa - center, estimates.shape))
    sums = weights @ terms.transpose(2, 1, 0).reshape(len(dexa), -1)
    figure = of_sums(sums.reshape(*weights.shape[:-1], len(estimates), len(terms)), center)[name]
    return np.where(np.isnan(figure), 0.0, figure)


def _known(value: float | None) -> float:
    return np.nan if value is None else value
