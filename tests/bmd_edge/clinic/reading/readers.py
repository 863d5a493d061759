"""A box with films in its journal, and readers of drawn films that fall ill at some."""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Event, Thread

from bmd_edge.clinic.config import KINDS, Config
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.reading.reader import Reader
from bmd_edge.clinic.reading.work import work
from bmd_edge.clinic.setup.init import prepare, write_config
from bmd_edge.screen.jobs import Loaded
from tests.support.screening import drawn_bmd, drawn_bundle, drawn_finder

APPROVAL = "EK 2026-117"


def box(place: Path, more: str = "", approval: str = APPROVAL) -> Config:
    """A box with one unit, XRAY1 on this machine; `more` is the end of its clinic.toml."""
    text = f"""approval = "{approval}"
box = {{ root = "{place / "root"}", min_free_mb = 1 }}
units.xray1 = {{ ae_title = "XRAY1", host = "127.0.0.1", spacing_if_missing_mm = 0.575 }}
{more}
"""
    config = write_config(place / "etc", text)
    prepare(config)
    return config


def put(config: Config, journal: Journal, *data: bytes) -> list[str]:
    """Films through the door; returns their keys."""
    before = {film.film_key for film in films.films_since(journal, 0)}
    door = Door(config, journal)
    for film in data:
        assert door.keep(film, Origin("dicom", "xray1")) == 0
    return [film.film_key for film in films.films_since(journal, 0) if film.film_key not in before]


class Faulty(Reader):
    """Does to its process, at films whose header asks for it, what a broken decoder would do."""

    def load(self, source: object) -> Loaded:
        data = Path(str(source)).read_bytes()
        if b"CRASH" in data:
            os.abort()
        return super().load(source)  # type: ignore[arg-type]


def drawn_reader(
    approval: str = APPROVAL, offset_gcm2: float = 0.4, kinds: tuple[str, ...] = KINDS, **settings: object
) -> Faulty:
    """A reader of drawn films that makes objects of `kinds`; `offset_gcm2` is what its network adds."""
    engines = {"finder": drawn_finder(), "bmd": drawn_bmd(offset_gcm2)}
    reader = Faulty(drawn_bundle(), engines=engines, **settings)
    reader.name, reader.approval, reader.kinds = "BMDEDGE", approval, kinds
    return reader


def read_all(config: Config, journal: Journal, open_it: Callable[[], Reader] | None = None) -> None:
    """Run the work until no film waits; as `serve` does, in a thread beside this one."""
    stop, failed = Event(), []

    def run() -> None:
        try:
            work(config, journal, stop, open_it or partial(drawn_reader, config.approval, kinds=config.kinds))
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = Thread(target=run)
    thread.start()
    end = time.monotonic() + 120
    while films.films_in(journal, "received", "screening") and thread.is_alive() and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    thread.join(60)
    if failed:
        raise failed[0]
    assert not films.films_in(journal, "received", "screening")
