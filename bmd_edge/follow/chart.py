"""A series drawn: estimates with their intervals over the years, and the band that an unchanged hip stays in.

No line joins the dots: the eye would read a course where there is none to tell. All lengths are in pixels of the
drawing, from its top-left corner.
"""

import math
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from bmd_edge.follow.change import Change, Followed
from bmd_edge.follow.doubts import has_band
from bmd_edge.follow.key import BAND_WORDS
from bmd_edge.follow.series import Series, Visit
from bmd_edge.sites import SITES

WIDTH, HEIGHT = 540, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 20.0, 12.0, 26.0
_STEP_GCM2 = 0.1
_DATE_PX = 100.0
"""What a date below the axis takes, on paper, where letters are larger."""


_LINE_PX, _LETTER_PX = 16.0, 8.0
"""What a line of the words at a band takes, and a letter of it, where letters are largest."""
_APART_PX = 19.0
"""Dots of two visits lie at least so far apart, so that their letters can be read, if there is room."""

_Across = Mapping[Visit, float]
_Down = Callable[[float], float]


def span_of(hips: Iterable[Followed]) -> float:
    """What the charts of hips that stand on one page all span, so that a step is as high in each; g/cm2."""
    ends = [_range(hip, site, _halves(hip, site)) for hip in hips for site in SITES]
    return max((high - low for low, high in ends), default=0.0)


def chart(followed: Followed, site: str, span_gcm2: float = 0.0) -> dict[str, Any]:
    """The drawing of one site, for the page's template, which spans at least so much."""
    series = followed.series
    halves, letters = _halves(followed, site), letters_of(series)
    bands = _drawn(followed, site)
    low, high = _range(followed, site, halves)
    spare = round((span_gcm2 - (high - low)) / _STEP_GCM2)
    low -= max(spare // 2, 0) * _STEP_GCM2
    high = max(high, low + span_gcm2)
    across, down = _across(series.visits), _down(low, high)
    steps = range(round(low / _STEP_GCM2), round(high / _STEP_GCM2) + 1)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "bottom": HEIGHT - _BOTTOM,
        "top": _TOP,
        "lines": [{"y": down(step * _STEP_GCM2), "text": f"{step * _STEP_GCM2:.1f}"} for step in steps],
        "dates": _dates(series.visits, across),
        "bands": _bands(bands, _words_at(followed, bands), [down(one.mean_gcm2(site)) for one in halves], across, down),
        "dots": [_dot(visit, halves[visit], letters[visit], site, across, down) for visit in series.visits],
        "breaks": [round((across[one.before] + across[one.after]) / 2, 1) for one in series.cuts],
    }


def letters_of(series: Series) -> dict[Visit, str]:
    """By which letter each visit is marked; by none where all may be compared."""
    parts = series.parts
    return {visit: letter_of(n) if len(parts) > 1 else "" for n, part in enumerate(parts) for visit in part}


def letter_of(part: int) -> str:
    """A, B, C ... by which the visits of one part are marked where there are several."""
    return chr(ord("A") + part % 26)


def _halves(followed: Followed, site: str) -> dict[Visit, float]:
    parts = zip(followed.series.parts, followed.sd_gcm2, strict=True)
    return {visit: visit.half_gcm2(site, sd[site]) for part, sd in parts for visit in part}


def _drawn(followed: Followed, site: str) -> list[Change]:
    """The changes whose bands are drawn: of two at one time the stated, then the longer."""
    judged = [one for one in followed.changes if one.site == site and has_band(followed, one)]
    found: list[Change] = []
    for one in sorted(judged, key=lambda one: (one.stated, one.years), reverse=True):
        if all(one.last.taken < other.first.taken or other.last.taken < one.first.taken for other in found):
            found.append(one)
    return found


def _words_at(followed: Followed, bands: Sequence[Change]) -> list[str]:
    """What stands at each band."""
    letters = letters_of(followed.series)
    return [f"{letter}: {BAND_WORDS}" if (letter := letters[one.first]) else BAND_WORDS for one in bands]


