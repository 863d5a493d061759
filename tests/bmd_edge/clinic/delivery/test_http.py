"""Answers of servers that send what they like: whole, cut off, too long, too slow, and no HTTP at all."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from bmd_edge.clinic.delivery import http
from bmd_edge.clinic.delivery.answers import Unreachable
from bmd_edge.clinic.delivery.http import HttpPeer, Response, http_peer
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from tests.bmd_edge.clinic.reading.readers import box
from tests.support.clinic import quick_keys


@contextmanager
def answering(answer: bytes, pause_s: float = 0.0) -> Iterator[HttpPeer]:
    """A peer that sends these bytes to each request, and closes; with a pause, a byte at a time."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, answer, pause_s), daemon=True)
        thread.start()
        connection = HTTPConnection(*listening.getsockname(), timeout=30)
        try:
            yield HttpPeer(connection, "/fhir")
        finally:
            connection.close()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(60)


def _serve(listening: socket.socket, answer: bytes, pause_s: float) -> None:
    step = 1 if pause_s else max(len(answer), 1)
    while True:
        try:
            taken, _ = listening.accept()
        except OSError:
            return
        with taken, suppress(OSError):
            asked = b""
            while not asked.endswith(b"END"):
                asked += taken.recv(65536)
            for n in range(0, len(answer), step):
                taken.sendall(answer[n : n + step])
                sleep(pause_s)


def ask(peer: HttpPeer) -> Response | None:
    return peer.ask("PUT", "/fhir/Observation/a", b"END", {})


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        (b'HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{"a": 1}', 201, {"a": 1}),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n4\r\n: 1}\r\n0\r\n\r\n', 200, {"a": 1}),
        (b'HTTP/1.0 200 OK\r\n\r\n{"a": 1}', 200, {"a": 1}),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", 200, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\xff\xfe\x00\xd8", 200, None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000, 200, None),
    ],
)
def test_a_whole_answer_is_what_it_says(answer: bytes, status: int, said: Any) -> None:
    with answering(answer) as peer:
        found = ask(peer)
    assert found is not None
    assert (found.status, found.said()) == (status, said)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no HTTP at all\r\n\r\n",
        b'HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n{"resourceType": "Obs',
        b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n100\r\n{"resourceType": "Obs',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n<html>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n<html>",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 500 + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_whole_answer_is_none(answer: bytes) -> None:
    with answering(answer) as peer:
        assert ask(peer) is None


def test_behind_an_answer_that_is_too_long_the_next_one_is_read() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b" " * 2_000_000) as peer:
        for found in (ask(peer), ask(peer)):
            assert found is not None
            assert len(found.body) == 1 << 20


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n"])
def test_an_answer_of_a_byte_at_a_time_is_given_up(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_REQUEST_S", 0.5)
    with answering(head + b"{}".ljust(400), pause_s=0.02) as peer:
        assert ask(peer) is None


def test_a_peer_that_does_not_accept_this_boxs_certificate_is_told_from_one_that_is_down(tmp_path: Path) -> None:
    """By TLS 1.3 it says so only when the box has sent its request."""
    folder = tmp_path / "clinic"
    folder.mkdir()
    with quick_keys():
        make_authority(folder)
        make_certificate(folder, "record", ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "record.crt", folder / "record.key")
    context.load_verify_locations(folder / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        taken = context.wrap_socket(listening.accept()[0], server_side=True, do_handshake_on_connect=False)
        with suppress(OSError):
            taken.do_handshake()
        with socket.socket(fileno=taken.detach()) as bare:
            while bare.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/fhir"
        config = box(tmp_path, f'pacs.main = {{ kind = "fhir", url = "{url}", ca = "{folder / "ca.crt"}" }}')
        with pytest.raises(Unreachable) as caught, http_peer(config, config.pacs["main"]) as peer:
            ask(peer)
        thread.join(60)
    assert caught.value.answer.reason == "tls"
