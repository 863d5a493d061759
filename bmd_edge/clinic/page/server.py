"""The page's own small server: HTTP on this machine alone, GET and nothing else.

It answers in the process of `bmd-edge clinic serve`, with a connection of its own to the journal: what it shows cannot
be of another box, and no further service has to run. Whatever happens to a request, reading and sending go on.
"""

import errno
import io
import logging
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from importlib.resources import files
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from bmd_edge.clinic.config import Config, address
from bmd_edge.clinic.journal.films import picture_of
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.bar import Bar
from bmd_edge.clinic.page.clients import Clients, Prompt
from bmd_edge.clinic.page.metrics import CONTENT_TYPE, metrics
from bmd_edge.clinic.page.pictures import identity_of, small_film
from bmd_edge.clinic.page.tally import Tally
from bmd_edge.clinic.page.today import today_html
from bmd_edge.clinic.page.watcher import Watcher
from bmd_edge.clinic.places import SERVER
from bmd_edge.errors import UsageError

logger = logging.getLogger(__name__)

_MOST_CONNECTIONS, _MOST_STREAMS = 64, 32
"""More would take files that `serve` needs for other things. A page without a stream polls."""
_REQUEST_S, _ANSWER_S = 10.0, 30.0
"""How long a client may take to send its request, and to take its answer."""
BEAT_S = 15.0
"""After so long without news a stream says that it is alive."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HTML, _TEXT = "text/html; charset=utf-8", "text/plain; charset=utf-8"
_NO_JOURNAL = b"The journal cannot be read: run `bmd-edge clinic doctor`.\n"
_ASSETS = {
    "/page.css": "text/css; charset=utf-8",
    "/page.js": "text/javascript; charset=utf-8",
    "/icon.svg": "image/svg+xml",
}
_PICTURE = re.compile(r"/films/([0-9a-f]{64})/([0-9]{1,6})\.jpg")


class _Server(ThreadingMixIn, TCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, config: Config, journal: Journal) -> None:
        self.config, self.journal = config, journal
        self.tally, self.bar = Tally(), Bar(config)
        self.watcher = Watcher(journal, self.tally, self.bar)
        self.streams = threading.BoundedSemaphore(_MOST_STREAMS)
        self.clients = Clients(_MOST_CONNECTIONS)
        host, port = address(config.page.bind)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # nginx says `Host: 127.0.0.1:8080` where it stands before us; a page of a stranger whose name was bent to this
        # machine (DNS rebinding) says that name.
        self.hosts = {config.page.bind, f"localhost:{port}"}
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A thread for each connection, as long as there are not too many."""
        if self.clients.enter(request):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.clients.leave(request)

    def handle_error(self, *_: Any) -> None:
        """The browser is gone, the box ends, or a fault of ours: its traceback could quote a header."""
        if not (isinstance(error := sys.exception(), ConnectionError | TimeoutError) or self.watcher.ended):
            logger.error("page: a request ended with %s", type(error).__name__)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = SERVER, ""

    def setup(self) -> None:
        """The request is read for a while only."""
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(Prompt(self.connection, _REQUEST_S))

    def do_GET(self) -> None:
        """One of the page's few addresses; what stands behind a question mark is not looked at."""
        self.server.clients.answer(self.connection)
        path = self.path.partition("?")[0]
        if self.headers.get("Host") not in self.server.hosts:
            said = f"Ask for http://{self.server.config.page.bind}/: this page has no other name.\n"
            self._send(HTTPStatus.MISDIRECTED_REQUEST, _TEXT, said.encode())
        elif self.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and not self._is_visit():
            self.send_error(HTTPStatus.FORBIDDEN)
        else:
            try:
                self._answer(path)
            except (OSError, UsageError) as error:
                if isinstance(error, ConnectionError | TimeoutError):
                    raise
                self._send(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, _NO_JOURNAL)

    def _is_visit(self) -> bool:
        """Whether somebody follows a link, and no page of a stranger reads what is here."""
        return self.headers.get("Sec-Fetch-Mode") == "navigate"

    def _answer(self, path: str) -> None:
        if path == "/":
            self._page()
        elif path in _ASSETS:
            self._send(HTTPStatus.OK, _ASSETS[path], _asset(path))
        elif path == "/events":
            self._events()
        elif path == "/metrics":
            server = self.server
            said = metrics(server.config, server.journal, server.tally, server.clients.gone)
            self._send(HTTPStatus.OK, CONTENT_TYPE, said.encode())
        elif found := _PICTURE.fullmatch(path):
            self._picture(found[1], int(found[2]))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _page(self) -> None:
        """The page, or 304 where the browser has it."""
        server = self.server
        server.tally.step(server.journal)
        troubles = server.bar.troubles(server.journal, server.tally)
        page = today_html(server.config, server.journal, server.tally.notice, troubles).encode()
        tag = f'"{sha256(page).hexdigest()[:32]}"'
        if self.headers.get("If-None-Match") == tag:
            self._send(HTTPStatus.NOT_MODIFIED, _HTML, b"", {"ETag": tag})
        else:
            self._send(HTTPStatus.OK, _HTML, page, {"ETag": tag})

    def _picture(self, film_key: str, version: int) -> None:
        config, made = self.server.config, picture_of(self.server.journal, film_key, version)
        picture = b""
        try:
            path = config.root / made.path if made else None
            if path and (config.page.names or not identity_of(path).burned_in):
                picture = small_film(path)
        except OSError:  # what the archive keeps may have been moved away, and a disk may lose a file
            pass
        if picture:
            self._send(HTTPStatus.OK, "image/jpeg", picture)
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _events(self) -> None:
        """Say that something has changed, each time it has, until the browser is gone or the box ends."""
        if not self.server.streams.acquire(blocking=False):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        try:
            self.connection.settimeout(_ANSWER_S)
            self._head(HTTPStatus.OK, "text/event-stream", {"X-Accel-Buffering": "no"})
            seen, watcher = "", self.server.watcher
            while not watcher.ended:
                now = watcher.wait(seen, BEAT_S)
                kind = "change" if now != seen else "beat"
                self.wfile.write(f"event: {kind}\ndata: {now}\n\n".encode())
                seen = now
        finally:
            self.server.streams.release()

    def _send(self, status: HTTPStatus, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.server.clients.wait_for(self.connection)
        self.connection.settimeout(_ANSWER_S)
        self._head(status, kind, {"Content-Length": str(len(body)), **(more or {})})
        self.wfile.write(body)

    def _head(self, status: HTTPStatus, kind: str, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, **_HEADERS, **more}.items():
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, *_: object, **__: object) -> None:
        """A status and its name; the library's own page would repeat what was asked for."""
        status = HTTPStatus(code)
        self._send(status, _TEXT, f"{status} {status.phrase}\n".encode())

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who looks at the page is no event of the box."""


def _asset(path: str) -> bytes:
    return files("bmd_edge.clinic.page").joinpath("templates", path[1:]).read_bytes()


@contextmanager
def page_server(config: Config) -> Iterator[str]:
    """Answer at `page.bind` while the block runs; yields the page's address. UsageError where the port is taken."""
    with Journal(config.root) as journal, _server(config, journal) as server:
        threads = [
            threading.Thread(target=run, args=given, daemon=True)
            for run, given in ((server.serve_forever, (0.1,)), (server.watcher.run, ()))
        ]
        for thread in threads:
            thread.start()
        try:
            yield f"http://{config.page.bind}/"
        finally:
            server.watcher.end()
            server.shutdown()
            for thread in threads:
                thread.join()


def _server(config: Config, journal: Journal) -> _Server:
    try:
        return _Server(config, journal)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise UsageError(
                f"page.bind {config.page.bind}: {error.strerror}; name another port in clinic.toml"
            ) from None
        raise
