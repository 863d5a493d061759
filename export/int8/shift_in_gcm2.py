"""What quantization does to the numbers: the shift of every estimate against fp32, and the error against DEXA."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.error_budget import LIMITS, ErrorBudget, Flip, MakerShift, SiteShift, broken
from bmd_edge.measure.t_score import SHOWN_CUTS, WHO_CUTS, bmd_at, who_cuts_passed
from bmd_edge.sites import SITES
from calibration.statistics.bootstrap import Bootstrap, by_subject
from export.int8.headline_shift import HeadlineShift, headline_shift

F64 = NDArray[np.float64]

ONE_SIDED = Bootstrap(seed=20260, method="percentile", confidence=0.90, min_subjects=2)
"""Its upper end is the one-sided 95 % bound."""


@dataclass(frozen=True, slots=True)
class JudgingHips:
    """The hips that judge: DEXA (n, sites) g/cm2 in the order of `SITES`; subject, maker and film id of each.

    `with_t_score` (n,) says whose age and sex allow a T-score, and so a headline; None judges no headlines.
    """

    dexa_gcm2: F64
    subjects: Sequence[str]
    makers: Sequence[str]
    film_ids: Sequence[str]
    with_t_score: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class ShiftInGcm2:
    """What one precision does to the estimates, site by site, and to the headlines that stand on them."""

    precision: str
    sites: dict[str, SiteShift]
    headline: HeadlineShift | None = None

    @property
    def passed(self) -> bool:
        """Whether every site and the headlines stay inside the budget."""
        return all(site.passed for site in self.sites.values()) and (self.headline is None or self.headline.passed)

    def failures(self) -> list[str]:
        """Every limit that is not kept, one sentence each."""
        found = [f"{name}: {said}" for name, site in self.sites.items() for said in broken(site)]
        return found + ([self.headline.sentence()] if self.headline and not self.headline.passed else [])

    def sentences(self) -> list[str]:
        """One sentence per site and one of the headlines, for people."""
        sites = [
            f"{self.precision} {name}: mean shift {site.mean_shift_gcm2:+.4f}, 99th percentile "
            f"{site.p99_shift_gcm2:.4f}, largest {site.max_shift_gcm2:.4f} g/cm2; RMSE against DEXA "
            f"{site.rmse_change:+.2%} (95 % bound {site.rmse_change_upper95:+.2%}); {len(site.flips)} of {site.n} hips "
            f"crossed a WHO cut: {'passed' if site.passed else 'FAILED'}"
            for name, site in self.sites.items()
        ]
        return sites + ([f"{self.precision}: {self.headline.sentence()}"] if self.headline else [])


def compare(
    fp32_gcm2: NDArray[np.floating],
    other_gcm2: NDArray[np.floating],
    hips: JudgingHips,
    precision: str = "int8",
    limits: ErrorBudget = LIMITS,
) -> ShiftInGcm2:
    """Compare estimates of the same hips, (n, sites) each, g/cm2.

    Raises:
        ValueError: unequal shapes, or no hips.
    """
    shape = hips.dexa_gcm2.shape
    named = {len(hips.subjects), len(hips.makers), len(hips.film_ids)}
    if fp32_gcm2.shape != shape or other_gcm2.shape != shape or named != {shape[0]} or shape[1:] != (len(SITES),):
        raise ValueError(f"cannot compare {fp32_gcm2.shape} with {other_gcm2.shape} for DEXA of {shape}")
    if shape[0] == 0:
        raise ValueError("no hips to compare")
    columns = zip(SITES, fp32_gcm2.astype(np.float64).T, other_gcm2.astype(np.float64).T, hips.dexa_gcm2.T, strict=True)
    return ShiftInGcm2(
        precision,
        {name: _site(name, fp32, other, dexa, hips, limits) for name, fp32, other, dexa in columns},
        _headline(fp32_gcm2, other_gcm2, hips, limits),
    )


def _headline(
    fp32: NDArray[np.floating], other: NDArray[np.floating], hips: JudgingHips, limits: ErrorBudget
) -> HeadlineShift | None:
    if hips.with_t_score is None:
        return None
    some = np.flatnonzero(hips.with_t_score).tolist()
    subjects, film_ids = ([names[k] for k in some] for names in (hips.subjects, hips.film_ids))
    before, after = (values[some].astype(np.float64) for values in (fp32, other))
    return headline_shift(before, after, hips.dexa_gcm2[some], subjects, film_ids, limits)


def cut_gcm2(site: str, t: float) -> float:
    """The BMD at and below which a reader sees a site's T-score beyond the cut `t` of `WHO_CUTS`."""
    return round(bmd_at(site, SHOWN_CUTS[t]), 6)


def rmse_change(fp32: F64, other: F64, dexa: F64, subjects: Sequence[str]) -> tuple[float, float]:
    """RMSE of `other` over that of `fp32`, minus 1, and its one-sided upper 95 % bound.

    All (n,) g/cm2. The bound is a percentile bootstrap over subjects (Efron & Tibshirani 1993, chapter 13): the squared
    errors of a subject's hips stay together, and both models answer for the same resampled subjects.
    """
    after, before = ((values - dexa) ** 2 for values in (other, fp32))

    def change(weights: F64) -> dict[str, F64]:
        with np.errstate(all="ignore"):
            return {"change": np.sqrt(weights @ after / (weights @ before)) - 1}

    found = by_subject(change, subjects, ONE_SIDED)["change"]
    value, upper = (np.nan if one is None else one for one in (found.value, found.high))
    return value, upper


def _site(name: str, fp32: F64, other: F64, dexa: F64, hips: JudgingHips, limits: ErrorBudget) -> SiteShift:
    shift = other - fp32
    p95, p99, largest = (float(np.quantile(np.abs(shift), share)) for share in (0.95, 0.99, 1.0))
    change, upper = rmse_change(fp32, other, dexa, hips.subjects)
    site = SiteShift(
        n=len(shift),
        passed=False,
        limits=limits,
        mean_shift_gcm2=float(shift.mean()),
        p95_shift_gcm2=p95,
        p99_shift_gcm2=p99,
        max_shift_gcm2=largest,
        rmse_change=change,
        rmse_change_upper95=upper,
        flips=_flips(name, fp32, other, hips.film_ids),
        per_maker=_per_maker(shift, np.asarray(hips.makers)),
    )
    return replace(site, passed=not broken(site))


def _flips(site: str, fp32: F64, other: F64, film_ids: Sequence[str]) -> tuple[Flip, ...]:
    """Hips by cut that a reader sees on the other side of it."""
    before, after = ([who_cuts_passed(site, value) for value in values.tolist()] for values in (fp32, other))
    return tuple(
        Flip(film_ids[i], t, cut_gcm2(site, t), round(float(fp32[i]), 6), round(float(other[i]), 6))
        for number, t in enumerate(WHO_CUTS)
        for i in range(len(fp32))
        if (before[i] > number) != (after[i] > number)
    )


def _per_maker(shift: F64, makers: NDArray[np.str_]) -> dict[str, MakerShift]:
    found = {}
    for maker in sorted(set(makers.tolist())):
        own = shift[makers == maker]
        found[maker] = MakerShift(len(own), float(own.mean()), float(np.quantile(np.abs(own), 0.95)))
    return found
