"""What can be said of a series, in sentences. None of them says that a hip has not changed."""

import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from bmd_edge.follow.change import Change, Followed, Jump, between_units, figures_of, jumps
from bmd_edge.follow.chart import letter_of
from bmd_edge.follow.repeatability import BetweenUnits, RepeatabilityFile
from bmd_edge.follow.series import CONDITIONS, LEFT_OUT, Break, Finding, Series, Visit
from bmd_edge.report.in_words import counted
from bmd_edge.report.safe_text import visible
from bmd_edge.sites import SITES

SITE_WORDS = {"femoral_neck": "Femoral neck", "total_hip": "Total hip"}
FEW_VISITS = "Films of one visit only: nothing to compare."
CANNOT_BE_SAID = "whether it changed cannot be said"
NO_PRECISION = (
    f"{CANNOT_BE_SAID.capitalize()}: how far films of one unchanged hip differ is not known for this bundle. Measure it"
    " with `bmd-edge precision`, and give its file with --repeatability."
)
PHANTOM = (
    f"{CANNOT_BE_SAID.capitalize()}: this clinic's precision is not known. Measure it with `bmd-edge precision`, from"
    " films that were taken anyway. The dashed band is that of a digital phantom (synthetic): a dot outside it proves"
    " nothing either."
)
NOTHING_SHARED = "No two visits can be compared."
CANNOT = "A change cannot be told from chance"


def rests_on(hips: Sequence[Followed], known: RepeatabilityFile | None, file: str) -> str:
    """On whose precision all of it rests; nothing where none is known."""
    visits = [one.last for followed in hips for one in followed.changes]
    counts = [one.hips for visit in visits for one in figures_of(visit, known).values()]
    if known is None or not counts:
        return ""
    measured = f"{counted(min(counts), 'hip')} with repeated films"
    if known.source == "phantom":
        return f"The band is by the precision of a digital phantom (synthetic): {measured}."
    units = visible(", ".join(known.units))
    return f"Changes are judged by the precision in {visible(file)}: {measured} by {units}."


def said(followed: Followed, known: RepeatabilityFile | None) -> list[str]:
    """What is said of one hip, the breaks first."""
    lines = [_broken(one, known) for one in followed.series.breaks]
    if not followed.changes:
        return [*lines, FEW_VISITS if len(followed.series.visits) == 1 else NOTHING_SHARED]
    measured = known is not None and known.source == "clinic"
    if not measured and any(one.lsc_gcm2 for one in followed.changes):
        lines.append(PHANTOM)
    for part in dict.fromkeys(one.first for one in followed.changes):
        changes = [one for one in followed.changes if one.first is part]
        lines += _other_unit(part, known) if measured and known else []
        lines += [_stated(one) for one in changes if one.stated]
        untold = [one for one in changes if not one.stated and one.lsc_gcm2 is not None]
        if untold:
            lines.append(f"{_untold(untold) if measured else ''}{_soonest(untold, measured)}")
        lines += [NO_PRECISION] * any(one.lsc_gcm2 is None for one in changes)
    return lines + [_jumped(one) for one in jumps(followed)]


def _other_unit(visit: Visit, known: RepeatabilityFile) -> list[str]:
    unit = visit.films[0].unit
    if unit in known.units:
        return []
    return [
        f"Caution: the precision was measured on {visible(', '.join(known.units))}, not on {visible(unit)} of the films"
        f" from {visit.taken} on: these may differ by more. Measure it on that X-ray unit, from films that were taken"
        " anyway."
    ]


def _broken(one: Break, known: RepeatabilityFile | None) -> str:
    line = f"From {one.after.taken} on another {' and another '.join(one.changed)}: not compared with before."
    if CONDITIONS["unit_pseudonym"] not in one.changed or known is None or known.source != "clinic":
        return line
    units = between_units(one, known)
    if units is None:
        return f"{line} How far the two units differ is not known: no hip was filmed by both for `bmd-edge precision`."
    differ = " and ".join(f"{_difference(units, site)} ({SITE_WORDS[site].lower()})" for site in SITES)
    return (
        f"{line} Of {counted(units.hips, 'hip')} filmed by both, the later unit's estimates differ by {differ} g/cm²."
    )


