"""The red bar: what hangs, since when, and what to do; of films and objects, and of the box itself."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.hanging import hanging
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.tally import Tally
from bmd_edge.clinic.setup.doctor import certificates, clock, folder
from bmd_edge.language import Language
from bmd_edge.system.check import Check

PATIENCE_S = 30.0
"""An archive that does not take an object for so long is named."""
_LOOK_S = 60.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that hangs: `what` and `since` (seconds since 1970), why in a sentence, what to do, and which films."""

    what: str
    since: float
    sentence: str
    remedy: str
    films: tuple[str, ...] = ()


class Bar:
    """What hangs in a box; the box itself (disk, certificates, clock) is looked at once a minute."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._failed: dict[str, Trouble] = {}

    def troubles(self, journal: Journal, tally: Tally) -> list[Trouble]:
        """Everything that hangs, the oldest first."""
        spoken = self._config.spoken
        found = [*self._box(journal), *_reader(tally, spoken), *_deaf(tally, spoken), *_journal(self._config, journal)]
        return sorted(found, key=lambda one: one.since)

    def _box(self, journal: Journal) -> list[Trouble]:
        now = journal.clock()
        with self._lock:
            if time.monotonic() - self._looked > _LOOK_S:
                spoken = self._config.spoken
                checks = chain(
                    folder(self._config, spoken), certificates(self._config, spoken), [clock(journal, spoken)]
                )
                failed = [one for one in checks if not one.sound]
                self._failed = {one.what: _of_check(one, self._failed, now) for one in failed}
                self._looked = time.monotonic()
            return list(self._failed.values())


def _of_check(check: Check, before: dict[str, Trouble], now: float) -> Trouble:
    """A check has no time of its own: it fails since it was first seen to."""
    since = before[check.what].since if check.what in before else now
    return Trouble(check.what, since, f"{check.detail}.", "")


def _reader(tally: Tally, language: Language) -> Iterator[Trouble]:
    if tally.not_reading_since is not None:
        yield Trouble(
            language("not reading"),
            tally.not_reading_since,
            language("Films are taken and wait: the bundle cannot be opened."),
            language("Look at the log of `bmd-edge clinic serve`; a bundle that is mended is opened within a minute."),
        )


def _deaf(tally: Tally, language: Language) -> Iterator[Trouble]:
    if tally.deaf_since is not None:
        yield Trouble(
            language("commitment"),
            tally.deaf_since,
            language(
                "Another program has the port of commitment.bind, so no archive can say that it keeps what it got."
            ),
            language("End that program, or name another address in clinic.toml and at the archives."),
        )


def _journal(config: Config, journal: Journal) -> Iterator[Trouble]:
    language = config.spoken
    for one in hanging(config, journal, PATIENCE_S):
        what = f"{one.counted(language)} ({one.why})"
        yield Trouble(what, one.since, language(one.sentence), language(one.remedy), one.films)
