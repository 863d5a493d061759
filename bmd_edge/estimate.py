"""Raw network output -> Estimate: interval, T-score, WHO range, flags; and the headline of a film, its band.

A film estimate is not a DXA measurement; every output says so. BMD is on the Hologic scale, as the reference is.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bmd_edge.bundle.calibration import OperatingPoints, PrecisionCalibration
from bmd_edge.errors import HipRefused
from bmd_edge.sites import SITES


@dataclass(frozen=True, slots=True)
class Reference:
    """Young-adult mean and SD, and the lowest and highest value of community samples, all in g/cm2 (Hologic)."""

    mean_gcm2: float
    sd_gcm2: float
    lowest_gcm2: float
    highest_gcm2: float


REFERENCES = {
    "femoral_neck": Reference(0.858, 0.120, 0.386, 1.361),
    "total_hip": Reference(0.942, 0.122, 0.362, 1.563),
}
"""Mean and SD: NHANES III, white women of 20-29 years (Looker et al., Osteoporos Int 1998;8:468-489, as quoted by
public analyses), used for both sexes (ISCD official positions). Lowest and highest: US adults of 40 years and more,
Hologic (NHANES DXA codebooks)."""

REFERENCE_NAME = "NHANES III, white women 20-29 (Looker 1998)"

PLAUSIBLE_GCM2 = (0.25, 1.60)
"""Outside it an answer is refused, `implausible_estimate`; inside it is never clipped."""

MIN_T_SCORE_AGE_YEARS = 50
"""T-scores are for postmenopausal women and men of 50 and more (ISCD); DICOM does not know the menopause."""

T_SCORE_REASONS = {
    "age_unknown": "No T-score: age unknown.",
    "sex_unknown": "No T-score: sex unknown.",
    "under_50": "No T-score: under 50 years.",
}
"""Why a T-score is withheld."""

WHO_RANGES = {
    "at_or_above_minus_1": "WHO range: T \N{GREATER-THAN OR EQUAL TO} -1",
    "low_bone_mass_range": "WHO range: low bone mass",
    "osteoporosis_range": "WHO range: osteoporosis",
    "spans": "interval spans WHO ranges",
}
"""How the range the interval lies in is named."""

BANDS = {
    "low_suspected": "Low BMD suspected: confirm by DXA.",
    "refer_for_dxa": "The film cannot tell: refer for DXA.",
    "not_suspected": "Low BMD not suspected; low BMD is not ruled out.",
}
"""The headline of a film. Low BMD: T <= -2.5 at the lower of femoral neck and total hip, the lower of the sides."""


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


def estimates(
    bmd_gcm2: Sequence[float],
    spread_gcm2: Sequence[float],
    calibration: PrecisionCalibration,
    age_years: float | None,
    sex: str | None,
    flags: tuple[str, ...] = (),
) -> tuple[Estimate, ...]:
    """Turn the network's answer for one hip into one estimate per site.

    Args:
        bmd_gcm2: one value per site of `bmd_edge.sites.SITES`, in that order.
        spread_gcm2: predicted spread of each, same order, above 0.
        calibration: numbers of the very model file that answered.
        age_years: age at the film, None when unknown.
        sex: "F", "M" or None when unknown.
        flags: cautions about the film and the hip; they stand beside every estimate.

    Raises:
        HipRefused: `implausible_estimate` where an answer of either site lies outside 0.25-1.60 g/cm2, is not finite,
            or its spread is not above 0.
    """
    reason = t_score_reason(age_years, sex)
    if reason is None and sex == "F":
        flags = (*flags, "assumed_postmenopausal")
    result = []
    for site, value, spread in zip(SITES, map(float, bmd_gcm2), map(float, spread_gcm2), strict=True):
        if not PLAUSIBLE_GCM2[0] <= value <= PLAUSIBLE_GCM2[1] or not 0 < spread < math.inf:
            raise HipRefused("implausible_estimate", site)
        bmd, half = round(value, 4), calibration.sites[site].scale * spread
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


def t_score_reason(age_years: float | None, sex: str | None) -> str | None:
    """Why no T-score may be given, None if it may: women (taken as postmenopausal) and men of 50 and more."""
    if age_years is None:
        return "age_unknown"
    if age_years < MIN_T_SCORE_AGE_YEARS:
        return "under_50"
    return None if sex in ("F", "M") else "sex_unknown"


def t_score(site: str, bmd_gcm2: float) -> float:
    """T = (BMD - mean) / SD of `REFERENCES`, rounded to 0.1, halves away from zero."""
    reference = REFERENCES[site]
    exact = (bmd_gcm2 - reference.mean_gcm2) / reference.sd_gcm2
    # The inner rounding takes binary dust off exact halves: 0.792 is T = -0.55, not -0.5499999999999998.
    tenths = math.floor(round(abs(exact) * 10, 6) + 0.5)
    return math.copysign(tenths, exact) / 10 if tenths else 0.0


def lowest_t_score(found: Iterable[Estimate]) -> float | None:
    """The lowest T-score of all sites and sides, not rounded; None where T-scores are withheld or nothing is found."""
    found = list(found)
    if not found or any(estimate.t_score is None for estimate in found):
        return None
    return min(
        (estimate.bmd_gcm2 - REFERENCES[estimate.site].mean_gcm2) / REFERENCES[estimate.site].sd_gcm2
        for estimate in found
    )


def band(found: Iterable[Estimate], points: OperatingPoints | None) -> str | None:
    """The headline of a film, a key of `BANDS`, from the estimates of all its hips.

    None without operating points, and where T-scores are withheld.
    """
    lowest = lowest_t_score(found)
    if points is None or lowest is None:
        return None
    if lowest <= points.low_suspected_t:
        return "low_suspected"
    return "refer_for_dxa" if lowest <= points.refer_for_dxa_t else "not_suspected"


def who_range(estimate: Estimate) -> str | None:
    """The WHO range the whole 90 % interval lies in, a key of `WHO_RANGES`; None where the T-score is withheld."""
    if estimate.t_score is None:
        return None
    low, high = (_who_range(t_score(estimate.site, end)) for end in (estimate.low_gcm2, estimate.high_gcm2))
    return low if low == high else "spans"


def _who_range(t: float) -> str:
    """WHO 1994: T >= -1; -1 > T > -2.5 low bone mass; T <= -2.5 osteoporosis range."""
    if t >= -1.0:
        return "at_or_above_minus_1"
    return "low_bone_mass_range" if t > -2.5 else "osteoporosis_range"
