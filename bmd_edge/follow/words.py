"""What can be said of a series, in sentences. None of them says that a hip has not changed."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from bmd_edge.follow.change import Change, Followed, Rate, between_units
from bmd_edge.follow.chart import letter_of, letters_of
from bmd_edge.follow.doubts import (
    FirstOut,
    OutOfLine,
    apart,
    films_apart,
    first_out,
    is_clear,
    jumps,
    out_of_line,
    spoken_against,
    withheld,
)
from bmd_edge.follow.key import HIGHER, LOWER, NOT_SHOWN, SITE_WORDS, UNCLEAR
from bmd_edge.follow.repeatability import BetweenUnits, RepeatabilityFile
from bmd_edge.follow.series import CONDITIONS, Series, Visit
from bmd_edge.report.in_words import counted
from bmd_edge.report.safe_text import visible
from bmd_edge.sites import SITES

FEW_VISITS = "Films of one visit only: nothing to compare."
NOTHING_SHARED = "No two visits can be compared."
CANNOT_IN_SHORT = "cannot be told from chance"
CANNOT = f"A change {CANNOT_IN_SHORT}"
CANNOT_BE_SAID = "whether it changed cannot be said"
MINUS = "\N{MINUS SIGN}"
DXA = "This does not exclude a loss: DXA."
NOT_EXCLUDED = f"{DXA.rstrip('.')} if indicated."
NO_PRECISION = (
    f"{CANNOT_BE_SAID.capitalize()}: how far films of one unchanged hip differ is not known of films read as these"
    f" were. {NOT_EXCLUDED}"
)
PHANTOM = (
    f"{CANNOT_BE_SAID.capitalize()}: this clinic's precision is not known, and that of a digital phantom (synthetic)"
    f" judges nothing here, however the dots lie. {NOT_EXCLUDED}"
)


ONLY_JUST = "Only just beyond chance"


class Said(NamedTuple):
    """A sentence, and the label of its box, empty for small print; `bold` are the first words of it that stand out."""

    text: str
    label: str = UNCLEAR
    bold: str = ""

    @property
    def shown(self) -> str:
        """How it is shown: "stated", where a change is told that nothing speaks against; "small"; or empty."""
        return {LOWER: "stated", HIGHER: "stated", "": "small"}.get(self.label, "")


def said(followed: Followed, known: RepeatabilityFile | None, other_hip: Followed | None = None) -> list[Said]:
    """What is said of one hip: whose films these are where that is in doubt, what is stated or not and what to do, what
    speaks against it, what is not compared, and the small print.
    """
    if not followed.changes:
        nothing = FEW_VISITS if len(followed.series.visits) == 1 else NOTHING_SHARED
        of_units = (Said(line, "") for line in _units(followed.series, known))
        return [*map(Said, [nothing, *_parted(followed.series)]), *_beside(followed), *of_units]
    lines = [*map(Said, _identity(followed, other_hip))]
    letters, out = letters_of(followed.series), {one.part[0]: one for one in first_out(followed)}
    firsts = list(dict.fromkeys(one.first for one in followed.changes))
    for first in firsts:
        letter = f"{letters[first]}: " if letters[first] else ""
        changes = [one for one in followed.changes if one.first is first]
        for one in changes:
            if one.stated and not withheld(followed, one):
                lines.append(_stated(followed, one, other_hip, letter))
        if first in out:
            lines.append(Said(letter + _first_out(out[first])))
        if rest := [one for one in changes if not one.stated]:
            lines.append(Said(letter + _not_stated(rest, known, both_step=first in out and out[first].both_step)))
    doubts_and_parts = [*_out(out_of_line(followed)), *_parted(followed.series)]
    small = [
        *_goes_on(followed.series),
        *_small_print([one for one in followed.changes if one.first is firsts[-1]], followed),
        *_units(followed.series, known),
    ]
    return [*lines, *map(Said, doubts_and_parts), *_beside(followed), *(Said(line, "") for line in small)]


def _beside(followed: Followed) -> list[Said]:
    """Not "left out": on a card of hips, left is a side."""
    return [Said(followed.beside, NOT_SHOWN)] if followed.beside else []


def _identity(followed: Followed, other_hip: Followed | None) -> Iterator[str]:
    if pairs := [pair for pair in apart(followed, other_hip) if pair.of_other_hip]:
        both = [one for pair in pairs for one in (pair.one, pair.other)]
        first, last = min(one.first.taken for one in both), max(one.last.taken for one in both)
        judged = all(one.precision_from == "clinic" for one in both)
        opposite = any(pair.one.beyond and pair.other.beyond for pair in pairs)
        within = ", one of them within chance" if judged and not opposite else ""
        yield (
            "Left and right may have been exchanged: check the side markers of the films of both visits of both hips."
            f" The estimates of this patient's hips differ in opposite directions{within} ({first} to {last})."
        )
    for one in jumps(followed):
        yield (
            f"First check that the films of {one.before.taken} and {one.after.taken} are of this patient and hip: from"
            f" one to the other the estimates differ by {_sizes(one.change_gcm2, one.before)}, more than bone plausibly"
            " changes. Until then no change across them is told; DXA either way."
        )
    for visit, ranges in films_apart(followed):
        sizes = " and ".join(f"{size:.3f} g/cm² ({SITE_WORDS[site].lower()})" for site, size in ranges.items())
        yield (
            f"The films of {visit.taken} differ by {sizes}, more than films of one hip do by chance: one of them is off"
            " or shows another hip, and their mean with it. First look at them; then DXA."
        )


def _stated(followed: Followed, one: Change, other_hip: Followed | None, letter: str) -> Said:
    doubts, least = spoken_against(followed, one, other_hip), one.lsc_gcm2 or 0.0
    bold, how = (ONLY_JUST, _direction(one)) if one.only_just else ("", _in_short(one))
    other = f", but {_other_site(followed, one)}" if "other_site" in doubts else ""
    look = "First look at the films; then DXA." if set(doubts) - {"only_just"} else "Confirm by DXA."
    text = (
        f"{letter}{SITE_WORDS[one.site]}, {one.first.taken} to {one.last.taken}: {how}{other}: {_size(one)}, 95 %"
        f" interval {signed(one.change_gcm2 - least)} to {signed(one.change_gcm2 + least)}: a smaller or larger true"
        f" change is possible. {_chance([one])} Up to 5 in 100 unchanged hips are ever told a change. {look}"
    )
    label = _direction(one).upper() if is_clear(followed, one, other_hip) else UNCLEAR
    return Said(f"{bold}. {text}" if bold else text, label, bold)


def _other_site(followed: Followed, change: Change) -> str:
    pair = next(one for one in apart(followed, None) if one.one is change)
    site, least = f"the {SITE_WORDS[pair.other.site].lower()}", pair.other.lsc_gcm2 or 0.0
    if pair.other_way and pair.other.beyond:
        return f"{site} goes the other way"
    too = "" if pair.other_way or 2 * abs(pair.other.change_gcm2) < least else f", {_direction(change)} too,"
    return f"{site}{too} is not beyond chance"


def _first_out(one: FirstOut) -> str:
    return (
        f"The first visit, {one.part[0].taken}, is out of line with the {one.later} after it, which agree:"
        f" {_sizes(one.change_gcm2, one.part[0])} from it to their mean. One visit out of line does not tell a change."
        f" It may be the pose, the exposure, chance, another person's hip, or a loss before {one.part[1].taken}. First"
        f" look at that film; then DXA{'' if one.both_step else ' if indicated'}."
    )


def _not_stated(changes: Sequence[Change], known: RepeatabilityFile | None, both_step: bool) -> str:
    whose = changes[0].precision_from
    if whose == "clinic":
        differ = " and ".join(f"{_size(one)} ({SITE_WORDS[one.site].lower()})" for one in changes)
        first, last = changes[0].first.taken, changes[0].last.taken
        return f"{CANNOT}: {first} to {last} {differ}. {_chance(changes)} {DXA if both_step else NOT_EXCLUDED}"
    if whose == "other_unit" and known:
        units, unit = visible(", ".join(known.units)), visible(changes[0].first.unit)
        return (
            f"{CANNOT_BE_SAID.capitalize()}: the precision was measured on {units}, not on {unit}, which took these"
            f" films. {NOT_EXCLUDED}"
        )
    return PHANTOM if whose == "phantom" else NO_PRECISION


def _chance(changes: Sequence[Change]) -> str:
    """The numbers that judge the changes, given as the changes are: the percentages are of the first visit too."""
    several = len(changes) > 1
    near = f" {'One of these' if several else 'This'} is close to that." if any(one.just_not for one in changes) else ""
    each = [_up_to(one) + f" ({SITE_WORDS[one.site].lower()})" * several for one in changes]
    return f"Differences up to {' and '.join(each)} can arise by chance here.{near}"


def _up_to(one: Change) -> str:
    least = one.lsc_gcm2 or 0.0
    return f"{least:.3f} g/cm², {round(100 * least / one.first.mean_gcm2(one.site))}\N{NO-BREAK SPACE}%"


def _size(one: Change) -> str:
    return _from_first(one.change_gcm2, one.first, one.site)


def _sizes(by_site: dict[str, float], first: Visit) -> str:
    return " and ".join(
        f"{_from_first(size, first, site)} ({SITE_WORDS[site].lower()})" for site, size in by_site.items()
    )


def _from_first(size_gcm2: float, first: Visit, site: str) -> str:
    percent = round(100 * size_gcm2 / first.mean_gcm2(site))
    return f"{signed(size_gcm2)} g/cm², {f'{percent:+d}'.replace('-', MINUS) if percent else 0}\N{NO-BREAK SPACE}%"


def _out(found: Sequence[OutOfLine]) -> Iterator[str]:
    """One sentence for each part: several visits may be out of line, or the last one is."""
    for _, some in groupby(found, lambda one: one.first):
        yield _one_out(*several) if len(several := list(some)) == 1 else _several_out(several)


def _several_out(several: Sequence[OutOfLine]) -> str:
    each = "; ".join(f"{one.visit.taken}, {_sizes(one.change_gcm2, one.first)}" for one in several)
    return (
        f"Outside the band lie {each}. The last visit does not: it may be the one out of line, and neither a change nor"
        " that there was none is told. It may be the pose, the exposure, chance, another person's hip, or a loss and"
        " then a gain. First look at these films and the last; then DXA."
    )


def _one_out(one: OutOfLine) -> str:
    return (
        f"{one.visit.taken} lies outside the band, {_sizes(one.change_gcm2, one.first)}, and the last visit does not:"
        " one visit out of line does not tell a change. It may be the pose, the exposure, chance, another person's"
        " hip, or a loss and then a gain: look at that film."
    )


def _parted(series: Series) -> Iterator[str]:
    """Which visits are not compared with which, and why."""
    parts = series.parts
    begins = {one.after: one for one in series.breaks}
    for number, part in enumerate(parts[1:], 1):
        before = " or ".join(letter_of(one) for one in range(number))
        dates = " to ".join(dict.fromkeys(visit.taken.isoformat() for visit in (part[0], part[-1])))
        changed = " and another ".join(begins[part[0]].changed)
        yield f"Visits {letter_of(number)} ({dates}): another {changed}, not compared with visits {before}."


def _goes_on(series: Series) -> Iterator[str]:
    """Which visits are compared, though others lie between them."""
    order = [letters_of(series)[visit] for visit in series.visits]
    if len(list(_runs(order))) > len(series.parts):
        yield "Visits of one letter are compared with each other, also where others lie between them."


def _runs(letters: Sequence[str]) -> Iterator[str]:
    return (one for one, before in zip(letters, ["", *letters], strict=False) if one != before)


def _units(series: Series, known: RepeatabilityFile | None) -> Iterator[str]:
    """How far the X-ray units differ by which visits are not compared, where a clinic's precision is known."""
    starts = {part[0]: letter_of(number) for number, part in enumerate(series.parts)}
    for one in series.breaks:
        if CONDITIONS["unit_pseudonym"] in one.changed and one.after in starts and known and known.source == "clinic":
            yield f"Visits {starts[one.after]}: {_unit(between_units(one, known))}"


