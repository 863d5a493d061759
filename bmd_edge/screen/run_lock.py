"""One run at a time in a folder of results, on a disk that keeps what it says it has written."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bmd_edge.errors import UsageError

NAME = "run.lock"
_NETWORK = "afs beegfs ceph cifs fuse.glusterfs fuse.s3fs fuse.sshfs gpfs lustre ncpfs nfs nfs4 smb2 smb3 smbfs"
NETWORK_FILE_SYSTEMS = frozenset(_NETWORK.split())


@contextmanager
def hold(out: Path) -> Iterator[None]:
    """Hold the folder `out`; the kernel lets go of it however this process ends.

    Raises UsageError, naming the process, while another one holds it; OSError where the folder cannot be written.
    """
    handle = os.open(out / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
            raise UsageError(f"another run (process {owner}) writes to this --out: wait, or give another one") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def check_local(out: Path) -> None:
    """UsageError if `out` lies on a network file system, where neither locks nor SQLite's log can be relied on."""
    kind = file_system(out, Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))
    if kind in NETWORK_FILE_SYSTEMS:
        raise UsageError(f"--out is on a network file system ({kind}): give a folder on a disk of this machine")


def file_system(path: Path, mountinfo: str) -> str | None:
    """The type of the file system that holds `path`, from the text of Linux's /proc/self/mountinfo (proc(5))."""
    found: tuple[int, str | None] = (-1, None)
    real = path.resolve()
    for line in mountinfo.splitlines():
        place, _, rest = line.partition(" - ")
        point = place.split()[4].encode().decode("unicode_escape")  # spaces stand as \040
        if real.is_relative_to(point) and len(point) >= found[0]:  # of two mounts in one place the later one counts
            found = len(point), rest.split()[0]
    return found[1]
