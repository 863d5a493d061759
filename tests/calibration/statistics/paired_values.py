"""Estimates beside DEXA of made-up subjects."""

import numpy as np

from calibration.statistics import agreement


def paired_cohort(n=200, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(0.75, 0.14, n).round(3)
    x = (0.72 + 0.8 * (y - 0.75) + rng.normal(0, 0.06, n)).round(4)
    half = rng.uniform(0.06, 0.12, n)
    return agreement.Data(x, y, x - half, x + half, np.full(n, 0.015))


def one(values):
    return {name: float(value[0]) for name, value in values.items()}
