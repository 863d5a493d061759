"""Looks at the journal once a second, and wakes whoever waits for what the page says to change."""

import logging
import threading
from hashlib import sha256

from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.bar import Bar
from bmd_edge.clinic.page.tally import Tally
from bmd_edge.clinic.results import since
from bmd_edge.errors import UsageError

logger = logging.getLogger(__name__)

_LOOK_S = 1.0
_BAR_EVERY = 5
"""Looks; what hangs changes with the clock too."""


class Watcher:
    """Runs until it is ended; `version` names what the page says now, "" before the first look."""

    def __init__(self, journal: Journal, tally: Tally, bar: Bar) -> None:
        self._journal, self._tally, self._bar = journal, tally, bar
        self._changed = threading.Condition()
        self._ends = threading.Event()
        self.version = ""

    def run(self) -> None:
        """Look until `end`; a journal that fails is looked at again."""
        hanging, looks, sound = "", 0, True
        while not self._ends.is_set():
            try:
                self._tally.step(self._journal)
                if looks % _BAR_EVERY == 0:
                    said = repr(self._bar.troubles(self._journal, self._tally))
                    hanging = sha256(said.encode()).hexdigest()[:16]
                self._say(f"{since(None, self._journal.clock()):.0f}-{self._tally.last}-{hanging}")
                looks, sound = looks + 1, True
            except (OSError, UsageError) as error:
                if sound:
                    logger.error("page: %s", getattr(error, "strerror", None) or error)
                sound = False
            self._ends.wait(_LOOK_S)

    def _say(self, version: str) -> None:
        with self._changed:
            if version != self.version:
                self.version = version
                self._changed.notify_all()

    def wait(self, seen: str, seconds: float) -> str:
        """The version, as soon as it is another than `seen`, or after so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != seen or self.ended, seconds)
            return self.version

    @property
    def ended(self) -> bool:
        """Whether nobody looks any more."""
        return self._ends.is_set()

    def end(self) -> None:
        """Look no more, and let nobody wait."""
        self._ends.set()
        with self._changed:
            self._changed.notify_all()
