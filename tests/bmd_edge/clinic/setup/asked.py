"""Servers that a doctor asks whether they are archives or records: real ones, and some that are neither."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.clinic.fhir_server import capability


class _Server(ThreadingHTTPServer):
    """One that by TLS tells a client whose certificate it does not accept so, and hears it out, as real ones do: of a
    connection that is cut at once the client's system throws the word away.
    """

    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
            try:
                request.do_handshake()
            except OSError:
                with socket.socket(fileno=request.detach()) as bare, suppress(OSError):
                    while bare.recv(65536):
                        pass
                return
        super().process_request_thread(request, client_address)


@contextmanager
def server(answers: dict[str, tuple[int, str, str]], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A server with one answer (status, content type, body) for each "GET /path" or "POST /path", else 404; yields its
    url.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, kind, body = answers.get(f"{self.command} {self.path}", (404, "text/plain", ""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = _answer

        def log_message(self, *_: object) -> None:
            pass

    made = _Server(("127.0.0.1", 0), Handler)
    made.tls = tls
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{made.server_address[1]}/base"
    finally:
        made.shutdown()
        made.server_close()


def says(status: int, body: object = "", kind: str = "application/json") -> tuple[int, str, str]:
    """An answer."""
    return status, kind, body if isinstance(body, str) else json.dumps(body)


def record(**changed: Any) -> dict[str, tuple[int, str, str]]:
    """Answers of a record whose CapabilityStatement is `capability` with these elements."""
    return {"GET /base/metadata": says(200, capability() | changed)}


def resources(*listed: dict[str, object]) -> list[dict[str, object]]:
    """What a CapabilityStatement lists under `rest`."""
    return [{"mode": "server", "resource": list(listed)}]


_STRANGER, _BUSY, _ELSEWHERE = "does not let this box in", "no room or no time", "Check the url"
_OBSERVATION = "GET /base/Observation/bmd-edge-doctor"
LOGIN = says(200, "<html>Please log in</html>", "text/html")
RECORDS = [
    ("one that lists nothing", record(rest=[]), ""),
    (
        "one that does not say who gives ids",
        record(rest=resources({"type": "Observation"}, {"type": "DiagnosticReport"})),
        "",
    ),
    ("R5", record(fhirVersion="5.0.0"), "another version of FHIR"),
    ("R3", record(fhirVersion="3.0.2"), "another version of FHIR"),
    (
        "one that gives ids itself",
        record(rest=resources({"type": "Observation", "updateCreate": False})),
        "update as create",
    ),
    ("one without reports", record(rest=resources({"type": "Observation", "updateCreate": True})), "update as create"),
    ("one that is odd", record(rest=["x"]), "update as create"),
    ("a login page", {"GET /base/metadata": LOGIN}, _ELSEWHERE),
    ("another resource", {"GET /base/metadata": says(200, {"resourceType": "Bundle"})}, _ELSEWHERE),
    ("nobody's path", {}, _ELSEWHERE),
    ("moved", {"GET /base/metadata": says(302)}, _ELSEWHERE),
    ("one that lets nobody in", {"GET /base/metadata": says(401)}, _STRANGER),
    ("one that lets nobody read", {**record(), _OBSERVATION: says(403)}, _STRANGER),
    ("one that was cleaned", {**record(), _OBSERVATION: says(410)}, ""),
    ("one that is busy", {"GET /base/metadata": says(503)}, _BUSY),
    ("one that is busy just now", {**record(), _OBSERVATION: says(429)}, _BUSY),
]
"""What is there, its answers, and words of what the doctor says; "" where all is well."""
ARCHIVES = [
    ("one that finds fault", {"POST /base/studies": says(400)}, ""),
    ("one that stores nothing", {"POST /base/studies": says(200, {}, "application/dicom+json")}, ""),
    ("one that falls ill", {"POST /base/studies": says(500)}, ""),
    ("a login page", {"POST /base/studies": LOGIN}, _ELSEWHERE),
    ("nobody's path", {}, _ELSEWHERE),
    ("a server of pages", {"POST /base/studies": says(405)}, _ELSEWHERE),
    ("moved", {"POST /base/studies": says(307)}, _ELSEWHERE),
    ("one that lets nobody in", {"POST /base/studies": says(403)}, _STRANGER),
    ("one that is busy", {"POST /base/studies": says(503)}, _BUSY),
    ("a proxy before nobody", {"POST /base/studies": says(502)}, _BUSY),
]
