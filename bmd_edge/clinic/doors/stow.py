"""STOW-RS (PS3.18 10.5), answered behind nginx: the same door for films that come by HTTP.

nginx ends TLS, checks the sender's certificate, lets nothing in but POST to the one path, and gives the whole body with
its length; what it says of a sender is believed, so only it may open the socket.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any, NamedTuple

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.content import NotTaken, Status, sop_of
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.places import STOW_SOCKET
from bmd_edge.film.limits import MAX_FILE_BYTES

logger = logging.getLogger(__name__)

PATH = "/dicom-web/studies"
SUBJECT = "X-Client-Subject"
MOST_PARTS = 200
MOST_BODY_BYTES = MAX_FILE_BYTES + (8 << 20)
"""The largest film and what stands around it; a sender splits more."""
_MOST_PART_HEADER_BYTES = 4096
_AT_A_TIME = 2
"""Requests whose bodies lie in memory; the next one waits in nginx."""
_WAIT_S = 30
_ANSWERED = "application/dicom+json"


class BadRequest(Exception):
    """A request that holds no films: `status` says why."""

    def __init__(self, status: HTTPStatus, what: str) -> None:
        super().__init__(what)
        self.status = status


class Kept(NamedTuple):
    """What became of one part: its SOP class and instance, "" where it cannot be read, and the door's status."""

    sop_class: str
    sop_uid: str
    status: Status


