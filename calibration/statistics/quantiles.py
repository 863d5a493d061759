"""Quantiles of weighted values, for figures that a bootstrap draws anew."""

import numpy as np

from calibration.statistics.bootstrap import F64


def quantile(values: F64, weights: F64, share: float) -> F64:
    """The quantile of values (n,) that each stand as often as a whole weight (..., n) says; (...), NaN of nothing.

    Linear between neighbors: that of `numpy.quantile` of the values written out as often as they count.
    """
    n = weights.sum(-1)
    if not len(values):
        return np.full(n.shape, np.nan)
    order = np.argsort(values, kind="stable")
    ranked, reached = values[order], weights[..., order].cumsum(-1)
    place = share * np.maximum(n - 1, 0)
    below = np.floor(place)
    first, second = (ranked[(reached > rank[..., None]).argmax(-1)] for rank in (below, np.minimum(below + 1, n - 1)))
    return np.where(n > 0, first + (place - below) * (second - first), np.nan)
