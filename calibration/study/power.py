"""How likely a study of n subjects shows an aim, under the assumptions: by formula, or simulated where there is none.

n counts subjects that have both numbers; all probabilities allow for two hips of a subject. Intervals are 95 %.
"""

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from calibration.statistics.bootstrap import F64
from calibration.study.aims import MIN_OF_A_KIND, Aim
from calibration.study.assumptions import Assumptions

Z = float(stats.norm.ppf(0.975))
_GRID = (np.arange(400) + 0.5) / 400  # probabilities at which a distribution is summed
_SIMULATED = 100_000
_DRAWN = 1_000_000  # differences of all simulated studies of one size


def power(aim: Aim, known: Assumptions, subjects: int) -> float:
    """Probability, 0 to 1, that a study of `subjects` with both numbers shows the aim."""
    return {
        "bias_gcm2": _bias,
        "rmse_gcm2": _rmse,
        "loa_gcm2": _limits,
        "coverage": _coverage,
        "sensitivity": _share,
        "specificity": _share,
        "auroc": _auroc,
        "int8_rmse_change": _int8,
    }[aim.figure](aim, known, subjects)


# -- of hips --------------------------------------------------------------------------------------------------------


def _sd(known: Assumptions, site: str) -> float:
    return float(np.sqrt(max(known.rmse_gcm2[site] ** 2 - known.bias_gcm2[site] ** 2, 1e-8)))


def _bias(aim: Aim, known: Assumptions, subjects: int) -> float:
    """The whole t interval of the mean difference lies within +- margin; summed over the SD that a study may find."""
    site = aim.site or ""
    n = known.effective(subjects, known.hip_r)
    if n < 3:
        return 0.0
    error = _sd(known, site) / np.sqrt(n)
    found = error * np.sqrt(stats.chi2.ppf(_GRID, n - 1) / (n - 1))
    room = aim.margin - stats.t.ppf(0.975, n - 1) * found
    bias = known.bias_gcm2[site]
    inside = stats.norm.cdf((room - bias) / error) - stats.norm.cdf((-room - bias) / error)
    return float(np.where(room > 0, inside, 0.0).mean())


def _rmse(aim: Aim, known: Assumptions, subjects: int) -> float:
    """The upper limit of the RMSE, of normal errors, is at most the margin (chi-square)."""
    n = known.effective(subjects, known.hip_r**2)
    if n < 3:
        return 0.0
    ratio = (aim.margin / known.rmse_gcm2[aim.site or ""]) ** 2
    return float(stats.chi2.cdf(ratio * stats.chi2.ppf(0.025, n), n))


@lru_cache(maxsize=512)
def limit_widths(subjects: int, hips: float, hip_r: float) -> F64:
    """Half-widths of the intervals of both limits of agreement, in SDs, (studies, 2), of simulated studies.

    How wide an interval comes out depends on skewness and kurtosis of the differences that a study meets, so that a
    formula for the expected one (Bland & Altman, Stat Methods Med Res 1999;8:135-160) says too little: normal errors
    are drawn, and each study gets the half-widths that its own differences give (delta method, by subject).
    """
    studies = int(np.clip(_DRAWN / subjects, 200, 2000))
    rng = np.random.default_rng(20261)
    common, *own = rng.standard_normal((3, studies, subjects))
    second = rng.random((studies, subjects)) < hips - 1
    shown = np.stack([np.ones_like(second), second])
    errors = np.sqrt(hip_r) * common + np.sqrt(1 - hip_r) * np.stack(own)
    n = shown.sum((0, 2))[:, None]
    centered = np.where(shown, errors - (errors * shown).sum((0, 2))[:, None] / n, 0.0)
    sd = np.sqrt((centered**2).sum((0, 2)) / (n[:, 0] - 1))[:, None]
    slope = (centered**2 - shown * sd**2) / (2 * sd)
    ends = [((centered + sign * Z * slope).sum(0) ** 2).sum(-1) for sign in (-1, 1)]
    t = stats.t.ppf(0.975, subjects - 1) * np.sqrt(subjects / (subjects - 1))
    return np.stack([t * np.sqrt(one) / n[:, 0] for one in ends], axis=-1)


def _limits(aim: Aim, known: Assumptions, subjects: int) -> float:
    """The half-widths of both limits of agreement are at most the margin."""
    if subjects < 3:
        return 0.0
    widest = limit_widths(subjects, known.hips, known.hip_r).max(-1)
    return float((widest * _sd(known, aim.site or "") <= aim.margin).mean())


def _coverage(aim: Aim, known: Assumptions, subjects: int) -> float:
    """The whole exact interval lies within expected +- margin."""
    n = int(known.effective(subjects, known.hip_r**2))
    if n < 1:
        return 0.0
    counts, likely = _counts(n, known.coverage)
    low, high = exact(n, counts)
    return float(likely[(low >= aim.least) & (high <= aim.most)].sum())


