"""What can be said of a series, in sentences. None of them says that a hip has not changed."""

import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bmd_edge.follow.change import Change, Followed, between_units
from bmd_edge.follow.chart import letter_of, letters_of
from bmd_edge.follow.doubts import Apart, Jump, OutOfLine, apart, jumps, other_hips, out_of_line
from bmd_edge.follow.key import SITE_WORDS, rests_on
from bmd_edge.follow.repeatability import BetweenUnits, RepeatabilityFile
from bmd_edge.follow.series import CONDITIONS, LEFT_OUT, Break, Finding, Series, Visit
from bmd_edge.report.in_words import counted
from bmd_edge.report.safe_text import visible
from bmd_edge.sites import SITES

FEW_VISITS = "Films of one visit only: nothing to compare."
CANNOT_BE_SAID = "whether it changed cannot be said"
_OUTSIDE = "a dot outside it proves nothing either"
_FROM_WHAT = "from films that were taken anyway"
NO_PRECISION = (
    f"{CANNOT_BE_SAID.capitalize()}: how far films of one unchanged hip differ is not known for the networks that read"
    f" these. This clinic can measure it {_FROM_WHAT}."
)
PHANTOM = (
    f"{CANNOT_BE_SAID.capitalize()}: this clinic's precision is not known. The dashed band is that of a digital phantom"
    f" (synthetic): {_OUTSIDE}. The clinic can measure its own {_FROM_WHAT}."
)
NOTHING_SHARED = "No two visits can be compared."
CANNOT = "A change cannot be told from chance"
TO_MEASURE = {
    None: "`bmd-edge precision` measures this clinic's precision; give its file with --repeatability.",
    "phantom": "`bmd-edge precision` measures this clinic's precision; give its file with --repeatability.",
    "other_unit": "`bmd-edge precision` measures the precision of further X-ray units, from a table with their films.",
}
"""What whoever runs the program can do where a precision is not that of the films' X-ray unit."""


class Said(NamedTuple):
    """A sentence, and whether it states a change."""

    text: str
    stated: bool = False


def said(followed: Followed, known: RepeatabilityFile | None, other_hip: Followed | None = None) -> list[Said]:
    """What is said of one hip: what is not compared, what is stated or cannot be, then what speaks against it."""
    lines = [Said(line) for line in _parted(followed.series, known)]
    if not followed.changes:
        return [*lines, Said(FEW_VISITS if len(followed.series.visits) == 1 else NOTHING_SHARED)]
    letters, firsts = letters_of(followed.series), list(dict.fromkeys(one.first for one in followed.changes))
    for first in firsts:
        letter = f"{letters[first]}: " if letters[first] else ""
        changes = [one for one in followed.changes if one.first is first]
        lines += [Said(letter + _stated(one), stated=True) for one in changes if one.stated]
        if rest := [one for one in changes if not one.stated]:
            lines.append(Said(letter + _not_stated(rest, known)))
            if first is firsts[-1] and rest[0].precision_from:
                lines.append(Said(_soonest(rest)))
    doubts = [*map(_out, out_of_line(followed)), *_apart(apart(followed, other_hip)), *map(_jumped, jumps(followed))]
    return [*lines, *map(Said, doubts)]


def _not_stated(changes: Sequence[Change], known: RepeatabilityFile | None) -> str:
    whose = changes[0].precision_from
    if whose == "clinic":
        return _untold(changes)
    if whose == "other_unit" and known:
        units, unit = visible(", ".join(known.units)), visible(changes[0].first.unit)
        return (
            f"{CANNOT_BE_SAID.capitalize()}: the precision was measured on {units}, not on {unit}, which took these"
            f" films; they may differ by more. The dashed band is that of the former: {_OUTSIDE}. The clinic can"
            f" measure it on this X-ray unit {_FROM_WHAT}."
        )
    return PHANTOM if whose == "phantom" else NO_PRECISION


def _parted(series: Series, known: RepeatabilityFile | None) -> list[str]:
    """Where another part begins, and which parts go on after it."""
    parts, lines = series.parts, []
    begins = {one.after: one for one in series.breaks}
    for number, part in enumerate(parts[1:], 1):
        before = " or ".join(letter_of(one) for one in range(number))
        lines.append(_begun(begins[part[0]], letter_of(number), before, known))
    for number, part in enumerate(parts):
        between = [
            letter_of(other)
            for other, visits in enumerate(parts)
            if any(part[0].taken < one.taken < part[-1].taken for one in visits) and other != number
        ]
        if between:
            lines.append(
                f"Visits {letter_of(number)} lie before and after {' and '.join(between)}, and are compared with each"
                " other."
            )
    return lines


