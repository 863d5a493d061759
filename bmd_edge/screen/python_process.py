"""A Python process that a run may lose, and the pipe to it: how it is started, and with which Python."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection, Pipe
from multiprocessing.spawn import get_executable

from bmd_edge.errors import EngineError
from bmd_edge.system.machine import environment_of_workers

OTHER_PYTHON = "name a Python that has bmd_edge installed with multiprocessing.set_executable, or use Screener"


def start(
    module: str, environment: Mapping[str, str], *, quiet: bool = False
) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start `python -m module FD`, FD its end of a pipe, and return the process and the other end.

    With `quiet` nobody hears what it writes to stderr. EngineError where there is no such Python.
    """
    ours, theirs = map(_above_standard, Pipe())
    with theirs:
        try:
            process = subprocess.Popen(
                [python(), "-P", "-m", module, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL if quiet or not sys.stderr else None,  # it is None where it is closed
                pass_fds=[theirs.fileno()],
                env={**environment_of_workers(), **environment},
                process_group=0,  # Ctrl-C goes to the owner alone, who ends the process
            )
        except (FileNotFoundError, PermissionError) as error:
            ours.close()
            raise EngineError(f"{python()} cannot be started ({error.strerror}): {OTHER_PYTHON}") from None
    return process, ours


def python() -> str:
    """The interpreter that processes are started with: this one, or that of `multiprocessing.set_executable`."""
    return os.fsdecode(get_executable() or "")


def _above_standard(connection: Connection) -> Connection:
    """The same pipe, none of whose ends is 0, 1 or 2, as they are where the standard streams are closed."""
    if connection.fileno() > 2:
        return connection
    with connection:
        return Connection(fcntl.fcntl(connection.fileno(), fcntl.F_DUPFD_CLOEXEC, 3))
