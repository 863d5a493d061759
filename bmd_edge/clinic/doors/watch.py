"""The folder door: films that another program copies into a folder, taken as soon as they are whole.

The folder is asked again and again, for a network file system tells nobody what others do. A file is whole when it has
not moved from one look to the next, has no hole where bytes are still to come, and its reader finds the end of its
data. It stays where it is. A folder of another machine tells of no holes, and of changes some seconds late: a film
there that ends with zeros may be one whose room was made first, and must lie still for longer.
"""

import hashlib
import hmac
import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bmd_edge.clinic.doors.content import NotTaken, Status, content_of
from bmd_edge.clinic.doors.door import FOLDER, Door, Origin
from bmd_edge.clinic.journal.folder import Stamp, forget, look, looked_at
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.errors import UsageError
from bmd_edge.film.limits import MAX_FILE_BYTES
from bmd_edge.screen.folder_plan import PlannedFile, plan, unmoved
from bmd_edge.screen.run_lock import is_local
from bmd_edge.system.files import NotRegular, TooLarge, open_file, read_file

logger = logging.getLogger(__name__)

POLL_S = 0.3
PATIENCE_S = 60.0
"""How long a file that is no whole film must lie still before it is refused: a copy may pause that long."""
STILL_S = 15.0
"""How long a film that ends with zeros must lie still on a network file system; NFS may tell its time this late."""
_ZEROS = bytes(4096)
_RETRY_S = 5.0
_ORIGIN = Origin(FOLDER, FOLDER)


@dataclass
class _Waiting:
    """A file that is not looked at yet: its stamp, since when it has been that, and when to try next."""

    stamp: Stamp
    since: float
    next_try: float


class FolderDoor:
    """Takes the films of `folder` and its subfolders; `poll` is one look."""

    def __init__(self, door: Door, journal: Journal, folder: Path) -> None:
        self._door, self._journal, self._folder = door, journal, folder
        self._done = looked_at(journal)
        self._is_remote = not is_local(folder)
        self._waiting: dict[str, _Waiting] = {}
        self._gone = False

    def poll(self) -> None:
        """Look once: take what is whole, wait for what is not. A folder that is not there is waited for too."""
        try:
            os.scandir(self._folder).close()
            files = [item for item in plan(self._folder, {}) if item.action == "read"]
        except OSError as error:
            self._say_gone(error)
            return
        self._say_back()
        now = time.monotonic()
        places = {self._place(item): item for item in files}
        for place, item in places.items():
            if self._done.get(place) != item.stamp and self._is_due(place, item, now):
                self._try(place, item, now)
        self._waiting = {place: one for place, one in self._waiting.items() if place in places}
        if places and (missing := self._done.keys() - places.keys()):
            forget(self._journal, missing)
            self._done = {place: stamp for place, stamp in self._done.items() if place in places}

    def _is_due(self, place: str, item: PlannedFile, now: float) -> bool:
        """Whether a file has not moved since the last look, and it is time to try it."""
        waiting = self._waiting.get(place)
        if waiting is None or waiting.stamp != item.stamp:
            self._waiting[place] = _Waiting(item.stamp, now, now)
            return False
        return now >= waiting.next_try

    def _try(self, place: str, item: PlannedFile, now: float) -> None:
        waiting = self._waiting[place]
        patient = now - waiting.since < PATIENCE_S
        path = self._folder / os.fsdecode(item.key)
        try:
            if patient and _has_hole(path):
                return
            data = read_file(path, MAX_FILE_BYTES)
            if not unmoved(self._folder, item):
                return
        except (NotRegular, FileNotFoundError):
            return
        except TooLarge:
            self._door.audit(_ORIGIN, NotTaken(Status.TOO_LARGE, "too_large"))
            self._looked_at(place, item)
            return
        except OSError as error:
            logger.warning("folder: a file cannot be read now: %s", error.strerror)
            waiting.next_try = now + max(_RETRY_S, now - waiting.since)
            return
        if patient and not _is_whole(data):
            waiting.next_try = waiting.since + PATIENCE_S
            return
        if self._is_remote and now - waiting.since < STILL_S and data.endswith(_ZEROS):
            waiting.next_try = waiting.since + STILL_S
            return
        if self._door.keep(data, _ORIGIN) == Status.NO_ROOM:
            waiting.next_try = now + _RETRY_S
            return
        self._looked_at(place, item)

    def _looked_at(self, place: str, item: PlannedFile) -> None:
        look(self._journal, place, item.stamp)
        self._done[place] = item.stamp

    def _place(self, item: PlannedFile) -> str:
        return hmac.new(self._door.key, item.key, hashlib.sha256).hexdigest()  # a path may hold a name

    def _say_gone(self, error: OSError) -> None:
        if not self._gone:
            logger.error("folder: it cannot be listed (%s); waiting for it", error.strerror)
            self._journal.record("folder_gone", why=error.strerror)
        self._gone = True

    def _say_back(self) -> None:
        if self._gone:
            logger.warning("folder: it is there again")
            self._journal.record("folder_back")
        self._gone = False


def watch(folder_door: FolderDoor, ends: threading.Event) -> None:
    """Look at the folder until `ends` is set; three times a second, or as often as half of one CPU allows."""
    took = 0.0
    while not ends.wait(max(POLL_S, took)):
        start = time.monotonic()
        try:
            folder_door.poll()
        except (OSError, UsageError) as error:  # of the journal: the films stay in the folder, for a later look
            logger.error("folder: no film is taken: %s", getattr(error, "strerror", None) or error)
        took = time.monotonic() - start


def _is_whole(data: bytes) -> bool:
    """Whether these bytes are a film with its end, or something that can never be one."""
    try:
        content_of(data, b"")
    except NotTaken as error:
        return error.status in (Status.SOP_CLASS, Status.SYNTAX, Status.TOO_LARGE)
    return True


def _has_hole(path: Path) -> bool:
    """Whether a part of the file was never written: some programs set the size first, and then send the bytes."""
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        return size > 0 and os.lseek(file.fileno(), 0, os.SEEK_HOLE) < size