def _begun(one: Break, letter: str, before: str, known: RepeatabilityFile | None) -> str:
    line = (
        f"Visits {letter} (from {one.after.taken} on): another {' and another '.join(one.changed)}, not compared with"
        f" visits {before}."
    )
    if CONDITIONS["unit_pseudonym"] not in one.changed or known is None or known.source != "clinic":
        return line
    units = between_units(one, known)
    if units is None:
        return f"{line} How far the two units differ is not known: no hip was filmed by both."
    differ = " and ".join(f"{_difference(units, site)} ({SITE_WORDS[site].lower()})" for site in SITES)
    return (
        f"{line} Of {counted(units.hips, 'hip')} filmed by both, the later unit's estimates differ by {differ} g/cm²."
    )


def _difference(units: BetweenUnits, site: str) -> str:
    known = f", {signed(units.low_gcm2[site])} to {signed(units.high_gcm2[site])}" if units.low_gcm2 else ""
    return f"{signed(units.difference_gcm2[site])}{known}"


def verdict(followed: Followed, site: str, other_hip: Followed | None = None) -> str:
    """What the chart of a site says, for those who read nothing else; by letter where there are several parts."""
    parts = followed.series.parts
    found = []
    for number, part in enumerate(parts):
        letter = f"{letter_of(number)}: " if len(parts) > 1 else ""
        for one in followed.changes:
            if one.site == site and one.first is part[0]:
                found.append(letter + ", ".join([_in_short(one), *_doubts_in_short(followed, one, part, other_hip)]))
        if len(part) == 1 and followed.changes:
            found.append(f"{letter}one visit only")
    return "; ".join(found) or NOTHING_SHARED.rstrip(".").lower()


def _doubts_in_short(
    followed: Followed, change: Change, part: Sequence[Visit], other_hip: Followed | None
) -> Iterator[str]:
    for out in out_of_line(followed):
        if change.site in out.change_gcm2 and out.visit in part:
            yield f"{out.visit.taken} lies outside and the last visit does not"
    if any(change.site in one.change_gcm2 and one.before in part for one in jumps(followed)):
        yield "differs more than bone plausibly does"
    if any(one.of_other_hip and one.one is change for one in apart(followed, other_hip)):
        yield "the other hip goes the other way"


def _in_short(one: Change) -> str:
    if one.stated:
        return f"{'lower' if one.change_gcm2 < 0 else 'higher'}, beyond chance"
    return "cannot be told from chance" if one.precision_from == "clinic" else CANNOT_BE_SAID


def _sizes(by_site: dict[str, float]) -> str:
    return " and ".join(f"{signed(size)} ({SITE_WORDS[site].lower()})" for site, size in by_site.items())


def _out(one: OutOfLine) -> str:
    return (
        f"{one.visit.taken} lies outside the band, {_sizes(one.change_gcm2)} g/cm², and the last visit does not: one"
        " visit out of line is no change. It may be the pose, the exposure, chance, another person's hip, or a loss"
        " that was made up for: look at that film."
    )


def _apart(pairs: Sequence[Apart]) -> Iterator[str]:
    for one in (one for one in pairs if not one.of_other_hip):
        how = "goes the other way" if one.other_way else "does not bear it out"
        size, site = signed(one.other.change_gcm2), SITE_WORDS[one.other.site].lower()
        yield f"The two sites do not agree: the {site} {how} ({size} g/cm²). Look at the films."
    if others := {one.other.site: one.other for one in pairs if one.of_other_hip}:
        first, last = (min(one.first.taken for one in others.values()), max(one.last.taken for one in others.values()))
        sizes = _sizes({site: one.change_gcm2 for site, one in others.items()})
        yield (
            f"The other hip goes the other way: {sizes} g/cm², {first} to {last}. Look at the films of both hips before"
            " taking either for a change."
        )


def _untold(changes: Sequence[Change]) -> str:
    first, last = changes[0].first.taken, changes[0].last.taken
    differ = _sizes({one.site: one.change_gcm2 for one in changes})
    least = " and ".join(dict.fromkeys(f"{one.lsc_gcm2:.3f}" for one in changes))
    unchanged = f"those of 95 of 100 unchanged hips by up to {least} g/cm²"
    return f"{CANNOT}. {first} to {last} the estimates differ by {differ}, {unchanged}."


