"""Operating points: the cuts that turn the lowest estimated T-score of a film into its headline.

A case is a subject with a DXA T-score of -2.5 or less at the lower of femoral neck and total hip, the lower of sides.
Each cut is an order statistic of one class alone, as in split conformal prediction: with n cases, a new case lies at or
below the ceil(0.9 (n + 1))-th smallest of them with a probability of 90 % or more, whatever its distribution (Vovk,
Gammerman and Shafer 2005; for the two classes apart: Vovk 2012, conditional validity). So sensitivity and specificity
are promised for new subjects, not only read off the fitted ones.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.measure.t_score import OSTEOPOROSIS_T, exact_t, t_score, t_score_reason
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import hologic_gcm2
from bmd_edge.table.film_table import HipRow

SENSITIVITY = SPECIFICITY = 0.90
MIN_SUBJECTS = 30
"""Of each class; below it the cuts would be the extremes of a few subjects."""

Floats = NDArray[np.float64]


def fit_headline_cuts(rows: Sequence[HipRow], bmd_gcm2: NDArray[np.floating]) -> HeadlineCuts | None:
    """Cuts for the answers of one precision.

    Args:
        rows: hips with DXA of every site, age and sex; those without a T-score are left out.
        bmd_gcm2: (n, sites) estimates of the same hips.

    Returns:
        None where fewer than 30 subjects with low BMD, or fewer than 30 without, can have a T-score.
    """
    estimated, low = lowest_by_subject(rows, bmd_gcm2)
    return cuts(estimated[low], estimated[~low])


def lowest_by_subject(rows: Sequence[HipRow], bmd_gcm2: NDArray[np.floating]) -> tuple[Floats, NDArray[np.bool_]]:
    """Of each subject who may have a T-score: the lowest estimated T-score, and whether DXA says low BMD.

    Arrays (subjects,) in the order of the subjects' names. Estimated T-scores are not rounded, those of DXA are rounded
    to 0.1 before they are classed.
    """
    estimated: dict[str, float] = {}
    dexa: dict[str, float] = {}
    for row, values in zip(rows, np.asarray(bmd_gcm2, np.float64), strict=True):
        if t_score_reason(row.age_years, row.sex) is None:
            exact = min(exact_t(site, value) for site, value in zip(SITES, values, strict=True))
            true = min(t_score(site, value) for site, value in hologic_gcm2(row).items() if value is not None)
            estimated[row.subject] = min(exact, estimated.get(row.subject, math.inf))
            dexa[row.subject] = min(true, dexa.get(row.subject, math.inf))
    names = sorted(estimated)
    low = np.array([dexa[name] <= OSTEOPOROSIS_T for name in names], bool)
    return np.array([estimated[name] for name in names]), low


def cuts(cases_t: Floats, others_t: Floats) -> HeadlineCuts | None:
    """The cuts from the lowest estimated T-scores of subjects with low BMD, (n,), and without, (m,).

    Where the cut of 90 % sensitivity lies below that of 90 % specificity, any value between them keeps both promises:
    there is one cut, in the middle, and no middle band.
    """
    if min(len(cases_t), len(others_t)) < MIN_SUBJECTS:
        return None
    sensitive = float(np.sort(cases_t)[math.ceil(SENSITIVITY * (len(cases_t) + 1) - 1e-9) - 1])
    specific = float(np.sort(others_t)[math.floor((1 - SPECIFICITY) * (len(others_t) + 1) + 1e-9) - 1])
    if specific >= sensitive:
        sensitive = specific = (sensitive + specific) / 2
    return HeadlineCuts(specific, sensitive, len(cases_t), len(others_t))
