"""T-scores: the young adults they refer to, when one may be given, and the WHO ranges."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class YoungAdults:
    """Young-adult mean and SD, and the lowest and highest value of community samples, all in g/cm2 (Hologic)."""

    mean_gcm2: float
    sd_gcm2: float
    lowest_gcm2: float
    highest_gcm2: float


REFERENCES = {
    "femoral_neck": YoungAdults(0.858, 0.120, 0.386, 1.361),
    "total_hip": YoungAdults(0.942, 0.122, 0.362, 1.563),
}
"""Mean and SD: NHANES III, white women of 20-29 years (Looker et al., Osteoporos Int 1998;8:468-489, as quoted by
public analyses), used for both sexes (ISCD official positions). Lowest and highest: US adults of 40 years and more,
Hologic (NHANES DXA codebooks)."""

REFERENCE_NAME = "NHANES III, white women 20-29 (Looker 1998)"

MIN_T_SCORE_AGE_YEARS = 50
"""T-scores are for postmenopausal women and men of 50 and more (ISCD); DICOM does not know the menopause."""

T_SCORE_REASONS = {
    "age_unknown": "No T-score: age unknown.",
    "sex_unknown": "No T-score: sex unknown.",
    "under_50": "No T-score: under 50 years.",
    "not_shown": "No T-score: the bundle is not shown to know more than age, sex and size of the hip say.",
}
"""Why a T-score is withheld."""

OSTEOPOROSIS_T = -2.5
WHO_CUTS = (-1.0, OSTEOPOROSIS_T)
"""WHO 1994: low bone mass below T = -1, osteoporosis range at and below T = -2.5, of T-scores rounded to 0.1."""

SHOWN_CUTS = {-1.0: -1.05, OSTEOPOROSIS_T: -2.45}
"""Where the range that is shown changes: the exact T-score at and below which the rounded one lies beyond each cut."""

RANGES = ("at_or_above_minus_1", "low_bone_mass_range", "osteoporosis_range")
"""Ranges of the WHO, the highest first: what an interval, a T-score or a DEXA can lie in."""

WHO_RANGES = {
    "at_or_above_minus_1": "WHO range: T \N{GREATER-THAN OR EQUAL TO} -1",
    "low_bone_mass_range": "WHO range: low bone mass",
    "osteoporosis_range": "WHO range: osteoporosis",
    "spans": "interval spans WHO ranges",
}
"""How the range the interval lies in is named."""


def t_score_reason(age_years: float | None, sex: str | None) -> str | None:
    """Why no T-score may be given, None if it may: women (taken as postmenopausal) and men of 50 and more."""
    if age_years is None:
        return "age_unknown"
    if age_years < MIN_T_SCORE_AGE_YEARS:
        return "under_50"
    return None if sex in ("F", "M") else "sex_unknown"


def exact_t(site: str, bmd_gcm2: float) -> float:
    """T = (BMD - mean) / SD of `REFERENCES`, not rounded."""
    reference = REFERENCES[site]
    return (bmd_gcm2 - reference.mean_gcm2) / reference.sd_gcm2


def bmd_at(site: str, t: float) -> float:
    """The BMD in g/cm2 whose exact T-score is `t`."""
    reference = REFERENCES[site]
    return reference.mean_gcm2 + t * reference.sd_gcm2


def t_score(site: str, bmd_gcm2: float) -> float:
    """The T-score as it is shown: `exact_t` rounded to 0.1, halves away from zero."""
    exact = exact_t(site, bmd_gcm2)
    # The inner rounding takes binary dust off exact halves: 0.792 is T = -0.55, not -0.5499999999999998.
    tenths = math.floor(round(abs(exact) * 10, 6) + 0.5)
    return math.copysign(tenths, exact) / 10 if tenths else 0.0


def who_range_of_t(t: float) -> str:
    """WHO 1994: T >= -1; -1 > T > -2.5 low bone mass; T <= -2.5 osteoporosis range."""
    low_bone_mass, osteoporosis = WHO_CUTS
    if t >= low_bone_mass:
        return "at_or_above_minus_1"
    return "low_bone_mass_range" if t > osteoporosis else "osteoporosis_range"


def shown_range(site: str, bmd_gcm2: float) -> str:
    """The WHO range that a reader sees for an estimate: of BMD rounded to 0.0001 and its T-score rounded to 0.1."""
    return who_range_of_t(t_score(site, round(bmd_gcm2, 4)))


def who_cuts_passed(site: str, bmd_gcm2: float) -> int:
    """How many of `WHO_CUTS` an estimate lies beyond as a reader sees it: 0, 1 or 2."""
    return RANGES.index(shown_range(site, bmd_gcm2))
