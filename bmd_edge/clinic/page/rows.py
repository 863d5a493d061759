"""Today's films as the page shows them: a row for each, in words, the newest first."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.delivery.answers import REASONS
from bmd_edge.clinic.hanging import NO_OBJECTS, QUARANTINED
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.deliveries import Delivery
from bmd_edge.clinic.journal.films import FilmRow, ObjectRow
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.pictures import Identity, identity_of
from bmd_edge.clinic.page.result import Result, result_of
from bmd_edge.language import Language
from bmd_edge.report.kept_report import report_of

MOST = 1000
"""Films on the page; of a day with more, the last ones."""
_KINDS = {"sr": "report", "sc": "picture", "gsps": "presentation state", "pdf": "printed page", "fhir": "record"}
_STATES = {
    "ready": ("waits", "waits to be sent"),
    "sending": ("waits", "is being sent"),
    "sent": ("sent", "sent"),
    "asked": ("sent", "sent; the archive has not yet said that it keeps it"),
    "committed": ("sent", "sent, and the archive keeps it"),
    "tried": ("hangs", "is tried again"),
    "held": ("hangs", "held"),
}
"""What has become of an object -> kind, words."""
_WAITS = {
    ("received", False): "Waits to be read.",
    ("received", True): "Waits to be read again.",
    ("screening", False): "Is being read.",
    ("screening", True): "Is being read again.",
}
"""State of a film, and whether it was read before -> words."""
_NOBODY = Identity("", "", False)


class Delivered(NamedTuple):
    """What has become of a result at one archive: `kind` is sent, waits or hangs."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A film. `state`: waits, read, refused or quarantined. `said` is what it waits for, "" once it is read.

    `picture` is the version of the picture that the page may show, 0 for none, and `why_none` says why in words.
    """

    film_id: str
    received: datetime
    unit: str
    accession: str
    name: str
    state: str
    said: str
    picture: int
    why_none: str
    result: Result | None
    delivery: tuple[Delivered, ...]


def rows(config: Config, journal: Journal, since: float) -> list[Row]:
    """The films that were received at or after a time, at most `MOST` of them."""
    pictures = films.pictures_since(journal, since)
    sent: dict[str, list[Delivery]] = {}
    for one in deliveries.of_films_since(journal, since):
        sent.setdefault(one.film_key, []).append(one)
    found = films.newest_films(journal, since, MOST)
    return [_row(config, one, pictures.get(one.film_key), sent.get(one.film_key, [])) for one in found]


def _row(config: Config, film: FilmRow, own: ObjectRow | None, sent: list[Delivery]) -> Row:
    identity = _identity(config.root / own.path) if own else _NOBODY
    report = report_of(json.loads(film.report), None) if film.report and film.state != "quarantined" else None
    result = result_of(report, config.spoken) if report else None
    shown, why_none = _shown(config, own, identity, bool(report and report.pixel_digest))
    state = {"received": "waits", "screening": "waits"}.get(film.state, film.state)
    if film.state in ("ready", "done") and report:
        state = "read" if report.status == "read" else "refused"
    return Row(
        film_id=film.film_key,
        received=datetime.fromtimestamp(film.received_at),
        unit=film.unit,
        accession=identity.accession,
        name=identity.name if config.page.names else "",
        state=state,
        said=_said(film, bool(report), config.spoken),
        picture=shown,
        why_none=why_none,
        result=result,
        delivery=tuple(_delivery(config, film, own, sent)),
    )


def _said(film: FilmRow, was_read: bool, language: Language) -> str:
    if film.state == "quarantined":
        return " ".join((language("In quarantine."), *map(language, QUARANTINED)))
    return language(_WAITS.get((film.state, was_read), ""))


def _identity(picture: Path) -> Identity:
    try:
        return identity_of(picture)
    except OSError:  # what the archive keeps may have been moved away, and a disk may lose a file
        return _NOBODY


def _shown(config: Config, picture: ObjectRow | None, identity: Identity, decoded: bool) -> tuple[int, str]:
    language = config.spoken
    if picture is None:
        return 0, ""
    if not decoded:
        return 0, language("The film was not decoded.")
    if identity.burned_in and not config.page.names:
        return 0, language("Not shown: the film says that a name stands in it.")
    return picture.version, ""


# -- delivery -----------------------------------------------------------------------------------------------------


def _delivery(config: Config, film: FilmRow, own: ObjectRow | None, sent: list[Delivery]) -> Iterator[Delivered]:
    """What has become of the newest result, archive by archive."""
    language = config.spoken
    if film.state == "quarantined":
        yield Delivered("hangs", language("Nothing is sent."))
    elif film.reason == "no_objects":
        yield Delivered("hangs", " ".join(map(language, NO_OBJECTS)))
    elif own is None and film.state == "done":  # as where a corrected header changes nothing
        yield Delivered("sent", language("Nothing to send: the archive has this result of the film."))
    if own is None:
        return
    for name in config.pacs:
        newest = [one for one in sent if one.destination == name and one.version == own.version]
        yield from _at(name, newest, language) if newest else [_unaddressed(config, name, own)]
    if not config.pacs:
        yield Delivered("waits", language("Not sent: clinic.toml names no archive."))


def _unaddressed(config: Config, name: str, own: ObjectRow) -> Delivered:
    language = config.spoken
    if not config.delivers_to(name):
        return Delivered("hangs", f"{name}: {language('not sent, no approval is named')}")
    if not own.approval and not config.pacs[name].test:
        return Delivered("hangs", f"{name}: {language('not sent, it was made before an approval was named')}")
    return Delivered("waits", f"{name}: {language('waits to be sent')}")


def _at(name: str, newest: list[Delivery], language: Language) -> Iterator[Delivered]:
    """One archive: report and picture together where they are equally far."""
    by_words: dict[Delivered, list[str]] = {}
    for one in newest:
        by_words.setdefault(_words(one, language), []).append(language(_KINDS[one.kind]))
    for (kind, text), what in by_words.items():
        only = "" if len(by_words) == 1 else f" {', '.join(what)}"
        yield Delivered(kind, f"{name}:{only} {text}")


def _words(one: Delivery, language: Language) -> Delivered:
    fails = one.reason in REASONS and one.state != "sent"
    state = "tried" if fails and one.state != "held" else one.state
    kind, text = _STATES["asked" if one.state == "sent" and one.commitment else state]
    if fails:
        return Delivered("hangs", f"{language(text)}. {language(REASONS[one.reason][0])}")
    return Delivered(kind, language(text))
