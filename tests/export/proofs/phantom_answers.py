"""Answers of a bundle for phantom ROIs whose truth is known."""

import numpy as np

from bmd_edge.table.film_table import HipRow
from export.proofs.phantom_rois import RoiAnswers


def phantom_answers(n: int, seed: int, worse: str | None = None) -> RoiAnswers:
    """Hips of n subjects, men and women by turns; those of sex `worse` err twice as much as their spread says."""
    rng = np.random.default_rng(seed)
    rows = tuple(
        HipRow(film=f"{k}.png", subject=f"s{k}", side="RL"[k // 2 % 2], split="calibrate", sex="FM"[k % 2],
               age_years=float(rng.uniform(50, 90)), bmi=float(rng.uniform(18, 38)))
        for k in range(n)
    )  # fmt: skip
    dexa = rng.normal(0.75, 0.13, (n, 2))
    spread = rng.uniform(0.02, 0.06, (n, 2))
    error = rng.normal(0, 1, (n, 2)) * spread
    error[[row.sex == worse for row in rows]] *= 2
    return RoiAnswers(rows, dexa, dexa + error, spread, np.zeros((n, 1)), np.zeros((n, 7)))
