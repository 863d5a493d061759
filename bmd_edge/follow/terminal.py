"""What a terminal shows of series: the sentences of the page, in lines that fit."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from bmd_edge.follow.change import Followed
from bmd_edge.follow.doubts import other_hips
from bmd_edge.follow.key import rests_on
from bmd_edge.follow.repeatability import RepeatabilityFile
from bmd_edge.follow.series import LEFT_OUT, Finding
from bmd_edge.follow.words import said, title
from bmd_edge.report.in_words import counted
from bmd_edge.report.safe_text import visible

TO_MEASURE = {
    None: "`bmd-edge precision` measures this clinic's precision; give its file with --repeatability.",
    "phantom": "`bmd-edge precision` measures this clinic's precision; give its file with --repeatability.",
    "other_unit": "`bmd-edge precision` measures the precision of further X-ray units, from a table with their films.",
}
"""What whoever runs the program can do where a precision is not that of the films' X-ray unit."""


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
            yield filled(f"{one.label}: {one.text}" if one.label else one.text, width, "  ")
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