def _difference(units: BetweenUnits, site: str) -> str:
    known = f", {signed(units.low_gcm2[site])} to {signed(units.high_gcm2[site])}" if units.low_gcm2 else ""
    return f"{signed(units.difference_gcm2[site])}{known}"


def verdict(followed: Followed, site: str, known: RepeatabilityFile | None) -> str:
    """What the chart of a site says, for those who read nothing else; by letter where there are several parts."""
    parts = followed.series.parts
    found = []
    for number, part in enumerate(parts):
        for one in followed.changes:
            if one.site == site and one.first is part[0]:
                letter = f"{letter_of(number)}: " if len(parts) > 1 else ""
                found.append(letter + _in_short(one, known is not None and known.source == "clinic"))
    return "; ".join(found) or NOTHING_SHARED.rstrip(".").lower()


def _in_short(one: Change, measured: bool) -> str:
    if one.stated:
        return f"{'lower' if one.change_gcm2 < 0 else 'higher'}, beyond chance"
    return "cannot be told from chance" if measured and one.lsc_gcm2 is not None else CANNOT_BE_SAID


def _untold(changes: Sequence[Change]) -> str:
    first, last = changes[0].first.taken, changes[0].last.taken
    differ = " and ".join(f"{signed(one.change_gcm2)} ({SITE_WORDS[one.site].lower()})" for one in changes)
    least = " and ".join(dict.fromkeys(f"{one.lsc_gcm2:.3f}" for one in changes))
    unchanged = f"those of an unchanged hip by up to {least} g/cm²"
    return f"{CANNOT}. {first} to {last} the estimates differ by {differ}, {unchanged}. "


def _soonest(changes: Sequence[Change], measured: bool) -> str:
    """When half of such losses would be told: a change as large as the least one lies beyond it every second time."""
    one = min(changes, key=lambda one: one.years_to_tell or 0.0)
    precise = "" if measured else ", if this clinic were as precise as the phantom"
    return (
        f"At the {SITE_WORDS[one.site].lower()} a loss of 1 % a year could be told {math.ceil(one.years_to_tell or 0)}"
        f" years after the film of {one.first.taken} at the earliest{precise}, and then of every second hip: seeing no"
        " change does not exclude such a loss."
    )


def _jumped(one: Jump) -> str:
    sizes = " and ".join(f"{signed(size)} ({SITE_WORDS[site].lower()})" for site, size in one.change_gcm2.items())
    return (
        f"{one.before.taken} to {one.after.taken} the estimates differ by {sizes} g/cm², more than bone plausibly"
        " changes. It may be another person's hip, or have another cause: look at both films."
    )


def _stated(one: Change) -> str:
    size, least = abs(one.change_gcm2), one.lsc_gcm2 or 0.0
    way = "lower" if one.change_gcm2 < 0 else "higher"
    return (
        f"{SITE_WORDS[one.site]}, {one.first.taken} to {one.last.taken}: the estimate is {way} by {size:.3f} g/cm²"
        f" ({size - least:.3f} to {size + least:.3f}, 95 % over all looks at both sites), more than those of an"
        f" unchanged hip differ ({least:.3f}). Confirm by DXA. {_rate(one)}"
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
    in_order = sorted(hips, key=lambda one: not any(change.stated for change in one.changes))
    for followed in in_order[:most]:
        visits = followed.series.visits
        yield filled(
            f"{followed.series.patient}, {title(followed.series).lower()}: {len(visits)} visits, {visits[0].taken} to"
            f" {visits[-1].taken}",
            width,
        )
        for line in said(followed, known):
            yield filled(line, width, "  ")
    if len(hips) > most:
        yield filled(f"The first {most} hips; all {len(hips)} stand in follow.html and follow.csv.", width)
    yield filled(f"{counted(len(hips), 'hip')} with films of several visits, {of_one_visit} of one visit only.", width)
    if whose := rests_on(hips, known, file):
        yield filled(whose, width)
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