_IF = {
    "other_unit": ", if this X-ray unit were as precise as that one",
    "phantom": ", if this clinic were as precise as the phantom",
}


def _soonest(changes: Sequence[Change]) -> str:
    """When half of such losses would be told: a change as large as the least one lies beyond it every second time."""
    one = min(changes, key=lambda one: one.years_to_tell or 0.0)
    return (
        f"At the {SITE_WORDS[one.site].lower()} a loss of 1 % a year could be told {math.ceil(one.years_to_tell or 0)}"
        f" years after the film of {one.first.taken} at the earliest{_IF.get(one.precision_from or '', '')}, and then"
        " of every second hip: seeing no change does not exclude such a loss."
    )


def _jumped(one: Jump) -> str:
    return (
        f"{one.before.taken} to {one.after.taken} the estimates differ by {_sizes(one.change_gcm2)} g/cm², more than"
        " bone plausibly changes. It may be another person's hip, or have another cause: look at both films."
    )


def _stated(one: Change) -> str:
    size, least = abs(one.change_gcm2), one.lsc_gcm2 or 0.0
    way = "lower" if one.change_gcm2 < 0 else "higher"
    return (
        f"{SITE_WORDS[one.site]}, {one.first.taken} to {one.last.taken}: the estimate is {way} by {size:.3f} g/cm²"
        f" (95 % interval {size - least:.3f} to {size + least:.3f}), beyond chance ({least:.3f}): of 100 unchanged hips"
        f" at most 5 ever differ so much, at any visit and either site. Confirm by DXA. {_rate(one)}"
    )


def _rate(one: Change) -> str:
    if one.rate is None:
        return "No rate is given: how far estimates follow true changes has not been measured here."
    value, low, high = (signed(end) for end in (one.rate.value, one.rate.low, one.rate.high))
    return f"Corrected for how estimates follow true changes: {value} g/cm² a year ({low} to {high}, 95 %)."


def signed(value: float) -> str:
    """A difference with its sign, three places, a true minus."""
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")


def title(series: Series) -> str:
    """The hip, in words."""
    return f"{ {'R': 'Right', 'L': 'Left'}[series.side] } hip"


def summary(
    hips: Sequence[Followed],
    of_one_visit: int,
    findings: Sequence[Finding],
    known: RepeatabilityFile | None,
    file: str,
    most: int,
    width: int,
) -> Iterator[str]:
    """What a terminal of so many columns shows: hips of several visits, at most `most`, stated changes first; then
    whose precision (in `file`) they rest on, and what is missing.
    """
    in_order, others = sorted(hips, key=lambda one: not any(change.stated for change in one.changes)), other_hips(hips)
    for followed in in_order[:most]:
        series = followed.series
        yield filled(
            f"{series.patient}, {title(series).lower()}: {len(series.visits)} visits, {series.visits[0].taken} to"
            f" {series.visits[-1].taken}",
            width,
        )
        for one in said(followed, known, others.get((series.patient, series.side))):
            yield filled(one.text, width, "  ")
    if len(hips) > most:
        yield filled(f"The first {most} hips; all {len(hips)} stand in follow.html and follow.csv.", width)
    yield filled(f"{counted(len(hips), 'hip')} with films of several visits, {of_one_visit} of one visit only.", width)
    for line in rests_on(hips, known):
        yield filled(f"{line}{f' File: {visible(file)}.' if file else ''}", width)
    lacking = {one.precision_from for hip in hips for one in hip.changes} - {"clinic"}
    for remedy in dict.fromkeys(TO_MEASURE[one] for one in TO_MEASURE if one in lacking):
        yield filled(remedy, width)
    for code, _n in Counter(one.code for one in findings).most_common():
        files = list(dict.fromkeys(visible(one.file) for one in findings if one.code == code))
        line = f"{counted(len(files), 'film')} in no series. {LEFT_OUT[code][0]} {LEFT_OUT[code][1]}"
        yield filled(line, width)
        more = f" and {len(files) - 6} more in follow.json" if len(files) > 6 else ""
        yield filled(f"{', '.join(files[:6])}{more}", width, "  ")


def filled(line: str, width: int, indent: str = "") -> str:
    """Lines of at most so many columns; no date and no name is cut in two."""
    return textwrap.fill(
        line,
        width,
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
