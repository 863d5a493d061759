"""Estimates stretched until they spread as DEXA does.

A network that learned by least squares answers with the mean of all hips that look alike: its estimates lie closer
together than the truth, by the more the less a film shows, so that the lowest BMD is read too high. The reduced major
axis (geometric mean regression; Ricker, J Fish Res Board Can 1973;30:409-434) is the line through both means whose
slope is SD(DEXA) / SD(estimate). Stretched along it, an estimate has slope r on the truth instead of r squared; its
RMSE rises from sqrt(1 - r^2) to sqrt(2 (1 - r)) SDs of the truth: by 2.6 % at r = .90, by 8.5 % at r = .70.

Where hips are far stranger than people's, drawn to learn from, they count for the slope, but the line goes through the
means of the others: what is off on average should be off for the strange ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import BundleError
from bmd_edge.sites import SITES
from calibration.statistics.agreement import plain_figures

LEAST_R = 0.7
"""Below it stretching costs more than a tenth of the RMSE, and what it spreads is mostly error."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The stretched estimate is `slope` * estimate + `intercept_gcm2`, each (sites,)."""

    slope: NDArray[np.float64]
    intercept_gcm2: NDArray[np.float64]

    def sentence(self) -> str:
        """For the record of a bundle."""
        lines = zip(SITES, self.slope, self.intercept_gcm2, strict=True)
        return ", ".join(f"{site} {slope:.3f} x {intercept:+.3f} g/cm2" for site, slope, intercept in lines)


def fit_stretch(
    estimate: NDArray[np.floating], dexa: NDArray[np.float64], people: NDArray[np.bool_] | None = None
) -> Stretch:
    """The reduced major axis of each site, moved to the means of hips as they are met.

    Args:
        estimate: (n, sites) g/cm2, of hips that did not teach the network and do not judge it.
        dexa: (n, sites) g/cm2 of the same hips.
        people: (n,) which of them are as they are met; None, or none of them: all.

    Raises:
        BundleError: a site's correlation lies below `LEAST_R`.
    """
    found = np.asarray(estimate, np.float64)
    for k, site in enumerate(SITES):
        r = plain_figures(found[:, k], dexa[:, k])["r"]
        if not r >= LEAST_R:
            raise BundleError(
                f"--stretch: r = {r:.2f} at the {site.replace('_', ' ')}, {LEAST_R:g} or more is needed: most of what"
                " it would spread is error; export without it"
            )
    slope = dexa.std(axis=0) / found.std(axis=0)
    met = people if people is not None and people.any() else np.ones(len(found), bool)
    return Stretch(slope, dexa[met].mean(axis=0) - slope * found[met].mean(axis=0))
