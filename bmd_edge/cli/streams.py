"""Standard streams as a program finds them: closed, without a reader, or of an encoding that lacks letters."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def settle() -> None:
    """Make stdin, stdout and stderr such that no write to them can end a command, whatever became of their readers."""
    _open_closed()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            setattr(sys, name, _unread(stream))


@contextmanager
def drained() -> Iterator[None]:
    """Hand over at the end what stdout still holds; if that fails (a full disk), drop it and raise OSError, once."""
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(
                os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
            )  # else the interpreter tries again at its end
            raise


class _Unread(io.FileIO):
    """A stream whose reader may go away (`| head`): the command goes on, and ends as it would have."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes


def _unread(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """The same stream; a letter that its encoding lacks is shown escaped. One that is no file's stays as it is."""
    stream.flush()
    try:
        raw = _Unread(stream.fileno(), "w", closefd=False)
    except io.UnsupportedOperation:
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(raw), stream.encoding, "backslashreplace", line_buffering=stream.line_buffering
    )


def _open_closed() -> None:
    """Where a supervisor has closed them: else the next files that are opened take their numbers."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, open(nowhere, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
