"""Figures of a validation, recomputed by other libraries from its pairs.csv."""

import re

import numpy as np
from scipy import optimize, stats
from sklearn import metrics
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from bmd_edge.measure.t_score import t_score
from bmd_edge.sites import SITES

CASES = [(precision, site) for precision in ("fp32", "int8") for site in SITES]
CV = {"hologic": {"femoral_neck": 0.015, "total_hip": 0.013}, "lunar": {"femoral_neck": 0.020, "total_hip": 0.013}}
EXACT = {"abs": 2e-6}  # validation.json keeps six decimals


class Numbers:
    """Hips of pairs.csv with both numbers of a site."""

    def __init__(self, pairs, precision, site):
        name = f"{precision}_bmd_{site}_gcm2"
        self.rows = [row for row in pairs if row[name] and row[f"dexa_hologic_{site}_gcm2"] and not row["left_out"]]
        self.x, self.low, self.high = (
            np.array([float(row[f"{precision}_{part}_{site}_gcm2"]) for row in self.rows])
            for part in ("bmd", "low", "high")
        )
        self.y = np.array([float(row[f"dexa_hologic_{site}_gcm2"]) for row in self.rows])
        self.cv = np.array([CV[row["scale"]][site] for row in self.rows])
        self.subject = np.array([row["subject"] for row in self.rows])
        self.classed = np.array([float(row["age_years"]) >= 50 for row in self.rows])
        self.tx, self.ty = (np.array([t_score(site, value) for value in values]) for values in (self.x, self.y))


def values(facts):
    return {name: figure["value"] for name, figure in facts.items()}


def oracle(n):
    line, difference = OLS(n.y, add_constant(n.x)).fit(), n.x - n.y
    sd = np.std(difference, ddof=1)
    ratio = np.mean((n.cv * n.y) ** 2) / (np.mean(difference**2) - np.mean((n.cv * n.y) ** 2))
    deming = optimize.minimize(
        lambda ab: np.sum((n.y - ab[0] * n.x - ab[1]) ** 2 / (ratio + ab[0] ** 2)),
        line.params[::-1],
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-14},
    ).x
    return {
        "r": stats.pearsonr(n.x, n.y).statistic,
        "ccc": 2 * np.cov(n.x, n.y, ddof=0)[0, 1] / (n.x.var() + n.y.var() + difference.mean() ** 2),
        "rmse_gcm2": metrics.root_mean_squared_error(n.y, n.x),
        "mae_gcm2": metrics.mean_absolute_error(n.y, n.x),
        "bias_gcm2": difference.mean(),
        "sd_difference_gcm2": sd,
        "loa_low_gcm2": difference.mean() - stats.norm.ppf(0.975) * sd,
        "loa_high_gcm2": difference.mean() + stats.norm.ppf(0.975) * sd,
        "slope": line.params[1],
        "intercept_gcm2": line.params[0],
        "within_lsc": np.mean(np.abs(difference) <= 2.77 * n.cv * n.y),
        "coverage": np.mean((n.low <= n.y) & (n.y <= n.high)),
        "deming_slope": deming[0],
        "deming_intercept_gcm2": deming[1],
    }


def classes(t):
    return np.where(t >= -1, 0, np.where(t <= -2.5, 2, 1))


def inside(part, text):
    numbers = [float(word) for word in re.findall(r"[\d.]+(?= |$)", part.replace("kg/m2", ""))]
    if part == "unknown" or not text:
        return part == "unknown" and not text
    if part.startswith("under"):
        return float(text) < numbers[0]
    return float(text) >= numbers[0] and (part.endswith("more") or float(text) < numbers[1])
