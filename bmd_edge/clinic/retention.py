"""Films and objects that need not be kept for longer: the archives have had the results for `box.keep_days`."""

import logging
from itertools import chain

from bmd_edge.clinic.config import RESOURCES, Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.films import OUTBOX, SPOOL
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.system.files import sync

logger = logging.getLogger(__name__)

_DAY_S = 86_400.0
_AT_ONCE = 20
"""Films for which the doors wait."""


def remove_old(config: Config, journal: Journal) -> int:
    """Remove files of films that have been done for `keep_days`, and of their objects; returns of how many films.

    What the journal knows of them stays, and what a record was told: by that a later version withdraws it. Nothing goes
    that an archive is still to get, that is in quarantine, or that has no object. A disk that fails is logged.
    """
    before, n = journal.clock() - config.box.keep_days * _DAY_S, 0
    try:
        while old := films.settled(journal, before, _AT_ONCE):
            with journal.change():  # the doors wait: a film that comes again just now finds its file or none
                for film in old:
                    _remove(config, journal, film.film_key)
                for name in (SPOOL, OUTBOX):
                    sync(config.root / name)
            n += len(old)
    except OSError as error:
        logger.error("what is old cannot be removed: %s", error.strerror)
    if n:
        logger.info(
            "%d films and their objects were removed, %d days after the archives had them", n, config.box.keep_days
        )
    return n


def _remove(config: Config, journal: Journal, film_key: str) -> None:
    objects = (one for one in films.objects_of(journal, film_key) if one.kind != RESOURCES)
    films.remove(journal, film_key)
    for path in chain([films.film_path(config.root, film_key)], (config.root / one.path for one in objects)):
        path.unlink(missing_ok=True)
