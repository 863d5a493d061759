"""Who is connected to the page: as many as `serve` can spare, and none for longer than it takes to answer them.

A client that is slow, by chance or on purpose, holds a thread and a socket. Where all are held, the one that has been
waited for longest has to go, so that whoever comes with a question gets an answer.
"""

import io
import socket
import threading
from contextlib import suppress
from time import monotonic


class Clients:
    """The connections of a server, at most `most` of them; from any number of threads.

    gone: how many had to go, or were not let in, since the start.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._awaited: dict[socket.socket, None] = {}  # for whose bytes the server waits, the first of them longest
        self._answered: set[socket.socket] = set()
        self.gone = 0

    def enter(self, client: socket.socket) -> bool:
        """Let a client in, in place of another one where all places are taken; False where all are being answered."""
        with self._lock:
            if len(self._awaited) + len(self._answered) >= self._most:
                self.gone += 1
                if not self._awaited:
                    return False
                oldest = next(iter(self._awaited))
                del self._awaited[oldest]
                with suppress(OSError):  # it has just gone by itself
                    oldest.shutdown(socket.SHUT_RDWR)  # its thread, which waits for it, ends
            self._awaited[client] = None
            return True

    def answer(self, client: socket.socket) -> None:
        """Its request is there: from now on it is not the client who is slow."""
        with self._lock:
            if client in self._awaited:
                del self._awaited[client]
                self._answered.add(client)

    def wait_for(self, client: socket.socket) -> None:
        """Its answer is made, and the client has to take it."""
        with self._lock:
            if client in self._answered:
                self._answered.remove(client)
                self._awaited[client] = None

    def leave(self, client: socket.socket) -> None:
        """It is gone."""
        with self._lock:
            self._awaited.pop(client, None)
            self._answered.discard(client)


class Prompt(io.RawIOBase):
    """What a client sends, for `seconds` in all: then TimeoutError, however many bytes still come."""

    def __init__(self, client: socket.socket, seconds: float) -> None:
        super().__init__()
        self._client, self._end = client, monotonic() + seconds

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """What is there, as for `io.RawIOBase`."""
        left = self._end - monotonic()
        if left <= 0:
            raise TimeoutError
        self._client.settimeout(left)
        return self._client.recv_into(buffer)
