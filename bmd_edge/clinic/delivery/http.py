"""A connection by HTTP to an archive or a record, by TLS where its url says so."""

import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from threading import Timer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from bmd_edge.clinic.config import Config, Destination
from bmd_edge.clinic.delivery.answers import Unreachable
from bmd_edge.clinic.delivery.dicom import ANSWER_S, CONNECT_S, tls_context

_REQUEST_S = 60.0  # for all of a request, however slowly its bytes go
_MOST_ANSWER_BYTES = 1 << 20
MOST_WAIT_S = 3600.0
"""However long a server asks to be left in peace."""
_LATER = {408, 425, 429}
_NEVER = {501, 505}
"""Of the server's own faults those that are none of today: it knows no such method, or no such HTTP."""
_STRANGER = {401, 403, 407}


class Response(NamedTuple):
    """What a server answered, up to 1 MiB of it."""

    status: int
    headers: Message
    body: bytes

    @property
    def later(self) -> bool:
        """Whether it says nothing about what was sent, and may answer otherwise another time."""
        return (self.status >= 500 and self.status not in _NEVER) or self.status in _LATER

    @property
    def wait_s(self) -> float:
        """For how many seconds it asks to be left in peace (RFC 9110 10.2.3), an hour at most; 0 where it does not."""
        text = self.headers.get("Retry-After", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", text):
            return min(float(text), MOST_WAIT_S)
        until = _moment(text)
        # By its own clock, where it says what that is: this box's may differ.
        now = _moment(self.headers.get("Date", "")) or datetime.now(UTC)
        return min(max((until - now).total_seconds(), 0.0), MOST_WAIT_S) if until else 0.0

    @property
    def refusal(self) -> str:
        """Why it took nothing, a key of `REASONS`; what points elsewhere or knows no such place is no archive's
        address.
        """
        if self.status in _STRANGER:
            return "not_authorized"
        elsewhere = 300 <= self.status < 400 or self.status in {404, *_NEVER}
        return "no_answer_of_an_archive" if elsewhere else "refused_by_pacs"

    def said(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):  # nested deeper than Python goes
            return None


def _moment(text: str) -> datetime | None:
    """An HTTP-date (RFC 9110 5.6.7); None where it is none."""
    try:
        return parsedate_to_datetime(text).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


class HttpPeer:
    """A connection that lasts; `path` is that of the url, without a slash at its end."""

    def __init__(self, connection: HTTPConnection, path: str) -> None:
        self._connection, self.path = connection, path
        self._sock: socket.socket | None = None
        self._late = False

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Response | None:
        """Send a request; None where there is no whole answer in time, Unreachable where TLS fails only now."""
        self._late = False
        timer = Timer(_REQUEST_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            self._connection.request(method, path, body, headers)
            self._sock = self._connection.sock  # which the connection forgets where the answer lasts until it closes
            response = self._connection.getresponse()
            said = response.read(_MOST_ANSWER_BYTES)
            if self._late or (response.length and len(said) < _MOST_ANSWER_BYTES):  # http.client gives a part as all
                raise IncompleteRead(said, response.length)
            if not response.isclosed():  # longer than anybody reads: its rest is no answer to the next request
                self._connection.close()
            return Response(response.status, response.headers, said)
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a chunk of less than no bytes
            self._connection.close()
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                # By TLS 1.3 a peer says only behind the handshake that it does not accept this box's certificate.
                raise Unreachable("tls", error.reason or type(error).__name__) from None
            return None
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self._late = True
        if sock := self._connection.sock or self._sock:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def http_peer(config: Config, destination: Destination) -> Iterator[HttpPeer]:
    """Connect to a destination; Unreachable where that fails."""
    url = urlsplit(destination.url)
    assert url.hostname
    connection = HTTPConnection(url.hostname, url.port, timeout=CONNECT_S)
    if url.scheme == "https":
        context = tls_context(config, destination)
        connection = HTTPSConnection(url.hostname, url.port, timeout=CONNECT_S, context=context)
    try:
        connection.connect()
        connection.timeout = ANSWER_S
        connection.sock.settimeout(ANSWER_S)
    except ssl.SSLError as error:
        raise Unreachable("tls", error.reason or type(error).__name__) from None
    except OSError as error:
        raise Unreachable("pacs_down", error.strerror or type(error).__name__) from None
    try:
        yield HttpPeer(connection, url.path.rstrip("/"))
    finally:
        connection.close()
