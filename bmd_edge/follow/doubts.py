"""What speaks against reading dots of a series as bone: a visit out of line, a jump, films of one date, sites or
hips that go apart.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple

from bmd_edge.follow.change import DAYS_A_YEAR, LOSS_A_YEAR, Change, Followed, least_change
from bmd_edge.follow.series import Visit
from bmd_edge.sites import SITES

JUMP_A_YEAR = 5 * LOSS_A_YEAR
"""More than this between two visits, and than that of two years, is hardly bone: a choice, not a measurement."""


class OutOfLine(NamedTuple):
    """A visit between the first and the last of a part, and by how much more than chance it differs from the first."""

    first: Visit
    visit: Visit
    change_gcm2: dict[str, float]


def out_of_line(followed: Followed) -> list[OutOfLine]:
    """Visits in the middle whose dot lies outside the band while the last one does not lie outside on that side.

    The band is the last visit's, so nothing else names them; they were judged when each was the last. Where no band
    judges there are none.
    """
    found = []
    for part in followed.series.parts:
        changes = [one for one in followed.changes if one.first is part[0]]
        for visit in part[1:-1]:
            apart = {one.site: visit.mean_gcm2(one.site) - part[0].mean_gcm2(one.site) for one in changes}
            out = {one.site: size for one in changes if _lies_out(size := apart[one.site], one)}
            if out:
                found.append(OutOfLine(part[0], visit, out))
    return found


def _lies_out(size_gcm2: float, last: Change) -> bool:
    same_way = size_gcm2 * last.change_gcm2 > 0
    judges = last.lsc_gcm2 is not None and last.precision_from == "clinic"
    return judges and abs(size_gcm2) > (last.lsc_gcm2 or 0.0) and not (last.beyond and same_way)


class FirstOut(NamedTuple):
    """A part whose first visit alone lies out, and the mean of those after it minus the first by site; g/cm2.

    both_step: whether both sites differ there the same way, by more than half of the number that judges.
    """

    part: tuple[Visit, ...]
    change_gcm2: dict[str, float]
    both_step: bool

    @property
    def later(self) -> int:
        """How many visits follow it."""
        return len(self.part) - 1


def first_out(followed: Followed) -> list[FirstOut]:
    """Where a change is stated that hangs on the first visit alone: three or more later ones agree with each other. By
    noise, two do so too easily where bone is really lost.

    Each lies within the band around their mean and outside the one around the first, and they differ among each other
    by less than half of what separates their mean from the first: in a steady course they would differ by more.
    """
    found = []
    for part in followed.series.parts:
        changes = [one for one in followed.changes if one.first is part[0]]
        if out := {one.site: _step(part, one.site) for one in changes if one.stated and _hangs_on_first(part, one)}:
            shares = [_step(part, one.site) / (one.lsc_gcm2 or math.inf) for one in changes]
            found.append(FirstOut(part, out, both_step=min(shares) > 0.5 or max(shares) < -0.5))
    return found


def _step(part: Sequence[Visit], site: str) -> float:
    return fmean(visit.mean_gcm2(site) for visit in part[1:]) - part[0].mean_gcm2(site)


def _hangs_on_first(part: Sequence[Visit], one: Change) -> bool:
    later, least = [visit.mean_gcm2(one.site) - part[0].mean_gcm2(one.site) for visit in part[1:]], one.lsc_gcm2 or 0.0
    step = _step(part, one.site)
    agree = all(abs(size - step) <= least < abs(size) for size in later)
    return len(later) > 2 and agree and 2 * (max(later) - min(later)) < abs(step)


class Jump(NamedTuple):
    """Two comparable visits in a row, and by how much more than bone plausibly changes the sites differ; g/cm2."""

    before: Visit
    after: Visit
    change_gcm2: dict[str, float]


def jumps(followed: Followed) -> list[Jump]:
    """Where estimates differ by more than any plausible change of bone, and than those of an unchanged hip; within two
    years also by more than both together explain, as where weeks lie between two films.

    To and from a visit that is out of line there is none: that says it already.
    """
    least = {(one.first, one.site): one.lsc_gcm2 or 0.0 for one in followed.changes}
    out = {(one.visit, site) for one in out_of_line(followed) for site in one.change_gcm2}
    out |= {(one.part[0], site) for one in first_out(followed) for site in one.change_gcm2}
    found = []
    for part in followed.series.parts:
        for before, after in pairwise(part):
            years = (after.taken - before.taken).days / DAYS_A_YEAR
            sites = [site for site in SITES if not {(before, site), (after, site)} & out]
            changes = {site: after.mean_gcm2(site) - before.mean_gcm2(site) for site in sites}
            beyond = {site: _bone_and_chance(before.mean_gcm2(site), years, least[part[0], site]) for site in sites}
            if large := {site: size for site, size in changes.items() if abs(size) > beyond[site]}:
                found.append(Jump(before, after, large))
    return found


def _bone_and_chance(before_gcm2: float, years: float, least_gcm2: float) -> float:
    larger = max(JUMP_A_YEAR * max(years, 2.0) * before_gcm2, least_gcm2)
    return min(larger, JUMP_A_YEAR * years * before_gcm2 + least_gcm2) if least_gcm2 else larger


class FilmsApart(NamedTuple):
    """A visit whose films differ by more than those of one hip do by chance, and how far at those sites; g/cm2."""

    visit: Visit
    range_gcm2: dict[str, float]


def films_apart(followed: Followed) -> list[FilmsApart]:
    """Visits whose mean hangs on a film that is off, by whatever precision; nobody knows which film.

    All pairs of a hip's films of one date share the 5 %, so that at most one unchanged hip in twenty is named.
    """
    comparisons = len(SITES) * sum(math.comb(len(visit.films), 2) for visit in followed.series.visits)
    found = []
    for part, sds in zip(followed.series.parts, followed.sd_gcm2, strict=True):
        known = {
            site: least_change(sd, 1, 1, comparisons) for site, sd in sds.items() if sd is not None and comparisons
        }
        for visit in part:
            ranges = {site: visit.range_gcm2(site) for site in known}
            if apart_sites := {site: size for site, size in ranges.items() if size > known[site]}:
                found.append(FilmsApart(visit, apart_sites))
    return found


class Apart(NamedTuple):
    """Two changes over some of the same time that do not agree; at least one lies beyond its band.

    other: of the other site of this hip, or of the same site of the patient's other hip.
    """

    one: Change
    other: Change
    of_other_hip: bool

    @property
    def other_way(self) -> bool:
        """Whether one rises where the other falls."""
        return self.one.change_gcm2 * self.other.change_gcm2 < 0


def apart(followed: Followed, other_hip: Followed | None) -> list[Apart]:
    """Where a change is stated of one site of a hip, and the other lies within its band or beyond it on the other side;
    and where the two hips of a patient go opposite ways at a site, by whatever precision: both beyond, or one of them,
    and each ends within chance of where the other began, as exchanged sides do.
    """
    found = []
    for one in followed.changes:
        for other in followed.changes:
            pair = Apart(one, other, of_other_hip=False)
            if one.stated and other.first is one.first and other is not one and (pair.other_way or not other.beyond):
                found.append(pair)
        for other in other_hip.changes if other_hip else ():
            pair = Apart(one, other, of_other_hip=True)
            meet = one.first.taken < other.last.taken and other.first.taken < one.last.taken
            if other.site == one.site and meet and pair.other_way and _hips_apart(one, other):
                found.append(pair)
    return found


def _hips_apart(one: Change, other: Change) -> bool:
    least = max(one.lsc_gcm2 or 0.0, other.lsc_gcm2 or 0.0)
    ends = [(one.last, other.first), (other.last, one.first)]
    crossed = all(abs(end.mean_gcm2(one.site) - begun.mean_gcm2(one.site)) <= least for end, begun in ends)
    return (one.beyond and other.beyond) or (crossed and (one.beyond or other.beyond))


def spoken_against(followed: Followed, change: Change, other_hip: Followed | None) -> list[str]:
    """What speaks against a change, by name, the gravest first: "first_out", "implausible", "films_apart", "other_hip",
    "other_site", "only_just".
    """
    pairs = [one for one in apart(followed, other_hip) if one.one is change]
    hold = {
        "first_out": _first_out(followed, change),
        "implausible": any(change.site in one.change_gcm2 for one in _jumps_in(followed, change)),
        "films_apart": any(one.visit in (change.first, change.last) for one in films_apart(followed)),
        "other_hip": any(one.of_other_hip for one in pairs),
        "other_site": any(not one.of_other_hip for one in pairs),
        "only_just": change.only_just,
    }
    return [name for name, holds in hold.items() if holds]


def _first_out(followed: Followed, change: Change) -> bool:
    return any(one.part[0] is change.first and change.site in one.change_gcm2 for one in first_out(followed))


def _jumps_in(followed: Followed, change: Change) -> list[Jump]:
    return [one for one in jumps(followed) if one.before.conditions == change.first.conditions]


def withheld(followed: Followed, change: Change) -> bool:
    """Whether a stated change is not told: it hangs on the first visit alone, or films, whose other site may be what
    differs by more than bone does, may be of another person.
    """
    return change.stated and (_first_out(followed, change) or bool(_jumps_in(followed, change)))


def has_band(followed: Followed, change: Change) -> bool:
    """Whether a band judges a change: with the precision of the films' own unit, and where what it says is told."""
    return change.precision_from == "clinic" and not withheld(followed, change)


def is_clear(followed: Followed, change: Change, other_hip: Followed | None) -> bool:
    """Whether a change is stated that nothing speaks against."""
    against = spoken_against(followed, change, other_hip)
    return change.stated and not against and not withheld(followed, change)


def other_hips(hips: Iterable[Followed]) -> dict[tuple[str, str], Followed]:
    """The series of each patient's other hip, by patient and side of the one."""
    return {(one.series.patient, {"R": "L", "L": "R"}[one.series.side]): one for one in hips}
