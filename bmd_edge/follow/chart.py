"""A series drawn: estimates with their intervals over the years, and the band that an unchanged hip stays in.

No line joins the dots: the eye would read a course where there is none to tell. All lengths are in pixels of the
drawing, from its top-left corner.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from bmd_edge.follow.change import Change, Followed
from bmd_edge.follow.series import Visit

WIDTH, HEIGHT = 540, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 20.0, 12.0, 26.0
_STEP_GCM2 = 0.1
_DATE_PX = 100.0
"""What a date below the axis takes, on paper, where letters are larger."""


_Across = Callable[[date], float]
_Down = Callable[[float], float]


def chart(followed: Followed, site: str) -> dict[str, Any]:
    """The drawing of one site, for the page's template."""
    parts, visits = followed.series.parts, followed.series.visits
    halves = [
        {visit.taken: visit.half_gcm2(site, sd[site]) for visit in part}
        for part, sd in zip(parts, followed.sd_gcm2, strict=True)
    ]
    changes = {one.first: one for one in followed.changes if one.site == site}
    low, high = _range(parts, halves, site, changes)
    across, down = _across(visits), _down(low, high)
    steps = range(round(low / _STEP_GCM2), round(high / _STEP_GCM2) + 1)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": _LEFT,
        "right": WIDTH - _RIGHT,
        "bottom": HEIGHT - _BOTTOM,
        "top": _TOP,
        "lines": [{"y": down(step * _STEP_GCM2), "text": f"{step * _STEP_GCM2:.1f}"} for step in steps],
        "dates": _dates(visits, across),
        "bands": [_band(part[0], changes.get(part[0]), site, across, down) for part in parts if part[0] in changes],
        "dots": [
            _dot(visit, half[visit.taken], letter_of(number) if len(parts) > 1 else "", site, across, down)
            for number, (part, half) in enumerate(zip(parts, halves, strict=True))
            for visit in part
        ],
        "breaks": [
            round((across(one.before.taken) + across(one.after.taken)) / 2, 1) for one in followed.series.breaks
        ],
    }


def letter_of(part: int) -> str:
    """A, B, C ... by which the visits of one part are marked where there are several."""
    return chr(ord("A") + part % 26)


def _range(
    parts: Sequence[Sequence[Visit]],
    halves: Sequence[Mapping[date, float]],
    site: str,
    changes: Mapping[Visit, Change],
) -> tuple[float, float]:
    ends = []
    for part, half in zip(parts, halves, strict=True):
        ends += [visit.mean_gcm2(site) + sign * max(half[visit.taken], 0.0) for visit in part for sign in (-1, 1)]
        least = changes[part[0]].lsc_gcm2 if part[0] in changes else None
        ends += [part[0].mean_gcm2(site) + sign * (least or 0.0) for sign in (-1, 1)]
    return math.floor(min(ends) / _STEP_GCM2) * _STEP_GCM2, math.ceil(max(ends) / _STEP_GCM2) * _STEP_GCM2


def _across(visits: Sequence[Visit]) -> _Across:
    """Date -> x; the first and the last visit keep off the edges."""
    first, days = visits[0].taken, max((visits[-1].taken - visits[0].taken).days, 1)
    room = WIDTH - _LEFT - _RIGHT - 2 * _DATE_PX / 2
    return lambda taken: round(_LEFT + _DATE_PX / 2 + room * (taken - first).days / days, 1)


def _down(low: float, high: float) -> _Down:
    """BMD in g/cm2 -> y."""
    return lambda bmd: round(_TOP + (HEIGHT - _TOP - _BOTTOM) * (high - bmd) / (high - low), 1)


def _dates(visits: Sequence[Visit], across: _Across) -> list[dict[str, Any]]:
    """The dates that have room, the last one always."""
    shown: list[dict[str, Any]] = []
    end = across(visits[-1].taken)
    for taken in sorted({visit.taken for visit in visits}):
        x = across(taken)
        free = not shown or x - shown[-1]["x"] >= _DATE_PX
        if x == end or (free and end - x >= _DATE_PX):
            shown.append({"x": x, "text": taken.isoformat()})
    return shown


def _band(first: Visit, change: Change | None, site: str, across: _Across, down: _Down) -> dict[str, float] | None:
    """Where the last estimate of an unchanged hip would lie, from the first visit of a part to the last."""
    if change is None or change.lsc_gcm2 is None:
        return None
    middle, least = first.mean_gcm2(site), change.lsc_gcm2
    x, y = across(first.taken), down(middle + least)
    return {"x": x, "y": y, "width": across(change.last.taken) - x + 12, "height": down(middle - least) - y}


def _dot(visit: Visit, half: float, letter: str, site: str, across: _Across, down: _Down) -> dict[str, Any]:
    mean, n = visit.mean_gcm2(site), len(visit.films)
    return {
        "x": across(visit.taken),
        "y": down(mean),
        "y_low": down(mean - half),
        "y_high": down(mean + half),
        "letter": letter,
        "said": f"{visit.taken}: {mean:.3f} ({mean - half:.3f} to {mean + half:.3f}) g/cm², {n} film{'s' * (n > 1)}",
    }
