"""How estimates agree with DEXA: correlation, error, calibration line, limits of agreement.

x is the film's estimate and y is DEXA, both in g/cm2 on the Hologic scale; differences are estimate minus DEXA. Every
figure is a function of weights (see `calibration.statistics.bootstrap`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calibration.statistics.bootstrap import F64

Z = float(stats.norm.ppf(0.975))

PRECISION_CV = {
    "hologic": {"femoral_neck": 0.015, "total_hip": 0.013},
    "lunar": {"femoral_neck": 0.020, "total_hip": 0.013},
    "norland": {"femoral_neck": 0.023, "total_hip": 0.013},
    "sbmd": {"femoral_neck": 0.015, "total_hip": 0.013},
}
"""Coefficient of variation of repeated DXA scans by scale and site; sBMD names no scanner and gets the strictest."""

LSC_FACTOR = 2.77
"""Least significant change in units of the precision error: 1.96 x sqrt(2) (ISCD official positions)."""


class Data(NamedTuple):
    """Hips of one site: arrays (n,). `cv` is the DXA's coefficient of variation, `low`..`high` the 90 % interval."""

    x: F64
    y: F64
    low: F64
    high: F64
    cv: F64


def error_ratio(data: Data) -> float | None:
    """Error variance of DEXA over that of the estimate: DXA's known precision, and what the RMSE leaves beside it.

    None where the difference is not larger than DXA's own error.
    """
    if not len(data.x):
        return None
    dexa = float(np.mean((data.cv * data.y) ** 2))
    rest = float(np.mean((data.x - data.y) ** 2)) - dexa
    return dexa / rest if rest > 0 else None


def figures(data: Data, weights: F64) -> dict[str, F64]:
    """Agreement of weighted hips, weights (..., n) -> each figure (...).

    Pearson's r; Lin's concordance correlation (Biometrics 1989;45:255-268); RMSE, MAE, bias (mean difference) and its
    SD; limits of agreement, bias -+ 1.96 SD (Bland & Altman, Stat Methods Med Res 1999;8:135-160); slope and intercept
    of the OLS line of DEXA on the estimate (ideal 1 and 0: the line that corrects an estimate; Deming's would read a
    false slope, for a predictor of least squares shrinks); share of hips within DXA's least significant change; share
    inside the 90 % interval.
    """
    x, y, low, high, cv = data
    difference = x - y
    center = y.mean() if len(y) else 0.0
    within = np.abs(difference) <= LSC_FACTOR * cv * y
    shares = np.stack([np.abs(difference), within, (low <= y) & (y <= high)])
    sums = weights @ np.concatenate([products(x - center, y - center), shares]).T.astype(np.float64)
    with np.errstate(all="ignore"):
        names = ("mae_gcm2", "within_lsc", "coverage")
        return of_sums(sums[..., :-3], center) | {
            name: sums[..., column] / sums[..., 0] for column, name in zip((-3, -2, -1), names, strict=True)
        }


def products(u: F64, v: F64) -> F64:
    """What is summed over hips, (6, ..., n): 1, u, v, uu, vv, uv of estimate and DEXA minus a common center.

    Variances are differences of such sums: a center near DEXA's mean keeps the numbers small.
    """
    return np.stack([np.ones_like(u), u, v, u * u, v * v, u * v])


def of_sums(sums: F64, center: float) -> dict[str, F64]:
    """Correlation, error and line from sums (..., 6) of `products`; each (...), NaN where it does not exist."""
    n, su, sv, suu, svv, suv = np.moveaxis(sums, -1, 0)
    with np.errstate(all="ignore"):
        xx, yy, xy = suu / n - (su / n) ** 2, svv / n - (sv / n) ** 2, suv / n - su * sv / n**2
        bias = (su - sv) / n
        sd = np.sqrt(np.maximum(xx + yy - 2 * xy, 0.0) * n / (n - 1))
        slope = xy / xx
        return {
            "r": xy / np.sqrt(xx * yy),
            "ccc": 2 * xy / (xx + yy + bias**2),
            "rmse_gcm2": np.sqrt(np.maximum(suu - 2 * suv + svv, 0.0) / n),
            "bias_gcm2": bias,
            "sd_difference_gcm2": sd,
            "loa_low_gcm2": bias - Z * sd,
            "loa_high_gcm2": bias + Z * sd,
            "slope": slope,
            "intercept_gcm2": center + sv / n - slope * (center + su / n),
        }


def plain_figures(estimate_gcm2: NDArray[np.floating], dexa_gcm2: NDArray[np.floating]) -> dict[str, float]:
    """The figures of `of_sums` for hips (n,) of one site that count once each."""
    x, y = np.asarray(estimate_gcm2, np.float64), np.asarray(dexa_gcm2, np.float64)
    center = float(y.mean())
    return {name: float(value) for name, value in of_sums(products(x - center, y - center).sum(-1), center).items()}


def deming(data: Data, ratio: float, weights: F64) -> dict[str, F64]:
    """Deming's line of DEXA on the estimate for a known ratio of error variances, var(DEXA) / var(estimate).

    Linnet, Clin Chem 1993;39:424-432. A secondary figure: it asks how two noisy instruments compare, not how an
    estimate is to be corrected.
    """
    x, y = data.x, data.y
    with np.errstate(all="ignore"):
        n = weights.sum(-1)
        mx, my = weights @ x / n, weights @ y / n
        xx, yy, xy = weights @ (x * x) / n - mx**2, weights @ (y * y) / n - my**2, weights @ (x * y) / n - mx * my
        gap = yy - ratio * xx
        slope = (gap + np.sqrt(gap**2 + 4 * ratio * xy**2)) / (2 * xy)
        return {"deming_slope": slope, "deming_intercept_gcm2": my - slope * mx}


class Limits(NamedTuple):
    """Limits of agreement in g/cm2, each with its exact 95 % interval."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]


def exact_limits(difference: F64) -> Limits | None:
    """Limits of agreement (value, low, high) with exact parametric intervals, for normal differences (n,).

    (limit - mean) sqrt(n) / s follows a non-central t distribution with n - 1 degrees of freedom and non-centrality
    1.96 sqrt(n) (Carkeet, Optom Vis Sci 2015;92:e71-e80; Bland & Altman 1999 approximate it). Hips of one subject
    count as independent here; the bootstrap by subject does not need that. None for less than three differences.
    """
    n = len(difference)
    if n < 3:
        return None
    mean, sd = float(difference.mean()), float(difference.std(ddof=1))
    near, far = (float(q) / np.sqrt(n) for q in stats.nct.ppf(np.array([0.025, 0.975]), n - 1, Z * np.sqrt(n)))
    return Limits(
        low=(mean - Z * sd, float(mean - far * sd), float(mean - near * sd)),
        high=(mean + Z * sd, float(mean + near * sd), float(mean + far * sd)),
    )
