"""Raw network output -> Estimate: BMD with its interval, T-score, WHO range, flags.

A film estimate is not a DXA measurement; every output says so. BMD is on the Hologic scale, as the reference is.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.calibration import PrecisionCalibration
from bmd_edge.errors import HipRefused
from bmd_edge.measure.t_score import REFERENCES, shown_range, t_score, t_score_reason
from bmd_edge.sites import SITES

PLAUSIBLE_GCM2 = (0.25, 1.60)
"""Outside it an answer is refused, `implausible_estimate`; inside it is never clipped."""

_BySite = Sequence[float] | NDArray[np.floating]
_NO_DOUBT = (0.0,) * len(SITES)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Areal BMD of one site, estimated from a radiograph.

    `bmd_gcm2` with its 90 % interval `low_gcm2`..`high_gcm2`, in g/cm2 to 0.0001; the interval is never clipped.
    `t_score` is rounded to 0.1; where it is withheld it is None and `t_score_reason` holds a key of `T_SCORE_REASONS`.
    `flags` are keys of `bmd_edge.errors.FLAGS`.
    """

    site: str
    bmd_gcm2: float
    low_gcm2: float
    high_gcm2: float
    t_score: float | None
    t_score_reason: str | None
    flags: tuple[str, ...]


def over_scales(bmd_gcm2: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Answers of one hip at several scales (scales, sites) -> their mean and half their range, both (sites,), g/cm2.

    The mean is the estimate, since it hangs less on the pixel size than any of them; the half range is what the doubt
    in the pixel size does to it.
    """
    answers = np.asarray(bmd_gcm2, np.float64)
    return answers.mean(axis=0), np.ptp(answers, axis=0) / 2


def estimates(
    bmd_gcm2: _BySite,
    spread_gcm2: _BySite,
    calibration: PrecisionCalibration,
    age_years: float | None,
    sex: str | None,
    flags: tuple[str, ...] = (),
    scale_doubt_gcm2: _BySite = _NO_DOUBT,
    withheld: str | None = None,
) -> tuple[Estimate, ...]:
    """Turn the network's answer for one hip into one estimate per site.

    Args:
        bmd_gcm2: one value per site of `bmd_edge.sites.SITES`, in that order.
        spread_gcm2: predicted spread of each, same order, above 0.
        calibration: numbers of the very model file that answered.
        age_years: age at the film, None when unknown.
        sex: "F", "M" or None when unknown.
        flags: cautions about the film and the hip; they stand beside every estimate.
        scale_doubt_gcm2: half range of each over the doubt in its pixel size (`over_scales`), same order. The films
            that the conformal scale was fitted on have the pixel size they state, so this error is not in it. Both are
            independent, and their squares add; so an interval is never narrower than the conformal one.
        withheld: why the bundle has no T-scores for anybody (`VerifiedBundle.withheld`), None if it may.

    Raises:
        HipRefused: `implausible_estimate` where an answer of either site lies outside 0.25-1.60 g/cm2, is not finite,
            or its spread is not above 0.
    """
    reason = withheld or t_score_reason(age_years, sex)
    if reason is None and sex == "F":
        flags = (*flags, "assumed_postmenopausal")
    result = []
    for site, *answer in zip(SITES, bmd_gcm2, spread_gcm2, scale_doubt_gcm2, strict=True):
        value, spread, doubt = map(float, answer)
        if not PLAUSIBLE_GCM2[0] <= value <= PLAUSIBLE_GCM2[1] or not 0 < spread < math.inf:
            raise HipRefused("implausible_estimate", site)
        bmd, half = round(value, 4), math.hypot(calibration.sites[site].scale * spread, doubt)
        reference = REFERENCES[site]
        outside = not reference.lowest_gcm2 <= bmd <= reference.highest_gcm2
        result.append(
            Estimate(
                site=site,
                bmd_gcm2=bmd,
                low_gcm2=round(value - half, 4),
                high_gcm2=round(value + half, 4),
                t_score=t_score(site, bmd) if reason is None else None,
                t_score_reason=reason,
                flags=(*flags, "outside_reference_range") if outside else flags,
            )
        )
    return tuple(result)


def who_range(estimate: Estimate) -> str | None:
    """The WHO range the whole 90 % interval lies in, a key of `WHO_RANGES`; None where the T-score is withheld."""
    if estimate.t_score is None:
        return None
    low, high = (shown_range(estimate.site, end) for end in (estimate.low_gcm2, estimate.high_gcm2))
    return low if low == high else "spans"