def parts_of(body: bytes, content_type: str) -> list[memoryview]:
    """The DICOM files in the body of a STOW-RS request (RFC 2046 5.1.1, RFC 2387); BadRequest where it has none."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_param("boundary")
    kind = str(header.get_param("type") or "").lower()
    if header.get_content_type() != "multipart/related" or kind not in ("", "application/dicom"):
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'send multipart/related; type="application/dicom"')
    if not isinstance(boundary, str) or not re.fullmatch(r"[0-9A-Za-z'()+_,./:=? -]{1,70}", boundary):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the boundary of the parts is missing or wrong")
    mark, view = b"\r\n--" + boundary.encode(), memoryview(body)
    found: list[memoryview] = []
    # The first boundary may be the very beginning.
    start = len(mark) - 2 if body.startswith(mark[2:]) else _after(body, mark, 0)
    while body[start : start + 2] != b"--":
        if len(found) == MOST_PARTS:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_PARTS} parts: send them in several")
        blank = body.find(b"\r\n\r\n", start, start + _MOST_PART_HEADER_BYTES)
        if blank < 0:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "a part has no header")
        _check_part(body[start:blank])
        after = _after(body, mark, blank + 4)
        found.append(view[blank + 4 : after - len(mark)])
        start = after
    if not found:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "there are no parts")
    return found


def _after(body: bytes, mark: bytes, start: int) -> int:
    found = body.find(mark, start)
    if found < 0:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "the last part does not end")
    return found + len(mark)


def _check_part(header: bytes) -> None:
    kind = re.search(rb"(?im)^content-type:[ \t]*([^\s;]+)", header)
    if not kind or kind[1].lower() != b"application/dicom":
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "every part must be application/dicom")
    if re.search(rb"(?im)^content-transfer-encoding:[ \t]*(?!binary|8bit)", header):
        raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the parts must be binary")


def answer(kept: list[Kept]) -> tuple[HTTPStatus, dict[str, Any]]:
    """The status and the data set of the answer (PS3.18 10.5.3), as DICOM JSON."""
    done = [one for one in kept if one.status == Status.KEPT]
    failed = [one for one in kept if one.status != Status.KEPT]
    data: dict[str, Any] = {}
    if done:
        data["00081199"] = {"vr": "SQ", "Value": [_item(one) for one in done]}
    if known := [one for one in failed if one.sop_uid]:
        data["00081198"] = {"vr": "SQ", "Value": [_item(one) | _reason(one) for one in known]}
    if others := [one for one in failed if not one.sop_uid]:
        data["0008119A"] = {"vr": "SQ", "Value": [_reason(one) for one in others]}
    if not failed:
        return HTTPStatus.OK, data
    if all(one.status == Status.NO_ROOM for one in kept):
        return HTTPStatus.SERVICE_UNAVAILABLE, data
    return HTTPStatus.ACCEPTED if done else HTTPStatus.CONFLICT, data


def _item(one: Kept) -> dict[str, Any]:
    return {"00081150": {"vr": "UI", "Value": [one.sop_class]}, "00081155": {"vr": "UI", "Value": [one.sop_uid]}}


def _reason(one: Kept) -> dict[str, Any]:
    return {"00081197": {"vr": "US", "Value": [int(one.status)]}}


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, config: Config, door: Door) -> None:
        self.config, self.door = config, door
        self.turns = threading.BoundedSemaphore(_AT_A_TIME)
        super().__init__(str(config.root / STOW_SOCKET), _Handler)

    def handle_error(self, *_: Any) -> None:
        """The sender is gone, or a fault of ours: its traceback could quote a film."""
        logger.error("stow: a request ended with %s", type(sys.exception()).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 60  # a body that stops coming
    _unread = 0  # bytes of the body
    server_version, sys_version = "bmd-edge", ""

    def do_POST(self) -> None:
        """Take the films of one request."""
        length = self.headers.get("Content-Length", "")
        self._unread = int(length) if length.isdecimal() and int(length) <= MOST_BODY_BYTES else 0
        origin = Origin("stow", self._unit())
        try:
            self._check()
            if not self.server.turns.acquire(timeout=_WAIT_S):
                raise BadRequest(HTTPStatus.SERVICE_UNAVAILABLE, "too many at once")
            try:
                status, data = answer(self._kept(origin))
            finally:
                self.server.turns.release()
        except BadRequest as error:
            logger.warning("stow: %d to %s: %s", error.status, origin.unit or "a stranger", error)
            self._drain()
            self._send(error.status, "text/plain; charset=utf-8", f"{error}\n".encode())
            return
        self._send(status, _ANSWERED, json.dumps(data).encode())

    def _unit(self) -> str:
        """The unit whose certificate this is: its common name is the unit's, or its AE title (RFC 2253)."""
        names = [part[3:] for part in re.split(r"(?<!\\),", self.headers.get(SUBJECT, "")) if part.startswith("CN=")]
        if len(names) != 1:
            return ""
        config = self.server.config
        return names[0] if names[0] in config.units else (config.unit_of(names[0]) or ("",))[0]

    def _check(self) -> None:
        if self.path != PATH:
            raise BadRequest(HTTPStatus.NOT_FOUND, f"films go to {PATH}")
        if not self._unit():
            origin, error = Origin("stow", ""), NotTaken(Status.NOT_AUTHORIZED, "unknown_unit")
            self.server.door.audit(origin, error)
            raise BadRequest(HTTPStatus.FORBIDDEN, "no unit of clinic.toml has this certificate's name")
        accept = self.headers.get("Accept", "*/*").lower()
        if not re.search(r"\*/\*|application/(\*|json|dicom\+json)", accept):
            raise BadRequest(HTTPStatus.NOT_ACCEPTABLE, f"answers are {_ANSWERED}")
        if self.headers.get("Content-Encoding", "identity") != "identity":
            raise BadRequest(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "the body must not be compressed")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise BadRequest(HTTPStatus.LENGTH_REQUIRED, "the body has no length")
        if int(length) > MOST_BODY_BYTES:
            raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST_BODY_BYTES} bytes")

    def _drain(self) -> None:
        """Read the rest of the body: of a receiver that is gone before its end nginx says 502, whatever it answered."""
        while self._unread > 0 and (read := self.rfile.read(min(self._unread, 1 << 20))):
            self._unread -= len(read)

    def _kept(self, origin: Origin) -> list[Kept]:
        length, self._unread = self._unread, 0
        body = self.rfile.read(length)
        if len(body) < length:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "the body ends early")
        found = []
        for part in parts_of(body, self.headers.get("Content-Type", "")):
            film = bytes(part)
            found.append(Kept(*sop_of(film), self.server.door.keep(film, origin)))
        return found

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "60")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a request line may hold anything, and what was taken or refused is in the journal."""

    def address_string(self) -> str:
        """The socket's peer has no address."""
        return "nginx"


@contextmanager
def stow_door(config: Config, door: Door) -> Iterator[Path]:
    """Answer STOW-RS at a socket of the box's folder while the block runs; yields its path."""
    path = config.root / STOW_SOCKET
    path.unlink(missing_ok=True)  # of a killed process
    with _Server(config, door) as server:
        path.chmod(0o600)
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()
            path.unlink(missing_ok=True)
