"""Intervals of a bundle: the conformal scale of each site, fitted for one precision's own answers.

All hips together are covered by 90 %, and no group of them, such as the films of one maker's processing, by less than
85 %: a scale for each group and the largest of all (group-conditional split conformal prediction, Vovk 2012). A place
where the films are like one group alone is then as safe as one where they are like the mixture.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.calibration import SiteCalibration
from calibration.statistics.conformal import conformal_scale

COVERAGE = 0.90
"""Share of hips that an interval is to hold, in bundles and in recalibrations."""

GROUP_COVERAGE = 0.85
"""The same of the hips of the worst group."""

GROUP_HIPS = 50
"""Least hips of a group: below it the quantile is known to 10 % of coverage and worse (SD of a Beta(43, 8) is 5 %)."""


def fit_sites(
    bmd_gcm2: NDArray[np.floating],
    spread_gcm2: NDArray[np.floating],
    dexa_gcm2: NDArray[np.floating],
    sites: Sequence[str],
    coverage: float = COVERAGE,
    groups: Sequence[str] = (),
) -> dict[str, SiteCalibration]:
    """Interval of each site for one precision.

    Args:
        bmd_gcm2: (n, sites) estimates of the very model file the numbers are for.
        spread_gcm2: (n, sites) its predicted spreads, > 0.
        dexa_gcm2: (n, sites) DEXA; NaN where a hip has no label for a site.
        sites: names of the columns.
        coverage: wanted share of hips inside the interval.
        groups: (n,) each hip's group; those of `GROUP_HIPS` labelled hips or more are covered by `GROUP_COVERAGE` too.

    Raises:
        UsageError: as `conformal_scale`.
    """
    fitted = {}
    group = np.array(groups or [""] * len(bmd_gcm2))
    for column, site in enumerate(sites):
        labelled = ~np.isnan(dexa_gcm2[:, column])
        error = (bmd_gcm2 - dexa_gcm2)[labelled, column]
        spread, own = spread_gcm2[labelled, column], group[labelled]
        scales = [conformal_scale(error, spread, coverage)]
        for name, hips in zip(*np.unique(own, return_counts=True), strict=True):
            if hips >= GROUP_HIPS:
                scales.append(conformal_scale(error[own == name], spread[own == name], GROUP_COVERAGE))
        fitted[site] = SiteCalibration(max(scales), coverage, int(labelled.sum()))
    return fitted
