"""The error budget of a quantized model in g/cm2, and whether its estimates kept to it on films it has not seen.

The figures of one site travel in the bundle's manifest (`SiteShift`); `broken` judges them again wherever a bundle is
opened, so a verdict cannot be edited in without its figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What may change between fp32 and a quantized model, for the same hips.

    `min_hips` hips or more must have been judged. Of one site: |mean shift|, 99th percentile of the absolute shift,
    relative change of the RMSE against DEXA (upper 95 % bound), distance of a flipped hip's fp32 estimate from the cut
    it crossed, share of hips that crossed one. Of one maker with `maker_min_hips` or more: |mean shift| and 95th
    percentile of the absolute shift.
    """

    min_hips: int
    mean_shift_gcm2: float
    p99_shift_gcm2: float
    rmse_change_upper95: float
    flip_distance_gcm2: float
    flip_share: float
    maker_min_hips: int
    maker_mean_shift_gcm2: float
    maker_p95_shift_gcm2: float


LIMITS = ErrorBudget(
    min_hips=1000,
    mean_shift_gcm2=0.002,
    p99_shift_gcm2=0.010,
    rmse_change_upper95=0.01,
    flip_distance_gcm2=0.010,
    flip_share=0.015,
    maker_min_hips=200,
    maker_mean_shift_gcm2=0.003,
    maker_p95_shift_gcm2=0.008,
)
"""A tenth of the least significant change of DXA for the mean, half of it for the worst hip in a hundred."""


@dataclass(frozen=True, slots=True)
class Flip:
    """A hip that a reader sees on the other side of the cut `cut_t` (-1 or -2.5) in a quantized model.

    T-scores are shown rounded to 0.1, so what is shown changes at exact T-scores of -1.05 and -2.45; `cut_gcm2` says
    where. Bundles made before list crossings of the exact T-score instead: their `cut_gcm2` is that of the cut itself.
    """

    film_id: str
    cut_t: float
    cut_gcm2: float
    fp32_gcm2: float
    quantized_gcm2: float


@dataclass(frozen=True, slots=True)
class MakerShift:
    """Shift of one maker's `n` hips: signed mean, 95th percentile of the absolute shift, g/cm2."""

    n: int
    mean_shift_gcm2: float
    p95_shift_gcm2: float


@dataclass(frozen=True, slots=True)
class SiteShift:
    """What quantization does to one site's estimates over `n` hips, against fp32 and against DEXA.

    Shifts are quantized minus fp32, g/cm2: signed mean, percentiles and maximum of the absolute shift. `rmse_change` is
    RMSE / RMSE of fp32 - 1, both against DEXA, and its upper 95 % bound. `flips` lists every hip in another WHO
    range as it is shown.
    """

    n: int
    passed: bool
    limits: ErrorBudget
    mean_shift_gcm2: float
    p95_shift_gcm2: float
    p99_shift_gcm2: float
    max_shift_gcm2: float
    rmse_change: float
    rmse_change_upper95: float
    flips: tuple[Flip, ...]
    per_maker: dict[str, MakerShift]


def broken(site: SiteShift) -> list[str]:
    """The limits that a site's figures do not keep, one sentence each; none if they keep all."""
    return list(_broken(site))


def _broken(site: SiteShift) -> Iterator[str]:
    limits = site.limits
    if site.n < limits.min_hips:
        yield f"judged on {site.n} hips, {limits.min_hips} or more are needed"
    if not abs(site.mean_shift_gcm2) <= limits.mean_shift_gcm2:  # written so that NaN breaks a limit too
        yield f"mean shift {site.mean_shift_gcm2:+.4f} g/cm2, allowed {limits.mean_shift_gcm2}"
    if not site.p99_shift_gcm2 <= limits.p99_shift_gcm2:
        yield f"99th percentile of the shift {site.p99_shift_gcm2:.4f} g/cm2, allowed {limits.p99_shift_gcm2}"
    if not site.rmse_change_upper95 <= limits.rmse_change_upper95:
        upper = f"{site.rmse_change_upper95:+.2%}"
        yield f"RMSE against DEXA changes by up to {upper} (95 % bound), allowed {limits.rmse_change_upper95:.0%}"
    if far := [flip for flip in site.flips if not abs(flip.fp32_gcm2 - flip.cut_gcm2) <= limits.flip_distance_gcm2]:
        yield (
            f"{len(far)} hips more than {limits.flip_distance_gcm2} g/cm2 from a cut crossed it, first {far[0].film_id}"
            f" (fp32 {far[0].fp32_gcm2:.4f}, the cut of T = {far[0].cut_t:g} lies at {far[0].cut_gcm2:.3f})"
        )
    if len(site.flips) > limits.flip_share * site.n:
        share = len(site.flips) / site.n
        yield f"{len(site.flips)} of {site.n} hips ({share:.1%}) crossed a cut, allowed {limits.flip_share:.1%}"
    for maker, shift in site.per_maker.items():
        if shift.n < limits.maker_min_hips:
            continue
        if not abs(shift.mean_shift_gcm2) <= limits.maker_mean_shift_gcm2:
            yield f"mean shift of {maker} {shift.mean_shift_gcm2:+.4f} g/cm2, allowed {limits.maker_mean_shift_gcm2}"
        if not shift.p95_shift_gcm2 <= limits.maker_p95_shift_gcm2:
            p95 = f"{shift.p95_shift_gcm2:.4f}"
            yield f"95th percentile of the shift of {maker} {p95} g/cm2, allowed {limits.maker_p95_shift_gcm2}"