def _range(followed: Followed, site: str, halves: Mapping[Visit, float]) -> tuple[float, float]:
    ends = [visit.mean_gcm2(site) + sign * half for visit, half in halves.items() for sign in (-1, 1)]
    bands = _drawn(followed, site)
    ends += [one.first.mean_gcm2(site) + sign * (one.lsc_gcm2 or 0.0) for one in bands for sign in (-1, 1)]
    return math.floor(min(ends) / _STEP_GCM2) * _STEP_GCM2, math.ceil(max(ends) / _STEP_GCM2) * _STEP_GCM2


def _across(visits: Sequence[Visit]) -> dict[Visit, float]:
    """x of each visit, by its date; visits that would cover each other stand side by side, all off the edges."""
    first, days = visits[0].taken, max((visits[-1].taken - visits[0].taken).days, 1)
    left, room = _LEFT + _DATE_PX / 2, WIDTH - _LEFT - _RIGHT - _DATE_PX
    apart = min(_APART_PX, room / max(len(visits) - 1, 1))
    found: list[float] = []
    for visit in visits:
        found.append(max(left + room * (visit.taken - first).days / days, *(x + apart for x in found[-1:]), 0.0))
    latest = left + room
    for number in reversed(range(len(found))):
        found[number] = latest = min(found[number], latest)
        latest -= apart
    return {visit: round(x, 1) for visit, x in zip(visits, found, strict=True)}


def _down(low: float, high: float) -> _Down:
    """BMD in g/cm2 -> y."""
    return lambda bmd: round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (high - bmd) / (high - low), 1)


def _dates(visits: Sequence[Visit], across: _Across) -> list[dict[str, Any]]:
    """The dates that have room, the last one always."""
    places = [
        (sum(xs) / len(xs), taken.isoformat())
        for taken, some in groupby(visits, lambda one: one.taken)
        if (xs := [across[one] for one in some])
    ]
    shown: list[dict[str, Any]] = []
    end = places[-1][0]
    for x, text in places:
        free = not shown or x - shown[-1]["x"] >= _DATE_PX
        if x == end or (free and end - x >= _DATE_PX):
            shown.append({"x": round(x, 1), "text": text})
    return shown


def _bands(
    changes: Sequence[Change], said: Sequence[str], taken_y: list[float], across: _Across, down: _Down
) -> list[dict[str, Any]]:
    """Where the last estimate of an unchanged hip would lie, from the first visit of a part to the last.

    What a band is stands along its upper or its lower edge, where fewer dots and other words are (`taken_y`).
    """
    found = []
    for one, text_at in zip(changes, said, strict=True):
        middle, least = one.first.mean_gcm2(one.site), one.lsc_gcm2 or 0.0
        x, top, bottom = across[one.first] - 12, down(middle + least), down(middle - least)
        words = textwrap.wrap(text_at, max(int((across[one.last] - across[one.first]) / _LETTER_PX), 10))
        height = _LINE_PX * len(words)
        text_y = min(top, bottom - height, key=lambda y: sum(y - 8 < dot < y + height + 8 for dot in taken_y))
        taken_y = [*taken_y, *(text_y + _LINE_PX * (line + 0.5) for line in range(len(words)))]
        found.append(
            {
                "x": round(x, 1),
                "y": top,
                "width": round(across[one.last] + 12 - x, 1),
                "height": round(bottom - top, 1),
                "words": [
                    {"y": round(text_y + _LINE_PX * (n + 0.75), 1), "text": text} for n, text in enumerate(words)
                ],
            }
        )
    return found


def _dot(visit: Visit, half: float, letter: str, site: str, across: _Across, down: _Down) -> dict[str, Any]:
    mean, n = visit.mean_gcm2(site), len(visit.films)
    return {
        "x": across[visit],
        "y": down(mean),
        "y_low": down(mean - half),
        "y_high": down(mean + half),
        "letter": letter,
        "said": f"{visit.taken}: {mean:.3f} ({mean - half:.3f} to {mean + half:.3f}) g/cm², {n} film{'s' * (n > 1)}",
    }
