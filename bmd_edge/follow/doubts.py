"""What speaks against reading dots of a series as bone: a visit out of line, a jump, sites or hips that go apart."""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from bmd_edge.follow.change import DAYS_A_YEAR, LOSS_A_YEAR, Change, Followed
from bmd_edge.follow.series import Visit
from bmd_edge.sites import SITES

JUMP_A_YEAR = 5 * LOSS_A_YEAR
"""More than this between two visits, and than that of two years, is hardly bone: a choice, not a measurement."""


class OutOfLine(NamedTuple):
    """A visit between the first and the last of a part, and by how much more than chance it differs from the first."""

    visit: Visit
    change_gcm2: dict[str, float]


def out_of_line(followed: Followed) -> list[OutOfLine]:
    """Visits in the middle whose dot lies outside the band while the last one does not lie outside on that side.

    The band is the last visit's, so nothing else names them; they were judged when each was the last.
    """
    found = []
    for part in followed.series.parts:
        changes = [one for one in followed.changes if one.first is part[0]]
        for visit in part[1:-1]:
            apart = {one.site: visit.mean_gcm2(one.site) - part[0].mean_gcm2(one.site) for one in changes}
            out = {one.site: size for one in changes if _lies_out(size := apart[one.site], one)}
            if out:
                found.append(OutOfLine(visit, out))
    return found


def _lies_out(size_gcm2: float, last: Change) -> bool:
    same_way = size_gcm2 * last.change_gcm2 > 0
    return last.lsc_gcm2 is not None and abs(size_gcm2) > last.lsc_gcm2 and not (last.beyond and same_way)


class Jump(NamedTuple):
    """Two comparable visits in a row, and by how much more than bone plausibly changes the sites differ; g/cm2."""

    before: Visit
    after: Visit
    change_gcm2: dict[str, float]


def jumps(followed: Followed) -> list[Jump]:
    """Where estimates differ by more than any plausible change of bone, and than those of an unchanged hip.

    To and from a visit that is out of line there is none: that says it already.
    """
    least = {(one.first, one.site): one.lsc_gcm2 or 0.0 for one in followed.changes}
    out = {(one.visit, site) for one in out_of_line(followed) for site in one.change_gcm2}
    found = []
    for part in followed.series.parts:
        for before, after in pairwise(part):
            share = JUMP_A_YEAR * max((after.taken - before.taken).days / DAYS_A_YEAR, 2.0)
            sites = [site for site in SITES if not {(before, site), (after, site)} & out]
            changes = {site: after.mean_gcm2(site) - before.mean_gcm2(site) for site in sites}
            beyond = {site: max(share * before.mean_gcm2(site), least[part[0], site]) for site in sites}
            if large := {site: size for site, size in changes.items() if abs(size) > beyond[site]}:
                found.append(Jump(before, after, large))
    return found


class Apart(NamedTuple):
    """Two changes over some of the same time that do not bear each other out; at least one lies beyond its band.

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
    """Where one site of a hip lies beyond its band and the other does not, or on the other side; and where the two hips
    of a patient go opposite ways at a site, and one of them lies beyond its band.
    """
    found = []
    for one in followed.changes:
        for other in followed.changes:
            pair = Apart(one, other, of_other_hip=False)
            if one.beyond and other.first is one.first and other is not one and (pair.other_way or not other.beyond):
                found.append(pair)
        for other in other_hip.changes if other_hip else ():
            pair = Apart(one, other, of_other_hip=True)
            meet = one.first.taken < other.last.taken and other.first.taken < one.last.taken
            if other.site == one.site and meet and pair.other_way and (one.beyond or other.beyond):
                found.append(pair)
    return found


def other_hips(hips: Iterable[Followed]) -> dict[tuple[str, str], Followed]:
    """The series of each patient's other hip, by patient and side of the one."""
    return {(one.series.patient, {"R": "L", "L": "R"}[one.series.side]): one for one in hips}
