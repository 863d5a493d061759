"""Finding low bone mass: ROC and precision-recall areas, two-way tables at a cut, agreement of WHO ranges.

A low score means low bone. The truth comes from DEXA's T-score, rounded to 0.1 before it is classed, as the estimate's
is. Every figure is a function of weights (see `calibration.statistics.bootstrap`).
"""

import numpy as np
from numpy.typing import NDArray

from bmd_edge.measure.t_score import RANGES, WHO_CUTS, t_score, who_range_of_t
from calibration.statistics.bootstrap import F64

TARGETS = WHO_CUTS
"""T-scores at and below which a DEXA is to be found: low bone mass or less, osteoporosis range (WHO 1994)."""

Bools = NDArray[np.bool_]


def t_scores(site: str, bmd_gcm2: F64) -> F64:
    """T-scores of BMD (n,) on the Hologic scale, rounded to 0.1."""
    return np.array([t_score(site, float(value)) for value in bmd_gcm2], np.float64)


def range_of(t: F64) -> NDArray[np.int64]:
    """Index into `RANGES` of T-scores (n,): T >= -1, -1 > T > -2.5, T <= -2.5 (WHO 1994)."""
    return np.array([RANGES.index(who_range_of_t(float(one))) for one in t], np.int64)


def areas(score: F64, low: Bools, weights: F64) -> dict[str, F64]:
    """Area under the ROC curve and average precision of finding `low` (n,) by a low score (n,).

    AUROC is the share of pairs in the right order, ties half (Hanley & McNeil, Radiology 1982;143:29-36); average
    precision sums precision over the steps of recall, without interpolation; by chance it is the prevalence.
    """
    positive, negative = _by_score(score, weights * low), _by_score(score, weights * ~low)
    with np.errstate(all="ignore"):
        p, n = positive.sum(-1), negative.sum(-1)
        found, alarms = positive.cumsum(-1), negative.cumsum(-1)
        auroc = (positive * (n[..., None] - alarms + negative / 2)).sum(-1) / (p * n)
        precision = np.divide(found, found + alarms, out=np.zeros_like(found), where=found + alarms > 0)
        average = (positive * precision).sum(-1) / p
        return {
            "auroc": np.where(n > 0, auroc, np.nan),
            "auprc": np.where(n > 0, average, np.nan),
            "prevalence": p / (p + n),
        }


def _by_score(score: F64, weights: F64) -> F64:
    """Weights (..., n) summed over hips of equal score, lowest score first: (..., distinct scores)."""
    if not len(score):
        return np.zeros((*weights.shape[:-1], 1))
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))
    return np.add.reduceat(weights[..., order], starts, axis=-1)


def roc_curve(score: F64, low: Bools) -> tuple[F64, F64]:
    """(1 - specificity, sensitivity) at every cut, from (0, 0) to (1, 1); both kinds must be there."""
    positive, negative = (_by_score(score, np.where(kind, 1.0, 0.0)) for kind in (low, ~low))
    start = np.zeros(1)
    return (
        np.concatenate([start, negative.cumsum() / negative.sum()]),
        np.concatenate([start, positive.cumsum() / positive.sum()]),
    )


def two_way(called: Bools, low: Bools, weights: F64) -> dict[str, F64]:
    """Sensitivity, specificity, positive and negative predictive value of calling hips or films low."""
    cells = np.stack([called & low, ~called & low, called & ~low, ~called & ~low]).astype(np.float64)
    with np.errstate(all="ignore"):
        tp, fn, fp, tn = np.moveaxis(weights @ cells.T, -1, 0)
        return {
            "sensitivity": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "ppv": tp / (tp + fp),
            "npv": tn / (tn + fn),
        }


def kappas(estimate: NDArray[np.int64], dexa: NDArray[np.int64], weights: F64) -> dict[str, F64]:
    """Cohen's kappa of the WHO ranges of estimate and DEXA (n,), plain and linearly weighted.

    Cohen, Educ Psychol Meas 1960;20:37-46 and Psychol Bull 1968;70:213-220.
    """
    k = len(RANGES)
    cells = np.zeros((len(dexa), k * k))
    cells[np.arange(len(dexa)), dexa * k + estimate] = 1.0
    table = (weights @ cells).reshape(*weights.shape[:-1], k, k)
    with np.errstate(all="ignore"):
        table = table / table.sum((-2, -1), keepdims=True)
        chance = table.sum(-1)[..., :, None] * table.sum(-2)[..., None, :]
        apart = np.abs(np.arange(k)[:, None] - np.arange(k))
        return {
            name: 1 - (cost * table).sum((-2, -1)) / (cost * chance).sum((-2, -1))
            for name, cost in (("kappa", apart > 0), ("kappa_linear", apart))
        }


def crossed(estimate: NDArray[np.int64], dexa: NDArray[np.int64]) -> list[list[int]]:
    """Hips by range: rows are DEXA's, columns the estimate's, both in the order of `RANGES`."""
    k = len(RANGES)
    return np.bincount(dexa * k + estimate, minlength=k * k).reshape(k, k).tolist()
