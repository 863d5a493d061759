"""One site's line of a recalibration, from paired films: shrunk to doing nothing, with a new interval.

One observation per subject, the mean of the hips. OLS of DEXA on the network's BMD gives a shift at the mean estimate
and a slope; each is shrunk by the positive-part factor max(0, 1 - (standard error / value)^2) (James and Stein 1961;
Efron and Morris, J Am Stat Assoc 1973;68:117-130): what the sample cannot tell from nothing does nothing, and a clear
deviation is taken nearly whole. Intervals are conformal quantiles of leave-one-subject-out scores (the jackknife of
Barber et al., Ann Stat 2021;49:486-507), so that a line does not judge itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import UsageError
from bmd_edge.measure.recalibration import RecalibrationLine
from bmd_edge.report.in_words import counted
from calibration.fit.intervals import COVERAGE
from calibration.statistics.conformal import conformal_scale

F64 = NDArray[np.float64]

MIN_SUBJECTS = 30
"""Below it the residual SD itself is not known to a quarter (its relative standard error is 1 / sqrt(2 (n - 2)))."""

HALF_WIDTH_GCM2 = 0.01
"""Half-width of the 95 % interval of the mean shift to aim at: a third of DXA's least significant change."""


@dataclass(frozen=True, slots=True)
class SiteFit:
    """A fitted line and how well it is known: `half_width_gcm2` of the mean shift at 95 %, and the subjects that would
    bring it to 0.01 g/cm2. `left_out_gcm2` is (n,): each hip's estimate, corrected by the line of all other subjects.
    """

    line: RecalibrationLine
    residual_sd_gcm2: float
    half_width_gcm2: float
    subjects_for_aim: int
    left_out_gcm2: F64


def fit_line(x: F64, y: F64) -> tuple[float, float]:
    """Slope and intercept of y on x, (n,) g/cm2 each, shrunk to 1 and 0."""
    middle, n = float(x.mean()), len(x)
    spread = float(np.sum((x - middle) ** 2))
    slope = float(np.sum((x - middle) * (y - y.mean()))) / spread
    residual = y - y.mean() - slope * (x - middle)
    variance = float(np.sum(residual**2)) / (n - 2)
    shift = _shrunk(float(y.mean()) - middle, variance / n)
    slope = 1 + _shrunk(slope - 1, variance / spread)
    return slope, middle + shift - slope * middle


def _shrunk(value: float, variance: float) -> float:
    return value * max(0.0, 1 - variance / value**2) if value else 0.0


def fit_site(
    bmd_gcm2: F64, spread_gcm2: F64, dexa_gcm2: F64, subjects: Sequence[str], coverage: float = COVERAGE
) -> SiteFit:
    """Recalibrate one site and precision.

    Args:
        bmd_gcm2, spread_gcm2: (n,) what the network says of n hips.
        dexa_gcm2: (n,) their DEXA on the Hologic scale.
        subjects: whose hips they are.
        coverage: wanted share of hips inside the interval.

    Raises:
        UsageError: fewer than 30 subjects, saying how many are needed; or a line outside the bounds
            of `bmd_edge.measure.recalibration`.
    """
    names, which = np.unique(np.asarray(subjects), return_inverse=True)
    counts = np.bincount(which)
    x, y = (np.bincount(which, values) / counts for values in (bmd_gcm2, dexa_gcm2))
    sd = float(np.std(y - x, ddof=1)) if len(names) > 1 else math.nan
    needed = subjects_needed(sd)
    if len(names) < MIN_SUBJECTS:
        few = f"{counted(len(names), 'subject')} with film and DEXA: too few, {MIN_SUBJECTS} are the least"
        aim = f", and {needed} give the mean shift to +-{HALF_WIDTH_GCM2} g/cm2 (SD of the differences {sd:.3f})"
        raise UsageError(few + aim * math.isfinite(sd))
    slope, intercept = fit_line(x, y)
    left_out, spread = _left_out(x, y, which, bmd_gcm2, spread_gcm2)
    scores = np.abs(left_out - dexa_gcm2) / spread
    scale = conformal_scale(scores, np.ones_like(scores), coverage)
    line = RecalibrationLine(slope, intercept, scale, coverage, len(bmd_gcm2), len(names))
    if not line.inside_bounds:
        raise UsageError(
            f"DEXA = {intercept:+.3f} + {slope:.2f} x estimate cannot be believed as a recalibration: check the table's"
            " scales, sides and subjects"
        )
    residual = y - intercept - slope * x
    half = 1.96 * sd / math.sqrt(len(names))
    return SiteFit(line, float(residual.std(ddof=2)), half, needed, left_out)


def subjects_needed(sd_gcm2: float) -> int:
    """Subjects that give the mean shift to +-0.01 g/cm2 at 95 %; at least 30."""
    if not math.isfinite(sd_gcm2):
        return MIN_SUBJECTS
    return max(MIN_SUBJECTS, math.ceil((1.96 * sd_gcm2 / HALF_WIDTH_GCM2) ** 2))


def _left_out(x: F64, y: F64, which: NDArray[np.intp], bmd: F64, spread: F64) -> tuple[F64, F64]:
    """Corrected estimate and spread of each hip, by the line of all other subjects."""
    corrected, spreads = np.empty_like(bmd), np.empty_like(bmd)
    for subject in range(len(x)):
        slope, intercept = fit_line(np.delete(x, subject), np.delete(y, subject))
        own = which == subject
        corrected[own], spreads[own] = intercept + slope * bmd[own], slope * spread[own]
    return corrected, spreads
