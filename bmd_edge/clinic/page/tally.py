"""What the events of the journal add up to: counts and durations since it began, and whether films are being read."""

import bisect
import json
import threading
from collections import Counter
from sqlite3 import Row

from bmd_edge.clinic.journal.store import Journal

STEPS_S = (1, 2, 5, 10, 30, 60, 300, 900, 3600)
"""Upper ends of the classes that durations are counted in; one more is for those beyond."""
_AT_ONCE = 5000
_ENDS_READING = ("film_ready", "film_done", "film_quarantined")
_QUERY = """SELECT event.*, object.made_at FROM event
    LEFT JOIN object ON event.what='object_sent' AND object.uid=json_extract(event.detail, '$.uid')
    WHERE event.n>? ORDER BY event.n LIMIT ?"""


class Durations:
    """Durations of one stage: how many fell into each class of `STEPS_S`, and their sum in seconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(STEPS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        """One more; a clock that was set back in between makes it 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect.bisect_left(STEPS_S, seconds)] += 1
        self.total_s += seconds


class Tally:
    """Adds up the events of a journal, each once; from any number of threads.

    last: number of the newest event that is in it. films: by state (received, ready, done, quarantined, again; refused
    at a door) and code. stages: waiting (until its reading begins), reading, sending (from the finished object until an
    archive has it). notice: what the bundle of the reader says of itself, "" before any was opened. not_reading_since:
    since when no reader can be opened, seconds since 1970; None where one can. page_closed: how often the page's port
    could not be opened. deaf_since: since when the port could not be opened that archives report commitment to.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last = 0
        self.films: Counter[tuple[str, str]] = Counter()
        self.stages = {name: Durations() for name in ("waiting", "reading", "sending")}
        self.notice = ""
        self.not_reading_since: float | None = None
        self.page_closed = 0
        self.deaf_since: float | None = None
        self._came: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def step(self, journal: Journal) -> None:
        """Add the events that are new."""
        with self.lock:
            while found := journal.rows(_QUERY, self.last, _AT_ONCE):
                for row in found:
                    self._add(row)
                self.last = found[-1]["n"]

    def _add(self, row: Row) -> None:
        what, at, film, detail = row["what"], row["at"], row["film_key"], json.loads(row["detail"])
        kind, _, state = what.partition("_")
        if kind == "film" and state in ("received", "ready", "done", "quarantined", "again"):
            self.films[state, detail.get("reason", "")] += 1
        self.page_closed += what == "page_closed"
        if what in ("commitment_open", "commitment_closed"):
            self.deaf_since = at if what == "commitment_closed" else None
        if what == "refused":
            self.films["refused", detail["code"]] += detail.get("times", 1)
        if what in ("film_received", "film_read_again"):
            self._came[film] = at
        elif what == "film_screening":
            self._began[film] = at
            if film in self._came:
                self.stages["waiting"].add(at - self._came.pop(film))
        elif what in _ENDS_READING and film in self._began:
            self.stages["reading"].add(at - self._began.pop(film))
        elif what == "object_sent" and row["made_at"] is not None:
            self.stages["sending"].add(at - row["made_at"])
        self._reader(what, at, detail)

    def _reader(self, what: str, at: float, detail: dict[str, str]) -> None:
        if what == "not_screening":
            self.not_reading_since = self.not_reading_since or at
        elif what == "reader_opened":
            self.not_reading_since, self.notice = None, detail["notice"]
