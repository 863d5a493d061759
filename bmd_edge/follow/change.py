"""Has an estimate changed? What can be said of a series, from how far repeated films of an unchanged hip differ.

The last visit of each part of a series is compared with its first. A change is stated only where it lies beyond the
least significant change, and only with a precision that was measured at the clinic, on the X-ray unit of the films.

The SD is the upper 95 % limit of the RMS-SD, so that a lucky precision study makes no false alarms. A series is looked
at after every visit, and nobody knows how many there will be: the k-th later visit may use 1 / k(k+1) of the 5 % (these
shares add up to 1), half of it at each site (alpha spending with Bonferroni; Lan & DeMets, Biometrika 1983;70:659-663).
So however long a series and however often it is looked at, at most 5 % of unchanged hips ever get a false word of
change, not 5 % at each look.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from bmd_edge.follow.repeatability import BetweenUnits, LongitudinalSlope, RepeatabilityFile, SiteRepeatability
from bmd_edge.follow.series import UNIT_NOT_NAMED, Break, Series, Visit
from bmd_edge.sites import SITES

ALPHA = 0.05
LOSS_A_YEAR = 0.01
"""Ordinary loss, as a share of the BMD, for which it is said when it could be told."""
ONLY_JUST = 0.25
"""By less than this share of the least significant change beyond it, a change is only just beyond: a choice."""
DAYS_A_YEAR = 365.25
_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Rate:
    """Change a year, corrected for the longitudinal slope, with its 95 % interval; g/cm2 a year."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Change:
    """The last visit of a part of a series minus its first, at one site.

    lsc_gcm2: what it must exceed, here, for this number of films and comparisons; None without a precision.
    precision_from: whose precision that is, see `precision_from`. rate: only with the unit's own precision and
    longitudinal slope, of stated changes and of others alike: chosen for their size, rates would be too large.
    years_to_tell: from the first visit on until a loss of 1 % a year could be told.
    """

    site: str
    first: Visit
    last: Visit
    years: float
    change_gcm2: float
    lsc_gcm2: float | None
    precision_from: str | None
    rate: Rate | None
    years_to_tell: float | None

    @property
    def beyond(self) -> bool:
        """Whether it exceeds the least significant change, by whatever precision."""
        return self.lsc_gcm2 is not None and abs(self.change_gcm2) > self.lsc_gcm2

    @property
    def stated(self) -> bool:
        """Whether it does by a precision that was measured on the X-ray unit of the films."""
        return self.beyond and self.precision_from == "clinic"

    @property
    def only_just(self) -> bool:
        """Whether it is stated, and the near end of its interval lies next to 0."""
        return self.stated and abs(self.change_gcm2) < (1 + ONLY_JUST) * (self.lsc_gcm2 or 0.0)

    @property
    def just_not(self) -> bool:
        """Whether it lies within what chance can do, and next to its end."""
        return (1 - ONLY_JUST) * (self.lsc_gcm2 or math.inf) <= abs(self.change_gcm2) <= (self.lsc_gcm2 or 0.0)


@dataclass(frozen=True, slots=True)
class Followed:
    """A series with what can be said of it: `sd_gcm2` is that of a single film by part and site, None if unknown;
    `beside` is what else there is of the patient, see `bmd_edge.follow.beside`.
    """

    series: Series
    sd_gcm2: tuple[dict[str, float | None], ...]
    changes: tuple[Change, ...]
    beside: str = ""


def follow(series: Series, known: RepeatabilityFile | None, beside: str = "") -> Followed:
    """Compare what may be compared; `known` counts where it is of the same bundle, recalibration and precision."""
    comparisons = comparisons_after(sum(len(part) - 1 for part in series.parts))
    figures = [figures_of(part[0], known) for part in series.parts]
    changes = [
        _change(part, site, known, one.get(site), comparisons)
        for part, one in zip(series.parts, figures, strict=True)
        if len(part) > 1
        for site in SITES
    ]
    sds = tuple({site: one[site].rms_sd_high_gcm2 if site in one else None for site in SITES} for one in figures)
    return Followed(series, sds, tuple(changes), beside)


def between_units(found: Break, known: RepeatabilityFile | None) -> BetweenUnits | None:
    """What is known of the units of a break from hips that both have filmed, the later one second; None if nothing is.

    Units are told apart there by maker and model.
    """
    units, after = (found.before.unit, found.after.unit), found.after
    for one in known.between_units.get(after.condition("precision"), ()) if known and _fits(after, known) else ():
        if one.units == units:
            return one
        if one.units == units[::-1]:
            difference, low, high = (
                {site: -value for site, value in values.items()}
                for values in (one.difference_gcm2, one.high_gcm2, one.low_gcm2)
            )
            return BetweenUnits(units, one.hips, difference, low, high)
    return None


