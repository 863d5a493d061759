"""The results of films as the journal has them: the lines of results.jsonl, and a line for a person."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.films import FilmRow
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.errors import REFUSALS, UsageError
from bmd_edge.language import ENGLISH, Language
from bmd_edge.measure.headline import HEADLINES

_SITES = {"femoral_neck": "femoral neck", "total_hip": "total hip"}
_WITHOUT_REPORT = {"quarantined": "in quarantine", "screening": "being read"}
"""State -> words; every other film without a report waits."""


def since(text: str | None, now: float) -> float:
    """`2026-05-17` or `2026-05-17 08:30`, local time -> seconds since 1970; None is the last midnight."""
    if text is None:
        return datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError("--since takes a day or a time of day, as 2026-05-17 or '2026-05-17 08:30'") from None


def lines(journal: Journal, start: float, as_json: bool, language: Language = ENGLISH) -> Iterator[str]:
    """One line for each film that was received since `start`, in the order of arrival.

    As JSON the very lines that `bmd-edge screen` would print of the spool, of films that were read or refused.
    """
    for film in films.films_since(journal, start):
        if not as_json:
            yield _line(journal, film, language)
        elif film.report:
            yield film.report


def _line(journal: Journal, film: FilmRow, language: Language) -> str:
    when = datetime.fromtimestamp(film.received_at).strftime("%Y-%m-%d %H:%M:%S")
    return "  ".join((when, film.unit, film.film_key[:16], _result(film, language), _delivered(journal, film)))


def _result(film: FilmRow, language: Language) -> str:
    if film.state == "quarantined" or not film.report:
        return language(_WITHOUT_REPORT.get(film.state, "waiting"))
    said = json.loads(film.report)
    if said["status"] != "read":
        return f"{language('no number:')} {language(REFUSALS[said['reason']].sentence)}"
    numbers = [
        f"{hip['side'] or '?'} {language(_SITES[estimate['site']])} {_number(estimate, language)} g/cm2"
        for hip in said["hips"]
        for estimate in hip["estimates"]
    ]
    headline = language(HEADLINES[said["band"]] if said["band"] else "no headline")
    return ", ".join(numbers) + f"; {headline}"


def _number(estimate: dict[str, Any], language: Language) -> str:
    bmd, low, high = (f"{estimate[name]:.3f}" for name in ("bmd_gcm2", "low_gcm2", "high_gcm2"))
    return language("{bmd} ({low} to {high})", bmd=bmd, low=low, high=high)


def _delivered(journal: Journal, film: FilmRow) -> str:
    """What has become of the newest objects, archive by archive."""
    last: dict[str, set[str]] = {}
    for one in deliveries.of_film(journal, film.film_key):
        last.setdefault(one.destination, set()).add(one.state)
    return ", ".join(f"{name}: {'/'.join(sorted(states))}" for name, states in last.items()) or "not delivered"
