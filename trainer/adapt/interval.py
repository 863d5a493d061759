"""The interval of an adapted network: never narrower than its parent's, for no DEXA of the clinic says it may be."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]


def least_scale(parent_half_gcm2: Sequence[F64], spread_gcm2: Sequence[F64]) -> F64:
    """The least multiplier of the adapted network's spread at each site.

    Args:
        parent_half_gcm2: of several sets of films, half the parent's interval for each film, (n, sites) g/cm2.
        spread_gcm2: what the adapted network predicts for the same films, (n, sites) g/cm2, > 0.

    Returns:
        (sites,): with it, or more, the mean width over every set is the parent's or wider.
    """
    pairs = zip(parent_half_gcm2, spread_gcm2, strict=True)
    least: F64 = np.max([half.mean(0, np.float64) / own.mean(0, np.float64) for half, own in pairs], 0)
    return least
