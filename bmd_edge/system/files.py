"""Files read without being led elsewhere, and written so that a crash or a power cut leaves no part of one.

Every reader of files that others may have put there and every writer that replaces one goes through here; what is wrong
with a file becomes the caller's own coded error.
"""

import errno
import io
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_HEAD_BYTES = 132  # enough to tell a DICOM file (PS3.10 7.1)


class NotRegular(Exception):
    """A folder, pipe, socket or device; or a link where none is followed."""


class TooLarge(Exception):
    """A file of more bytes than are wanted: `size_bytes`, and its first 132 as `head`."""

    def __init__(self, size_bytes: int, head: bytes) -> None:
        super().__init__(f"{size_bytes} bytes")
        self.size_bytes, self.head = size_bytes, head

    def __reduce__(self) -> tuple[type["TooLarge"], tuple[int, bytes]]:
        return type(self), (self.size_bytes, self.head)


# -- reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def open_file(path: str | os.PathLike[str], *, links: bool = False) -> Iterator[io.BufferedReader]:
    """Open a regular file for reading, never waiting for a pipe's writer; `links` says whether links are followed.

    Raises NotRegular, or OSError as `os.open` does.
    """
    try:
        # O_NONBLOCK: a pipe may have taken the file's place, and opening one waits for its writer.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW))
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link or a circle of them; a socket, or a device that is gone
            raise NotRegular from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotRegular
    except BaseException:
        os.close(handle)
        raise
    with open(handle, "rb") as file:
        yield file


def read_file(path: str | os.PathLike[str], limit_bytes: int, *, links: bool = False) -> bytes:
    """The bytes of a regular file of at most `limit_bytes`. Raises NotRegular, TooLarge or OSError."""
    with open_file(path, links=links) as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit_bytes:
            raise TooLarge(size, file.read(_HEAD_BYTES))
        data = file.read(size)
        if file.peek(1):  # it has grown meanwhile
            data += file.read(limit_bytes + 1 - size)
    if len(data) > limit_bytes:
        raise TooLarge(len(data), data[:_HEAD_BYTES])
    return data


# -- writing ----------------------------------------------------------------------------------------------------------


@contextmanager
def replace_file(path: Path, mode: int = 0o666) -> Iterator[TextIO]:
    """Open a UTF-8 text file beside `path` for writing; on success it is synced and renamed to `path`, else removed.

    `mode` is that of the new file, less the process's umask.
    """
    with _written_beside(path, mode) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        try:
            yield text
        finally:
            text.detach()  # flushes, and leaves the closing to the file's owner


def replace_bytes(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write `data` beside `path`, sync it and rename it to `path`; `mode` as for `replace_file`."""
    with _written_beside(path, mode) as file:
        file.write(data)


def copy_file(source: Path, to: Path, mode: int = 0o666) -> None:
    """Copy a file, its time too, as `replace_bytes` writes one; FileNotFoundError where `source` is not there."""
    with source.open("rb") as data, _written_beside(to, mode) as copy:
        shutil.copyfileobj(data, copy, 1 << 20)
        copy.flush()  # what is written later would set the time anew
        was = os.fstat(data.fileno())
        os.utime(copy.fileno(), ns=(was.st_atime_ns, was.st_mtime_ns))


@contextmanager
def _written_beside(path: Path, mode: int) -> Iterator[io.BufferedWriter]:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)  # of a killed process that had this number
    try:
        # "x": never through a link that somebody has put there
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(path.parent)  # so that the name survives too


def replace_folder(made: Path, path: Path, aside: Path) -> None:
    """Move the folder `made` to `path`, and a folder that was there to `aside`.

    What it holds is on the disk before it has its name. All three paths lie on one file system.
    """
    # What a folder holds before the folder
    for one in sorted((made, *made.rglob("*")), reverse=True):
        sync(one)
    if path.exists():
        path.rename(aside)
    made.rename(path)
    sync(path.parent)  # likewise


def sync(path: Path) -> None:
    """Make what a file or folder holds survive a power cut; OSError where it cannot be."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
