"""Stored is what the answer names as stored: real servers that answer otherwise."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import sleep

import pytest

from bmd_edge.clinic.delivery import http
from tests.bmd_edge.clinic.delivery.archives import data_set
from tests.bmd_edge.clinic.delivery.conftest import Served
from tests.support.clinic import free_port

Make = Callable[..., Served]


@contextmanager
def server(status: int, body: Callable[[str], bytes], pause_s: float = 0.0) -> Iterator[tuple[str, list[bytes]]]:
    """A server whose answer to every POST is `status` and `body`, a byte each `pause_s`; yields its URL and bodies."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            got.append(data)
            part = data.split(b"\r\n\r\n", 1)[1]
            at = data_set(part).index(b"\x08\x00\x18\x00UI") + 8
            length = int.from_bytes(data_set(part)[at - 2 : at], "little")
            answer = body(data_set(part)[at : at + length].rstrip(b"\0").decode())
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            for number in range(len(answer) if pause_s else 1):
                self.wfile.write(answer[number : number + 1] if pause_s else answer)
                sleep(pause_s)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = True
    made.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}/dicom-web", got
    finally:
        made.shutdown()
        made.server_close()


def sequence(tag: str, uid: str, **more: int) -> bytes:
    item: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
    item |= {name.removeprefix("t"): {"vr": "US", "Value": [value]} for name, value in more.items()}
    return json.dumps({tag: {"vr": "SQ", "Value": [item]}}).encode()


ANSWERS = [
    ("stored", 200, lambda uid: sequence("00081199", uid), "sent 200"),
    ("stored, 202", 202, lambda uid: sequence("00081199", uid), "sent 202"),
    ("a login page", 200, lambda _: b"<html>Please log in</html>", "held no_answer_of_an_archive 200"),
    ("nothing", 200, lambda _: b"", "held no_answer_of_an_archive 200"),
    ("an empty data set", 202, lambda _: b"{}", "held no_answer_of_an_archive 202"),
    ("another object", 200, lambda _: sequence("00081199", "1.2.3"), "held no_answer_of_an_archive 200"),
    ("a list", 200, lambda _: b"[1]", "held no_answer_of_an_archive 200"),
    ("nested without end", 200, lambda _: b"[" * 100_000, "held no_answer_of_an_archive 200"),
    ("moved", 302, lambda _: b"", "held no_answer_of_an_archive 302"),
    ("refused", 409, lambda uid: sequence("00081198", uid, t00081197=0xA900), "held refused_by_pacs A900"),
    ("no room", 409, lambda uid: sequence("00081198", uid, t00081197=0xA700), "ready pacs_busy A700"),
    ("no entry", 401, lambda _: b"", "held not_authorized 401"),
    ("no such path", 404, lambda _: b"", "held no_answer_of_an_archive 404"),
    ("no such method", 501, lambda _: b"", "held no_answer_of_an_archive 501"),
    ("a fault", 500, lambda _: b"", "ready pacs_busy 500"),
    ("a proxy's error", 502, lambda _: b"<html>", "ready pacs_busy 502"),
    ("too many", 429, lambda _: b"", "ready pacs_busy 429"),
]


@pytest.mark.parametrize(("status", "body", "said"), [one[1:] for one in ANSWERS], ids=[one[0] for one in ANSWERS])
def test_what_an_answer_means(status: int, body: Callable[[str], bytes], said: str, served: Make) -> None:
    with server(status, body) as (url, got):
        box = served(f'pacs.main = {{ kind = "stow", url = "{url}", objects = ["sr"] }}')
        with box.delivering():
            box.until(lambda states: states == {said: 2})
        files = [(box.config.root / one.path).read_bytes() for one in box.objects if one.kind == "sr"]
        assert all(any(file in data for data in got) for file in files)


def test_an_answer_of_a_byte_at_a_time_is_given_up(served: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_S", 1.0)
    with server(200, lambda uid: sequence("00081199", uid), pause_s=0.2) as (url, _):
        box = served(f'pacs.main = {{ kind = "stow", url = "{url}", objects = ["sr"] }}')
        with box.delivering():
            box.until(lambda states: "ready pacs_down" in states)


def test_nobody_there_then_somebody(served: Make) -> None:
    port = free_port()
    box = served(f'pacs.main = {{ kind = "stow", url = "http://127.0.0.1:{port}/dicom-web", objects = ["sr"] }}')
    with box.delivering():
        box.until(lambda states: len(states) == 1 and "ready pacs_down" in next(iter(states)))
