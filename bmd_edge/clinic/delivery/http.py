"""A connection by HTTP to an archive or a record, by TLS where its url says so."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from typing import NamedTuple
from urllib.parse import urlsplit

from bmd_edge.clinic.config import Config, Destination
from bmd_edge.clinic.delivery.answers import Unreachable
from bmd_edge.clinic.delivery.dicom import ANSWER_S, tls_context

_REQUEST_S = 60.0  # for all of a request, however slowly its bytes go
_MOST_ANSWER_BYTES = 1 << 20
_LATER = {408, 425, 429}


class Response(NamedTuple):
    """What a server answered, up to 1 MiB of it."""

    status: int
    headers: Message
    body: bytes

    @property
    def later(self) -> bool:
        """Whether it says nothing about what was sent, and may answer otherwise another time."""
        return self.status >= 500 or self.status in _LATER


class HttpPeer:
    """A connection that lasts; `path` is that of the url, without a slash at its end."""

    def __init__(self, connection: HTTPConnection, path: str) -> None:
        self._connection, self.path = connection, path

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response | None:
        """Send a request; None where there is no whole answer in time."""
        timer = Timer(_REQUEST_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return Response(response.status, response.headers, response.read(_MOST_ANSWER_BYTES))
        except (OSError, HTTPException):
            self._connection.close()
            return None
        finally:
            timer.cancel()

    def _cut(self) -> None:
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def http_peer(config: Config, destination: Destination) -> Iterator[HttpPeer]:
    """Connect to a destination; Unreachable where that fails."""
    url = urlsplit(destination.url)
    assert url.hostname
    connection = HTTPConnection(url.hostname, url.port, timeout=ANSWER_S)
    if url.scheme == "https":
        context = tls_context(config, destination)
        connection = HTTPSConnection(url.hostname, url.port, timeout=ANSWER_S, context=context)
    try:
        connection.connect()
    except ssl.SSLError as error:
        raise Unreachable("tls", error.reason or type(error).__name__) from None
    except OSError as error:
        raise Unreachable("pacs_down", error.strerror or type(error).__name__) from None
    try:
        yield HttpPeer(connection, url.path.rstrip("/"))
    finally:
        connection.close()