def _unit(units: BetweenUnits | None) -> str:
    if units is None:
        return "how far the two units differ is not known: no hip was filmed by both."
    differ = " and ".join(f"{_difference(units, site)} ({SITE_WORDS[site].lower()})" for site in SITES)
    return (
        f"of {counted(units.hips, 'hip')} filmed by both units, the later unit's estimates differ by {differ}. Do not"
        " correct this hip by it."
    )


def _difference(units: BetweenUnits, site: str) -> str:
    known = (
        f", 95 % interval {signed(units.low_gcm2[site])} to {signed(units.high_gcm2[site])}" if units.low_gcm2 else ""
    )
    return f"{signed(units.difference_gcm2[site])} g/cm²{known}"


def _small_print(changes: Sequence[Change], followed: Followed) -> Iterator[str]:
    """Of changes that are told the rate; where none is stated, from when on a slow loss could be."""
    told = [one for one in followed.changes if one.stated and not withheld(followed, one)]
    visits = {part[0]: len(part) for part in followed.series.parts}
    yield from (_rate(one, one.rate, visits[one.first]) for one in told if one.rate)
    if any(one.rate is None for one in told):
        yield "No rate is given: how far estimates follow true changes has not been measured here."
    if rest := [one.years_to_tell or 0.0 for one in changes if not one.stated and one.precision_from == "clinic"]:
        yield (
            f"Losses are missed here, large ones too: one of 1 % a year is told after {math.ceil(min(rest))} years at"
            " the earliest, in every second hip. A next film will hardly settle it: whether DXA is due is decided as"
            " without these films."
        )