def _int8(aim: Aim, known: Assumptions, subjects: int) -> float:
    """The upper limit of the relative change of the RMSE is at most the margin.

    A shift of its own of each hip changes squared errors by 2 x error x shift: the relative change has an SD of
    shift / RMSE at one hip.
    """
    n = known.effective(subjects, known.hip_r**2)
    if n < 3:
        return 0.0
    error = known.int8_sd_gcm2 / known.rmse_gcm2[aim.site or ""] / np.sqrt(n)
    room = aim.margin - (known.int8_sd_gcm2 / known.rmse_gcm2[aim.site or ""]) ** 2 / 2
    return float(stats.norm.cdf(room / error - Z)) if error > 0 else float(room > 0)


# -- of films, one of a subject -------------------------------------------------------------------------------------


def exact(n: int, k: NDArray[np.int64]) -> tuple[F64, F64]:
    """Exact 95 % intervals of each k of n (Clopper & Pearson, Biometrika 1934;26:404-413): lower, upper."""
    with np.errstate(all="ignore"):
        low = np.where(k == 0, 0.0, stats.beta.ppf(0.025, k, n - k + 1))
        high = np.where(k == n, 1.0, stats.beta.ppf(0.975, k + 1, n - k))
    return low, high


def _counts(n: int, share: float) -> tuple[NDArray[np.int64], F64]:
    """How many of n may be of a kind of this share, and how likely; what is not met in ten million is left out."""
    low, high = (int(stats.binom.ppf(q, n, share)) for q in (1e-7, 1 - 1e-7))
    counts = np.arange(low, high + 1)
    return counts, stats.binom.pmf(counts, n, share)


@lru_cache(maxsize=65536)
def narrow(n: int, share: float, half_width: float) -> float:
    """Probability that the exact interval of a true `share` of n is at most twice `half_width` wide."""
    counts, likely = _counts(n, share)
    low, high = exact(n, counts)
    return float(likely[high - low <= 2 * half_width].sum())


@lru_cache(maxsize=65536)
def above(n: int, share: float, least: float) -> float:
    """Probability that the exact interval of a true `share` of n lies at `least` or above."""
    counts, likely = _counts(n, share)
    return float(likely[exact(n, counts)[0] >= least].sum())


def _share(aim: Aim, known: Assumptions, subjects: int) -> float:
    """The interval of sensitivity or specificity is narrow enough, or lies above its floor; summed over the cases that
    a study may meet.
    """
    share = known.prevalence if aim.figure == "sensitivity" else 1 - known.prevalence
    if subjects < 1:
        return 0.0
    counts, likely = _counts(subjects, share)
    shown, limit = (above, aim.least) if aim.floor else (narrow, aim.margin)
    expected = aim.expected or 0.0
    return float(sum(p * shown(int(n), expected, limit) for n, p in zip(counts, likely, strict=True) if n))


@lru_cache(maxsize=64)
def _compared(r_film: float, r_other: float, prevalence: float) -> tuple[float, float, float, float, float]:
    rng = np.random.default_rng(20261)
    dexa, film, other = rng.standard_normal((3, _SIMULATED))
    film = r_film * dexa + np.sqrt(1 - r_film**2) * film
    other = r_other * dexa + np.sqrt(1 - r_other**2) * other
    low = dexa <= stats.norm.ppf(prevalence)
    placed = []
    for score in (film, other):
        of_low, of_rest = np.sort(score[low]), np.sort(score[~low])
        above = 1 - np.searchsorted(of_rest, score[low]) / len(of_rest)
        below = np.searchsorted(of_low, score[~low]) / len(of_low)
        placed.append((above, below))
    (above, below), (above_other, below_other) = placed
    mean, mean_other = float(above.mean()), float(above_other.mean())
    return (
        mean - mean_other,
        float((above - above_other).var()),
        float((below - below_other).var()),
        mean,
        mean_other,
    )


def compared(known: Assumptions, against: str) -> tuple[float, float, float, float, float]:
    """AUROC of film minus comparator for T <= -2.5, what a case and a non-case add to its variance, and both AUROC.

    Of 100,000 simulated subjects of the error model at the site with the larger RMSE; film and comparator err
    independently. Variance of the difference: case / cases + non-case / others (DeLong, Biometrics 1988;44:837-845).
    """
    worst = max(known.rmse_gcm2, key=lambda site: known.rmse_gcm2[site])
    r_film = float(np.sqrt(max(1 - (_sd(known, worst) / known.bmd_sd_gcm2) ** 2, 0.0)))
    return _compared(r_film, known.r_age if against == "age" else known.r_ost, known.prevalence)


def _auroc(aim: Aim, known: Assumptions, subjects: int) -> float:
    """The lower limit of the paired difference is not below -margin; summed over the cases that a study may meet."""
    difference, of_case, of_other, *_ = compared(known, aim.against or "")
    cases, likely = _counts(subjects, known.prevalence)
    others = subjects - cases
    enough = (cases >= MIN_OF_A_KIND) & (others >= MIN_OF_A_KIND)
    error = np.sqrt(of_case / np.maximum(cases, 1) + of_other / np.maximum(others, 1))
    return float((likely * enough * stats.norm.cdf((difference + aim.margin) / error - Z)).sum())


def with_margin(aim: Aim, margin: float) -> Aim:
    """The same aim with another margin."""
    return replace(aim, margin=margin)
