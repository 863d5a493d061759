"""Intervals of a bundle: the conformal scale of each site, fitted for one precision's own answers."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.calibration import SiteCalibration
from calibration.statistics.conformal import conformal_scale

COVERAGE = 0.90
"""Share of hips that an interval is to hold, in bundles and in recalibrations."""


def fit_sites(
    bmd_gcm2: NDArray[np.floating],
    spread_gcm2: NDArray[np.floating],
    dexa_gcm2: NDArray[np.floating],
    sites: Sequence[str],
    coverage: float = COVERAGE,
) -> dict[str, SiteCalibration]:
    """Interval of each site for one precision.

    Args:
        bmd_gcm2: (n, sites) estimates of the very model file the numbers are for.
        spread_gcm2: (n, sites) its predicted spreads, > 0.
        dexa_gcm2: (n, sites) DEXA; NaN where a hip has no label for a site.
        sites: names of the columns.
        coverage: wanted share of hips inside the interval.

    Raises:
        UsageError: as `conformal_scale`.
    """
    fitted = {}
    for column, site in enumerate(sites):
        labelled = ~np.isnan(dexa_gcm2[:, column])
        error = (bmd_gcm2 - dexa_gcm2)[labelled, column]
        scale = conformal_scale(error, spread_gcm2[labelled, column], coverage)
        fitted[site] = SiteCalibration(scale, coverage, int(labelled.sum()))
    return fitted