def _rate(one: Change, rate: Rate, visits: int) -> str:
    """The slope over all visits, whose interval is relatively narrower than that of the change: it says why."""
    value, low, high = (signed(end) for end in (rate.value, rate.low, rate.high))
    return (
        f"{SITE_WORDS[one.site]}, corrected for how estimates follow true changes: {value} g/cm² a year over"
        f" {one.years:.1f} years, 95 % interval {low} to {high}; of the slope over all {visits} visits, and"
        " so narrower than that of the change."
    )


def verdict(followed: Followed, site: str, other_hip: Followed | None = None) -> str:
    """What the chart of a site says, for those who read nothing else; by letter where there are several parts."""
    parts = followed.series.parts
    found = []
    for number, part in enumerate(parts):
        letter = f"{letter_of(number)}: " if len(parts) > 1 else ""
        for one in followed.changes:
            if one.site == site and one.first is part[0]:
                found.append(letter + ", ".join(_heading(followed, one, part, other_hip)))
        if len(part) == 1 and followed.changes:
            found.append(f"{letter}one visit only")
    return "; ".join(found) or NOTHING_SHARED.rstrip(".").lower()


def _heading(followed: Followed, change: Change, part: Sequence[Visit], other_hip: Followed | None) -> Iterator[str]:
    doubts = spoken_against(followed, change, other_hip)
    exchanged = "left and right may be exchanged; otherwise " if "other_hip" in doubts else ""
    if "first_out" in doubts:
        yield (
            "the band does not judge here: the first visit is out of line with the"
            f" {len(part) - 1} after it, which agree"
        )
        return
    if "implausible" in doubts:
        yield "differs more than bone plausibly does"
    if "implausible" in doubts or withheld(followed, change):
        yield "first look at the films"
    short = CANNOT_BE_SAID if withheld(followed, change) else _in_short(change)
    yield f"{exchanged}it {short}" if exchanged and short == CANNOT_IN_SHORT else exchanged + short
    if "other_site" in doubts:
        yield f"but {_other_site(followed, change)}"
    if "films_apart" in doubts:
        yield "films of one date differ beyond chance"
    out = [one for one in out_of_line(followed) if change.site in one.change_gcm2 and one.visit in part]
    if out:
        dates = " and ".join(one.visit.taken.isoformat() for one in out)
        yield f"{dates} {'lies' if len(out) == 1 else 'lie'} outside and the last visit does not"


def _in_short(one: Change) -> str:
    if one.stated:
        way = _direction(one)
        return f"{ONLY_JUST.lower()}, {way}" if one.only_just else f"{way}, beyond chance"
    return CANNOT_IN_SHORT if one.precision_from == "clinic" else CANNOT_BE_SAID


def _direction(one: Change) -> str:
    return "lower" if one.change_gcm2 < 0 else "higher"


def signed(value: float) -> str:
    """A difference with its sign, three places, a true minus."""
    return f"{value:+.3f}".replace("-", MINUS)


def title(series: Series) -> str:
    """The hip, in words."""
    return f"{ {'R': 'Right', 'L': 'Left'}[series.side] } hip"
