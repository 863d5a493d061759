"""How estimates follow true changes: the slope of estimated on true change, from hips with films and DEXA over years.

An estimate that pulls to the mean understates a loss. DEXA's own error would pull the slope toward 0 as well, so its
known precision is taken out of the variance of its changes (method of moments; Fuller, Measurement Error Models, 1987,
1.2): slope = cov(estimate, DEXA) / (var(DEXA) - its error variance).
"""

import numpy as np

from bmd_edge.follow.repeatability import LongitudinalSlope
from bmd_edge.sites import SITES
from calibration.repeat.repeated_films import Hips
from calibration.statistics.agreement import PRECISION_CV
from calibration.statistics.bootstrap import F64, Figure, by_subject

LEAST_DAYS, MIN_SUBJECTS = 365, 30


def changes_with_dexa(hips: Hips) -> tuple[list[str], F64, F64, F64]:
    """Of hips with film and DEXA a year or more apart, the first and the last: subject (n,), and by hip and site the
    change of the estimate, that of DEXA, and the variance of DEXA's error in it, (n, sites) g/cm2.
    """
    subjects: list[str] = []
    estimate: list[F64] = []
    dexa: list[F64] = []
    error: list[F64] = []
    cv = np.array(list(PRECISION_CV["hologic"].values()))
    for (subject, _), films in hips.items():
        known = [one for one in films if np.isfinite(one.dexa_gcm2).all()]
        if len(known) > 1 and (known[-1].taken - known[0].taken).days >= LEAST_DAYS:
            first, last = known[0], known[-1]
            subjects.append(subject)
            estimate.append(last.bmd_gcm2 - first.bmd_gcm2)
            dexa.append(last.dexa_gcm2 - first.dexa_gcm2)
            error.append((cv * first.dexa_gcm2) ** 2 + (cv * last.dexa_gcm2) ** 2)
    return subjects, _stacked(estimate), _stacked(dexa), _stacked(error)


def _stacked(values: list[F64]) -> F64:
    return np.stack(values) if values else np.empty((0, len(SITES)))


def longitudinal_slope(subjects: list[str], estimate: F64, true: F64, error: F64) -> LongitudinalSlope | None:
    """The slope with its 95 % interval by bootstrap over subjects; arrays (n,) of one site as above.

    None with fewer than 30 subjects, or where true changes are not known to exist beside DEXA's error.
    """
    if len(set(subjects)) < MIN_SUBJECTS:
        return None

    def figure(weights: F64) -> dict[str, F64]:
        n = weights.sum(-1)
        x, y = weights @ true / n, weights @ estimate / n
        both = weights @ (true * estimate) / n - x * y
        spread = weights @ (true * true) / n - x * x - weights @ error / n
        return {"slope": np.where(spread > 0, both / np.where(spread > 0, spread, 1.0), np.nan)}

    found: Figure = by_subject(figure, subjects)["slope"]
    if found.value is None or found.low is None or found.high is None or found.low <= 0:
        return None
    return LongitudinalSlope(round(found.value, 4), round(found.low, 4), round(found.high, 4), len(set(subjects)))
