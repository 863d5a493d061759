"""Control charts: one multivariate EWMA for each group of features, and their limits by simulation.

MEWMA (Lowry, Woodall, Champ and Rigdon, Technometrics 1992;34:46-53): z_t = w x_t + (1 - w) z_{t-1} over scores x of
mean 0 and covariance 1; alarm where T2 = z'z (2 - w) / w exceeds the limit. It sees a small lasting shift in any
direction. The limits are quantiles of what resampled reference studies reach, so nothing is taken for Gaussian; run
lengths are aimed higher than promised, since the reference itself is a sample (Jensen et al., J Qual Technol
2006;38:349-364).
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.table.film_table import HipRow
from calibration.drift.studies import F64, Seen, of_rows
from calibration.drift.watched_features import DriftReference, measure, to_dict

WEIGHT = 0.03
ARL_AIMED = 60_000
"""Films between false alarms over all charts together, when the limits are set; 10,000 are promised."""

_RUNS, _STEPS = 4_000, 1_500


def reference_of(rows: Sequence[HipRow], *answers: NDArray[Any]) -> dict[str, Any] | None:
    """What an export stores for one precision: reference and limits from hips of a film table.

    `answers` as for `calibration.drift.studies.of_rows`. None with fewer than 100 subjects.
    """
    seen = of_rows(rows, *answers)
    found = measure(seen)
    return None if found is None else to_dict(with_limits(found, seen))


def with_limits(reference: DriftReference, seen: Seen, seed: int = 0) -> DriftReference:
    """Set the control limits of all charts by resampling the reference's own studies; deterministic."""
    rng = np.random.default_rng(seed)
    each = ARL_AIMED * len(reference.watched)
    watched = {
        name: replace(reference.watched[name], limit=_limit(scores, each, rng))
        for name, scores in reference.scores(seen).items()
    }
    return replace(reference, watched=watched)


def _limit(scores: F64, arl: float, rng: np.random.Generator) -> float:
    """T2 that a chart stays below on average for `arl` studies: run lengths are close to geometric, so of many short
    charts a share of exp(-steps / arl) must never reach it.
    """
    z, top = np.zeros((_RUNS, scores.shape[1])), np.zeros(_RUNS)
    off = rng.normal(0.0, len(scores) ** -0.5, z.shape)  # the reference's mean is known to so much
    for _ in range(_STEPS):
        z += WEIGHT * (scores[rng.integers(len(scores), size=_RUNS)] + off - z)
        np.maximum(top, np.einsum("np,np->n", z, z), out=top)
    return float(np.quantile(top, math.exp(-_STEPS / arl))) * _factor()


def _factor() -> float:
    """1 over the variance that z settles at."""
    return (2 - WEIGHT) / WEIGHT


def t2(scores: F64) -> tuple[F64, F64]:
    """Charts over scores (n, ..., p) in order: T2 (n, ...) and the averages z (n, ..., p), from z = 0."""
    averages, z = np.empty_like(scores), np.zeros(scores.shape[1:])
    for place, score in zip(averages, scores, strict=True):
        z = z + WEIGHT * (score - z)
        place[:] = z
    return np.einsum("...p,...p->...", averages, averages) * _factor(), averages