def figures_of(visit: Visit, known: RepeatabilityFile | None) -> dict[str, SiteRepeatability]:
    """What is known by site of films read as the visit's; empty if nothing is."""
    return known.precisions.get(visit.condition("precision"), {}) if known and _fits(visit, known) else {}


def precision_from(visit: Visit, known: RepeatabilityFile | None) -> str | None:
    """Whose precision the figures of a visit's films are: "clinic", of their own X-ray unit by maker and model;
    "other_unit", of other units of the clinic; "phantom"; None where nothing is known. Only the first can judge.
    """
    if known is None or not figures_of(visit, known):
        return None
    if known.source == "clinic" and (visit.unit not in known.units or visit.unit == UNIT_NOT_NAMED):
        return "other_unit"
    return known.source


def _fits(visit: Visit, known: RepeatabilityFile) -> bool:
    """Whether it was measured with what the visit's films were read with."""
    return (known.bundle_digest, known.recalibration or "") == (
        visit.condition("bundle_digest"),
        visit.condition("recalibration"),
    )


def _change(
    part: Sequence[Visit],
    site: str,
    known: RepeatabilityFile | None,
    figures: SiteRepeatability | None,
    comparisons: int,
) -> Change:
    first, last = part[0], part[-1]
    years = (last.taken - first.taken).days / DAYS_A_YEAR
    change = last.mean_gcm2(site) - first.mean_gcm2(site)
    if figures is None:
        return Change(site, first, last, years, change, None, None, None, None)
    sd = figures.rms_sd_high_gcm2
    least = least_change(sd, len(first.films), len(last.films), comparisons)
    whose = precision_from(first, known)
    return Change(
        site=site,
        first=first,
        last=last,
        years=years,
        change_gcm2=change,
        lsc_gcm2=least,
        precision_from=whose,
        rate=corrected(*trend(part, site, sd), figures.slope) if whose == "clinic" and figures.slope else None,
        years_to_tell=least / (LOSS_A_YEAR * first.mean_gcm2(site) * (figures.slope.slope if figures.slope else 1.0)),
    )


def comparisons_after(later_visits: int) -> int:
    """What the 5 % are divided by at each site after so many later visits, so that all looks share them."""
    return len(SITES) * later_visits * (later_visits + 1)


def least_change(sd_gcm2: float, first_films: int, last_films: int, comparisons: int) -> float:
    """The least significant change between the means of so many films, at 1 / `comparisons` of the 5 %.

    1.96 SD sqrt(1/n + 1/m) for one, which is 2.77 SD for single films; the quantile of 0.05 / k for k of them.
    """
    return NormalDist().inv_cdf(1 - ALPHA / (2 * comparisons)) * sd_gcm2 * math.sqrt(1 / first_films + 1 / last_films)


def trend(part: Sequence[Visit], site: str, sd_gcm2: float) -> tuple[float, float]:
    """Estimated change a year and its standard error: least squares over the visits, each weighted by its films."""
    weights = [len(visit.films) for visit in part]
    years = [(visit.taken - part[0].taken).days / DAYS_A_YEAR for visit in part]
    middle = sum(w * t for w, t in zip(weights, years, strict=True)) / sum(weights)
    spread = sum(w * (t - middle) ** 2 for w, t in zip(weights, years, strict=True))
    moved = sum(w * (t - middle) * v.mean_gcm2(site) for w, t, v in zip(weights, years, part, strict=True))
    return moved / spread, sd_gcm2 / math.sqrt(spread)


def corrected(rate: float, error: float, slope: LongitudinalSlope) -> Rate | None:
    """The rate over the longitudinal slope, with Fieller's 95 % interval (Fieller, J R Stat Soc B 1954;16:175-185).

    None where the slope is not known to differ from 0: such an interval has no ends.
    """
    z2, slope_error = _Z95**2, (slope.high - slope.low) / (2 * _Z95)
    bottom = slope.slope**2 - z2 * slope_error**2
    if bottom <= 0:
        return None
    root = math.sqrt((rate * slope.slope) ** 2 - (rate**2 - z2 * error**2) * bottom)
    return Rate(rate / slope.slope, (rate * slope.slope - root) / bottom, (rate * slope.slope + root) / bottom)
