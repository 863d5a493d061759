"""SQLite's errors as those of this package: the disk's are OSError, all others UsageError with a remedy."""

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from bmd_edge.errors import UsageError

_ERRNO = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_PERM: errno.EACCES,
    sqlite3.SQLITE_CANTOPEN: errno.EACCES,
}


@contextmanager
def translated(name: str, remedy: str) -> Iterator[None]:
    """Turn SQLite's errors into OSError where the disk is to blame, else into UsageError.

    `name` is the file's; `remedy` says what to do where it is no such file, or damaged.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells kinds of one error apart
        if code in _ERRNO:
            raise OSError(_ERRNO[code], os.strerror(_ERRNO[code])) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise UsageError(f"{name} is open in another program: close it, then run again") from error
        raise UsageError(f"{name} cannot be used ({error}): {remedy}") from error
