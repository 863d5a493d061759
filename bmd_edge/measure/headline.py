"""The headline of a film: the lowest T-score of its hips against the bundle's cuts."""

from collections.abc import Iterable

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.t_score import exact_t

HEADLINES = {
    "low_suspected": "Low BMD suspected: confirm by DXA.",
    "refer_for_dxa": "The film cannot tell: refer for DXA.",
    "not_suspected": "Low BMD not suspected; low BMD is not ruled out.",
}
"""The headline of a film. Low BMD: T <= -2.5 at the lower of femoral neck and total hip, the lower of the sides."""


CUTS_TAKE = "30 subjects of 50 and more with low BMD by DXA and 30 without"
"""What the headline's cuts are set on at the least, those of a bundle as those of a recalibration."""


def lowest_t_score(found: Iterable[Estimate]) -> float | None:
    """The lowest T-score of all sites and sides, not rounded; None where T-scores are withheld or nothing is found."""
    found = list(found)
    if not found or any(estimate.t_score is None for estimate in found):
        return None
    return min(exact_t(estimate.site, estimate.bmd_gcm2) for estimate in found)


def headline(found: Iterable[Estimate], points: HeadlineCuts | None) -> str | None:
    """The headline of a film, a key of `HEADLINES`, from the estimates of all its hips.

    None without cuts, and where T-scores are withheld.
    """
    lowest = lowest_t_score(found)
    if points is None or lowest is None:
        return None
    if lowest <= points.low_suspected_t:
        return "low_suspected"
    return "refer_for_dxa" if lowest <= points.refer_for_dxa_t else "not_suspected"
