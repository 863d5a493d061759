"""What a run will do with each entry of a folder, decided by looking alone: nothing is opened, nothing changed."""

import os
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bmd_edge.screen.run_lock import file_system

YOUNG_S = 10.0
SETTLE_S = 1.0

Stamp = tuple[int, int, int]
"""Size in bytes, time of modification and time of change (ctime), in ns: while none moves, a file is the same.

The first two may be equal for two patients' films of one name: an export may set the time, and the films of one
detector are of one size. The time of change nobody can set: it moves with whatever takes a file's place.
"""
_CHANGES = "aufs bcachefs btrfs ceph cifs ext2 ext3 ext4 f2fs jfs nfs nfs4 overlay ramfs rootfs smb3 tmpfs xfs zfs"
_KEEP_CHANGES = frozenset(_CHANGES.split())
"""File systems that keep a time of change; others (FAT, discs, sshfs) give the time of modification once more."""
_UNFINISHED = (b".part", b".partial", b".filepart", b".crdownload", b".tmp", b".temp")
_NONE = (0, 0, 0)  # of what cannot be looked at


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One entry of the folder and what will be done with it.

    `action` is "skip" (finished before), "compare" (has size and time of modification of a finished film, here or
    elsewhere: examined only if its bytes differ), "read", or "leave" (no file to read), with the `reason`: "link",
    "unfinished_file", "not_a_regular_file", or "file_unreadable" for a folder that cannot be listed. `key` is the path
    relative to the folder as the system's bytes, `file` the same as text for people and results.
    """

    key: bytes
    action: str
    stamp: Stamp
    reason: str | None = None

    @property
    def file(self) -> str:
        """Posix path relative to the folder; bytes that are no UTF-8 stand as `\\xNN`."""
        return self.key.decode("utf-8", "backslashreplace")


def named(films: Path) -> tuple[Path, bytes | None]:
    """The folder that is named, and None; or the folder of a film that is named, and its key there. Links are followed:
    whoever names one means what it leads to.
    """
    if films.is_dir():
        return films, None
    real = films.resolve()
    return real.parent, os.fsencode(real.name)


def plan(folder: Path, done: Mapping[bytes, Stamp], only: bytes | None = None) -> list[PlannedFile]:
    """Decide what to do with each entry below `folder`, sorted by path, or with the one that has the key `only`.

    `done` are the finished films, key -> stamp. Links, pipes, sockets and devices are named, never followed or opened,
    and so is what bears the name of an unfinished copy. Where the folder lies on a file system that keeps no time of
    change, finished films are compared.
    """
    start = len(os.path.join(os.fsencode(folder), b""))
    trusted = file_system(folder, Path("/proc/self/mountinfo").read_bytes()) in _KEEP_CHANGES
    stamps = {stamp[:2] for stamp in done.values()}
    planned = []
    for entry in _walk(os.fsencode(folder)) if only is None else _one(os.fsencode(folder), only):
        key = entry.path[start:]
        try:
            facts = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # gone since it was listed
            continue
        except OSError:  # its path is too long
            planned.append(PlannedFile(key, "leave", _NONE, "file_unreadable"))
            continue
        stamp = stamp_of(facts)
        if reason := _objection(key, facts.st_mode, only):
            planned.append(PlannedFile(key, "leave", stamp, reason))
        else:
            finished = trusted and done.get(key) == stamp
            known = "compare" if stamp[:2] in stamps else "read"
            planned.append(PlannedFile(key, "skip" if finished else known, stamp))
    return sorted(planned, key=lambda item: item.key)


def _objection(key: bytes, mode: int, only: bytes | None) -> str | None:
    """Why an entry is not even opened."""
    if stat.S_ISREG(mode):
        return "unfinished_file" if key.lower().endswith(_UNFINISHED) and only is None else None
    return {stat.S_IFLNK: "link", stat.S_IFDIR: "file_unreadable"}.get(stat.S_IFMT(mode), "not_a_regular_file")


def stamp_of(facts: os.stat_result) -> Stamp:
    """The stamp of a file."""
    return facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def _one(folder: bytes, name: bytes) -> Iterator[os.DirEntry[bytes]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if entry.name == name)


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
    """Whether a file still has the size and times at which it was planned."""
    if item.stamp == _NONE:
        return True
    try:
        facts = os.lstat(os.path.join(os.fsencode(folder), item.key))
    except OSError:
        return False
    return stamp_of(facts) == item.stamp
