"""Objects to an archive by STOW-RS (PS3.18 10.5), one request for each.

Stored is what the answer names as stored: a login page, a proxy or an empty 202 would pass for success.
"""

import json
import secrets
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from threading import Timer
from typing import Any
from urllib.parse import urlsplit

from bmd_edge.clinic.config import Config, Destination
from bmd_edge.clinic.delivery.answers import Answer, Next, Unreachable, answer_to
from bmd_edge.clinic.delivery.dicom import ANSWER_S, tls_context
from bmd_edge.clinic.journal.deliveries import Delivery

_REQUEST_S = 60.0  # for all of a request, however slowly its bytes go
_MOST_ANSWER_BYTES = 1 << 20
_JSON = "application/dicom+json"
_LATER = {408, 425, 429}
_STORED, _FAILED, _UID, _REASON = "00081199", "00081198", "00081155", "00081197"


class StowArchive:
    """The archive at a URL; `path` is that of its studies."""

    def __init__(self, connection: HTTPConnection, path: str, root: Path) -> None:
        self._connection, self._path, self._root = connection, path, root

    def send(self, objects: Iterable[Delivery]) -> Iterator[tuple[Delivery, Answer]]:
        """Send the objects' files as they are."""
        for one in objects:
            yield one, self._answer(one)

    def _answer(self, one: Delivery) -> Answer:
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        body = head + (self._root / one.path).read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": _JSON,
        }
        timer = Timer(_REQUEST_S, self._cut)
        timer.daemon = True
        timer.start()
        try:
            self._connection.request("POST", self._path, body, headers)
            response = self._connection.getresponse()
            data = response.read(_MOST_ANSWER_BYTES)
        except (OSError, HTTPException):
            self._connection.close()
            return answer_to(None)
        finally:
            timer.cancel()
        return _meaning(response.status, data, one.uid)

    def _cut(self) -> None:
        if self._connection.sock is not None:
            with suppress(OSError):
                self._connection.sock.shutdown(socket.SHUT_RDWR)


def _meaning(status: int, data: bytes, uid: str) -> Answer:
    """PS3.18 10.5.3: 200 all stored, 202 some, 409 none; which, says the data set."""
    if status >= 500 or status in _LATER:
        return Answer(Next.AGAIN, str(status), "pacs_busy")
    try:
        said = json.loads(data)
        stored, failed = (_uids(said, tag) for tag in (_STORED, _FAILED))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        stored, failed = {}, {}
    if uid in stored:
        return Answer(Next.SENT, str(status))
    if uid in failed and isinstance(failed[uid], int):
        return answer_to(failed[uid])
    if status in (200, 202):
        return Answer(Next.HOLD, str(status), "no_answer_of_an_archive")
    return Answer(Next.HOLD, str(status), "refused_by_pacs")


def _uids(said: Any, tag: str) -> dict[str, Any]:
    items = said.get(tag, {}).get("Value", [])
    return {item[_UID]["Value"][0]: item.get(_REASON, {}).get("Value", [None])[0] for item in items}


@contextmanager
def stow_archive(config: Config, destination: Destination) -> Iterator[StowArchive]:
    """Connect to the archive; Unreachable where that fails."""
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
    path = url.path.rstrip("/")
    try:
        yield StowArchive(connection, path if path.endswith("/studies") else f"{path}/studies", config.root)
    finally:
        connection.close()
