"""One run at a time in a folder of results, on a disk that keeps what it says it has written."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bmd_edge.errors import UsageError

NAME = "run.lock"
_LOCAL = """
    aufs bcachefs btrfs ecryptfs exfat ext2 ext3 ext4 f2fs hfsplus jfs nilfs2 ntfs3 overlay ramfs reiserfs rootfs tmpfs
    ubifs vfat xfs zfs fuseblk fuse.bindfs fuse.encfs fuse.fuse-overlayfs fuse.gocryptfs fuse.mergerfs fuse.unionfs
"""
LOCAL_FILE_SYSTEMS = frozenset(_LOCAL.split())
"""Those of disks of this machine, of its memory, and layers on them. There is no end of those of networks and of hosts
of virtual machines (nfs, cifs, 9p, virtiofs, vboxsf, fuse.rclone, fuse ...): what is not known is taken to be one."""


@contextmanager
def hold(out: Path, taken: str = "another run ({}) writes to this --out: wait, or give another one") -> Iterator[None]:
    """Hold the folder `out`; the kernel lets go of it however this process ends.

    Raises UsageError with the words of `taken`, naming the process, while another one holds it; OSError where the
    folder cannot be written.
    """
    handle = os.open(out / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
            raise UsageError(taken.format(f"process {owner}")) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def check_local(out: Path) -> None:
    """UsageError if `out` lies on a network file system, where neither locks nor SQLite's log can be relied on.

    Or on one that a virtual machine shares with its host, or on one that is not known.
    """
    if not is_local(out):
        kind = file_system(out, _mounts())
        raise UsageError(f"{out}: --out is on a network file system ({kind}): give a folder on a disk of this machine")


def is_local(folder: Path) -> bool:
    """Whether a folder lies on a disk of this machine, as far as is known."""
    kind = file_system(folder, _mounts())
    return kind is None or kind in LOCAL_FILE_SYSTEMS


def _mounts() -> bytes:
    return Path("/proc/self/mountinfo").read_bytes()


def file_system(path: Path, mountinfo: bytes) -> str | None:
    """The type of the file system that holds `path`, from Linux's /proc/self/mountinfo (proc(5)).

    A mount point is the system's bytes, in any encoding, with space, tab, newline and backslash as \\040 and so on.
    """
    found: tuple[int, str | None] = (-1, None)
    real = path.resolve()
    for line in mountinfo.split(b"\n"):
        place, separator, rest = line.partition(b" - ")
        if separator:
            escaped = place.split(b" ")[4]
            point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), escaped)
            # Of two mounts in one place the later one counts.
            if real.is_relative_to(os.fsdecode(point)) and len(point) >= found[0]:
                found = len(point), rest.split(b" ")[0].decode("ascii", "replace")
    return found[1]
