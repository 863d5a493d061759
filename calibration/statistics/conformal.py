"""Split conformal quantiles of the error in units of the predicted spread.

With scores s_i = |estimate - DEXA| / spread of n hips that neither training nor quantization has seen, the interval
estimate +- q x spread covers a new hip of the same kind with probability >= coverage if q is the
ceil((n + 1) coverage)-th smallest score (Vovk 2005; Papadopoulos 2008 for the normalized score; Lei 2018, theorem 2.2).
"""

import math

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import UsageError


def conformal_scale(error_gcm2: NDArray[np.floating], spread_gcm2: NDArray[np.floating], coverage: float) -> float:
    """Multiplier of the predicted spread that gives an interval of the wanted coverage.

    Args:
        error_gcm2: (n,) estimate minus DEXA, or its magnitude, g/cm2.
        spread_gcm2: (n,) predicted spread of the same hips, g/cm2, > 0.
        coverage: 0..1, wanted share of hips inside the interval.

    Raises:
        UsageError: too few hips for this coverage, values that are not finite, or a spread that is not above 0.
    """
    scores = np.abs(np.asarray(error_gcm2, np.float64)) / np.asarray(spread_gcm2, np.float64)
    if not np.isfinite(scores).all() or (np.asarray(spread_gcm2) <= 0).any():
        raise UsageError("errors and spreads must be finite and spreads above 0")
    # 1e-9: (n + 1) * 0.9 in floating point must not round a whole number up
    rank = math.ceil((scores.size + 1) * coverage - 1e-9)
    if rank > scores.size:
        needed = math.ceil(coverage / (1 - coverage) - 1e-9)
        raise UsageError(f"an interval of {coverage:.0%} needs {needed} hips or more, there are {scores.size}")
    return float(np.partition(scores, rank - 1)[rank - 1])
