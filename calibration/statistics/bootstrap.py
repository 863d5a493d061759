"""95 % intervals by bootstrap over subjects: all hips and films of one person are drawn together.

A figure is a function of the hips' weights: a resample of subjects is how often each hip counts. Intervals are BCa
(Efron, J Am Stat Assoc 1987;82:171-185), by `scipy.stats.bootstrap`; percentiles where BCa does not exist.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

F64 = NDArray[np.float64]
Figures = Callable[[F64], Mapping[str, F64]]
"""Weights (..., n) of the hips -> name -> figure (...); NaN where a figure does not exist."""

RESAMPLES, CONFIDENCE, SEED = 2000, 0.95, 20261
MIN_SUBJECTS = 10
"""Below it a figure gets no interval: resamples of so few say too little."""

_BATCH = 250


class Figure(NamedTuple):
    """A figure with its 95 % interval; None where it does not exist (a correlation of one hip, an interval of shares
    that are all 1).
    """

    value: float | None
    low: float | None = None
    high: float | None = None


def by_subject(figures: Figures, subject: Sequence[str], least: int = MIN_SUBJECTS) -> dict[str, Figure]:
    """All figures of some hips with their intervals, from one set of resamples.

    Args:
        figures: called with weights of n hips; an unweighted figure is that of weights 1.
        subject: (n,) name of each hip's subject.
        least: of how many subjects a figure gets an interval.
    """
    if not len(subject):
        return {name: Figure(None) for name in figures(np.ones((1, 0)))}
    codes = np.unique(np.asarray(subject), return_inverse=True)[1]
    n = int(codes.max()) + 1
    values = figures(np.ones((1, len(codes))))
    names = list(values)
    low = high = np.full(len(names), np.nan)
    if n >= least:

        def statistic(index: NDArray[np.int64], axis: int) -> F64:
            assert axis == -1
            found = figures(_counts(index, n)[..., codes])
            return np.stack([found[name] for name in names])

        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a figure that never varies has no interval: it becomes None below
            found = stats.bootstrap(
                (np.arange(n),),
                statistic,
                n_resamples=RESAMPLES,
                batch=_BATCH,
                vectorized=True,
                axis=-1,
                confidence_level=CONFIDENCE,
                method="BCa",
                rng=np.random.default_rng(SEED),
            )
            low, high = (
                _percentile_instead(found, *end) for end in (("low", 1 - CONFIDENCE), ("high", 1 + CONFIDENCE))
            )
    return {name: Figure(_number(values[name][0]), _number(low[k]), _number(high[k])) for k, name in enumerate(names)}


def _percentile_instead(found: Any, end: str, twice: float) -> F64:
    """An end of the intervals; the percentile where BCa has none, for a quantile that no single subject moves."""
    draws, ends = found.bootstrap_distribution, getattr(found.confidence_interval, end)
    varies = np.isfinite(draws).all(-1) & (np.ptp(draws, axis=-1) > 0)
    percentile: F64 = np.quantile(draws, twice / 2, axis=-1)
    return np.where(np.isnan(ends) & varies, percentile, ends)


def _counts(index: NDArray[np.int64], n: int) -> F64:
    """How often each of n subjects is drawn: (..., m) numbers of subjects -> (..., n)."""
    rows = index.reshape(-1, index.shape[-1])
    flat = np.bincount((rows + n * np.arange(len(rows))[:, None]).ravel(), minlength=n * len(rows))
    return flat.reshape(*index.shape[:-1], n).astype(np.float64)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
