"""What a run will do with each entry of a folder, decided by looking alone: nothing is opened, nothing changed."""

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

YOUNG_S = 10.0
SETTLE_S = 1.0

Stamp = tuple[int, int]
"""Size in bytes and modification time in ns: while neither moves, a file is taken to be the same."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One entry of the folder and what will be done with it.

    `action` is "skip" (finished before), "compare" (has size and time of a finished film that was elsewhere: read only
    if its bytes differ), "read", or "refuse" (no file), with the `reason` "not_a_regular_file", or "file_unreadable"
    for a folder that cannot be listed. `key` is the path relative to the folder as the system's bytes, `file` the same
    as text for people and results.
    """

    key: bytes
    action: str
    stamp: Stamp
    reason: str | None = None

    @property
    def file(self) -> str:
        """Posix path relative to the folder; bytes that are no UTF-8 stand as `\\xNN`."""
        return self.key.decode("utf-8", "backslashreplace")


def plan(folder: Path, done: Mapping[bytes, Stamp]) -> list[PlannedFile]:
    """Decide what to do with each entry below `folder`, sorted by path; `done` are the finished films, key -> stamp.

    Links, pipes, sockets and devices are refused, never followed or opened.
    """
    start = len(os.path.join(os.fsencode(folder), b""))
    stamps = set(done.values())
    planned = []
    for entry in _walk(os.fsencode(folder)):
        key = entry.path[start:]
        try:
            facts = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # gone since it was listed
            continue
        except OSError:  # its path is too long
            planned.append(PlannedFile(key, "refuse", (0, 0), "file_unreadable"))
            continue
        stamp = (facts.st_size, facts.st_mtime_ns)
        if stat.S_ISREG(facts.st_mode):
            finished = done.get(key) == stamp
            planned.append(PlannedFile(key, "skip" if finished else "compare" if stamp in stamps else "read", stamp))
        else:
            reason = "file_unreadable" if stat.S_ISDIR(facts.st_mode) else "not_a_regular_file"
            planned.append(PlannedFile(key, "refuse", stamp, reason))
    return sorted(planned, key=lambda item: item.key)


def _walk(folder: bytes) -> Iterator[os.DirEntry[bytes]]:
    """Every entry below `folder` that is not a real folder which can be listed."""
    folders = [folder]
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except FileNotFoundError:
            continue
        with entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and os.access(entry.path, os.R_OK | os.X_OK):
                    folders.append(entry.path)
                else:
                    yield entry


def settled(folder: Path, items: Sequence[PlannedFile]) -> Iterator[PlannedFile]:
    """Look again at each film just before it is read; yields those that stayed as they were planned.

    Files changed in the last ten seconds come last, and no earlier than a second after the first look: a file that is
    being copied has moved by then.
    """
    now, start = time.time_ns(), time.monotonic()
    young = [item for item in items if item.stamp[1] > now - YOUNG_S * 1e9]
    old = [item for item in items if item.stamp[1] <= now - YOUNG_S * 1e9]
    yield from (item for item in old if unmoved(folder, item))
    if young:
        time.sleep(max(0.0, start + SETTLE_S - time.monotonic()))
    yield from (item for item in young if unmoved(folder, item))


def unmoved(folder: Path, item: PlannedFile) -> bool:
    """Whether a file still has the size and time at which it was planned."""
    if item.stamp == (0, 0):
        return True
    try:
        facts = os.lstat(os.path.join(os.fsencode(folder), item.key))
    except OSError:
        return False
    return (facts.st_size, facts.st_mtime_ns) == item.stamp
