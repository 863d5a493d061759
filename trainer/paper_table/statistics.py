"""How estimates agree with DEXA, averaged over seeds, with 95 % intervals by bootstrap over subjects.

r, RMSE, bias and slope are functions of sums over hips, so a resample of subjects costs only a sum of their moments.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bmd_edge.sites import SITES

F64 = NDArray[np.float64]

RESAMPLES, CONFIDENCE, BOOTSTRAP_SEED = 2000, 0.95, 20260


@dataclass(frozen=True, slots=True)
class Hips:
    """The films that a row is measured on: labels_gcm2 (n, 2) in the order of `SITES`; subject (n,) names."""

    labels_gcm2: F64
    subject: tuple[str, ...]


def agreement(estimates_gcm2: F64, labels_gcm2: F64) -> dict[str, float]:
    """Agreement of one site.

    Args:
        estimates_gcm2: (seeds, n).
        labels_gcm2: (n,).

    Returns:
        Pearson r, RMSE, bias (estimate minus DEXA) and slope (OLS of DEXA on the estimate, ideal 1): means over seeds.
    """
    sums = _moments(estimates_gcm2, labels_gcm2, np.zeros(len(labels_gcm2), int)).sum(0)
    return {name: float(figure(sums).mean()) for name, figure in FIGURES.items()}


def auroc(estimates_gcm2: F64, low: NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve of finding `low` (n,) by a low estimate (seeds, n), mean over seeds; None without both
    kinds. The Mann-Whitney U statistic over the number of pairs.
    """
    if low.all() or not low.any():
        return None
    areas = [stats.mannwhitneyu(one[~low], one[low]).statistic / (low.sum() * (~low).sum()) for one in estimates_gcm2]
    return float(np.mean(areas))


def interval(name: str, estimates_gcm2: F64, hips: Hips, site: str) -> tuple[float, float]:
    """BCa interval of a figure of `FIGURES`, averaged over seeds, for estimates (seeds, n) of one site."""
    moments = _by_subject(estimates_gcm2, hips, site)
    return _bootstrap(lambda sums: FIGURES[name](sums).mean(-1), moments)


def paired_difference(name: str, first_gcm2: F64, second_gcm2: F64, hips: Hips, site: str) -> dict[str, float]:
    """First minus second in a figure averaged over seeds, on the same subjects, with its interval."""
    both = np.concatenate([_by_subject(first_gcm2, hips, site), _by_subject(second_gcm2, hips, site)], axis=1)
    n = len(first_gcm2)

    def difference(sums: F64) -> F64:
        figures = FIGURES[name](sums)
        apart: F64 = figures[..., :n].mean(-1) - figures[..., n:].mean(-1)
        return apart

    low, high = _bootstrap(difference, both)
    return {"difference": float(difference(both.sum(0))), "low": low, "high": high}


def _by_subject(estimates_gcm2: F64, hips: Hips, site: str) -> F64:
    codes = np.unique(np.array(hips.subject), return_inverse=True)[1]
    return _moments(estimates_gcm2, hips.labels_gcm2[:, SITES.index(site)], codes)


def _moments(estimate: F64, label: F64, codes: NDArray[np.int64]) -> F64:
    """(subjects, seeds, 6): sums over a subject's hips of 1, x, y, xx, yy, xy (x estimate, y label)."""
    center = label.mean()  # r and slope are differences of sums: keep the numbers small
    x, y = np.asarray(estimate, np.float64) - center, np.broadcast_to(label - center, estimate.shape)
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=2).transpose(1, 0, 2)
    sums = np.zeros((codes.max() + 1, *terms.shape[1:]))
    np.add.at(sums, codes, terms)
    return sums


def _centered(sums: F64) -> tuple[F64, F64, F64]:
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return xx - x * x / n, yy - y * y / n, xy - x * y / n


def _r(sums: F64) -> F64:
    xx, yy, xy = _centered(sums)
    return _ratio(xy, np.sqrt(xx * yy))


def _rmse(sums: F64) -> F64:
    n, _, _, xx, yy, xy = np.moveaxis(sums, -1, 0)
    return np.asarray(np.sqrt(np.maximum(xx - 2 * xy + yy, 0.0) / n))


def _bias(sums: F64) -> F64:
    return np.asarray((sums[..., 1] - sums[..., 2]) / sums[..., 0])


def _slope(sums: F64) -> F64:
    xx, _, xy = _centered(sums)
    return _ratio(xy, xx)


def _ratio(a: F64, b: F64) -> F64:
    """a / b; 0 where a network answers one number, which has no correlation."""
    return np.divide(a, b, out=np.zeros_like(b), where=b > 0)


FIGURES: dict[str, Callable[[F64], F64]] = {"r": _r, "rmse_gcm2": _rmse, "bias_gcm2": _bias, "slope": _slope}
"""Figures of sums (..., seeds, 6) as `_moments` orders them; each gives (..., seeds)."""


def _bootstrap(figure: Callable[[F64], F64], moments: F64) -> tuple[float, float]:
    """Interval of a figure of summed moments (subjects, k, 6) under resampling of subjects."""

    def statistic(index: NDArray[np.int64], axis: int) -> F64:
        assert axis == -1
        return figure(moments[index].sum(axis=-3))

    found = stats.bootstrap(
        (np.arange(len(moments)),),
        statistic,
        n_resamples=RESAMPLES,
        batch=100,
        vectorized=True,
        axis=-1,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)
