"""Precision from repeated films of one hip, as densitometry states it for repeated scans (ISCD official positions).

The precision error is the root mean square of each hip's SD, weighted by its degrees of freedom (Gluer et al.,
Osteoporos Int 1995;5:262-270), the least significant change is 2.77 times it. Thirty degrees of freedom (30 hips
twice, 15 three times) make it dependable.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from calibration.statistics.agreement import LSC_FACTOR
from calibration.statistics.bootstrap import F64


def repeatability(values: Sequence[F64]) -> dict[str, float | int | None]:
    """Precision of groups of two or more estimates in g/cm2, each of one hip on several films.

    Returns hips, films, degrees of freedom; RMS-SD with its 95 % interval (chi-squared on the degrees of freedom,
    Gluer 1995), RMS coefficient of variation (share), LSC; None for the figures where no hip has several films.
    """
    groups = [np.asarray(group, np.float64) for group in values if len(group) > 1]
    degrees = sum(len(group) - 1 for group in groups)
    facts: dict[str, float | int | None] = {
        "hips": len(groups),
        "films": sum(map(len, groups)),
        "degrees_of_freedom": degrees,
    }
    names = ("rms_sd_gcm2", "rms_sd_low_gcm2", "rms_sd_high_gcm2", "rms_cv", "lsc_gcm2")
    if not groups:
        return facts | dict.fromkeys(names)
    sd = np.array([group.std(ddof=1) for group in groups])
    mean = np.array([group.mean() for group in groups])
    weights = np.array([len(group) - 1 for group in groups]) / degrees
    rms = float(np.sqrt(weights @ sd**2))
    low, high = (float(rms * np.sqrt(degrees / q)) for q in stats.chi2.ppf(np.array([0.975, 0.025]), degrees))
    cv = float(np.sqrt(weights @ (sd / mean) ** 2))
    return facts | dict(zip(names, (rms, low, high, cv, LSC_FACTOR * rms), strict=True))
