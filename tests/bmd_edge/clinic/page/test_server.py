"""The page's server: a few addresses, for this machine's own pages alone."""

import io
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse

import pytest
from PIL import Image

from bmd_edge.clinic.config import Config, address
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page import server as module
from bmd_edge.clinic.page.server import page_server
from bmd_edge.errors import UsageError
from tests.support.clinic.films_of_a_day import with_names


@pytest.fixture
def served(config: Config) -> Iterator[Config]:
    with page_server(config) as url:
        assert url == f"http://{config.page.bind}/"
        yield config


def ask(config: Config, path: str, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(*address(config.page.bind), timeout=60)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(connection):
        connection.request(method, path, headers=named)
        answer = connection.getresponse()
        return answer, answer.read()


@contextmanager
def stream(config: Config) -> Iterator[Iterator[str]]:
    """The events of a page, as lines."""
    connection = HTTPConnection(*address(config.page.bind), timeout=60)
    with closing(connection):
        connection.request("GET", "/events")
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/event-stream")
        yield (line.decode().strip() for line in answer)


def picture_path(keys: dict[str, str], name: str, version: int = 1) -> str:
    return f"/films/{keys[name]}/{version}.jpg"


@pytest.mark.parametrize(
    ("path", "kind", "begins"),
    [
        ("/", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ("/?accession=ACC-1001", "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ("/page.css", "text/css; charset=utf-8", b":root"),
        ("/page.js", "text/javascript; charset=utf-8", b'"use strict"'),
        ("/icon.svg", "image/svg+xml", b"<svg"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", b"# HELP"),
    ],
)
def test_what_is_there_is_told_to_nobody_else_and_kept_nowhere(
    served: Config, path: str, kind: str, begins: bytes
) -> None:
    answer, body = ask(served, path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert body.lstrip().startswith(begins)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert not re.search(r"https?:|\*|data:", policy)
    for name, value in (
        ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("Server", "bmd-edge"),
    ):  # fmt: skip
        assert answer.headers[name].strip() == value


def test_a_film_is_shown_small(served: Config, keys: dict[str, str]) -> None:
    answer, body = ask(served, picture_path(keys, "kept"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "image/jpeg")
    assert max(Image.open(io.BytesIO(body)).size) == 320


def test_a_film_that_names_somebody_is_shown_only_with_names(config: Config, keys: dict[str, str]) -> None:
    with page_server(config):
        assert ask(config, picture_path(keys, "burned"))[0].status == 404
    with page_server(with_names(config)):
        assert ask(config, picture_path(keys, "burned"))[0].status == 200


def test_a_picture_that_was_moved_away_is_not_there(served: Config, keys: dict[str, str]) -> None:
    for path in (served.root / "outbox").glob("*.dcm"):
        path.unlink()
    assert ask(served, picture_path(keys, "kept"))[0].status == 404
    assert ask(served, "/")[0].status == 200


@pytest.mark.parametrize("left", [0, 100, 2_000_000])
def test_one_picture_that_the_disk_has_damaged_takes_no_page_along(
    served: Config, keys: dict[str, str], left: int
) -> None:
    for path in (served.root / "outbox").glob("*.dcm"):
        path.write_bytes(path.read_bytes()[:left])
    answer, body = ask(served, "/")
    assert answer.status == 200
    assert all(key[:16] in body.decode() for key in keys.values())
    assert ask(served, picture_path(keys, "kept"))[0].status == 404


@pytest.mark.parametrize(
    "path", ["/films/", "/films/../patient.key", "/films/%2e%2e/patient.key", "/journal.sqlite", "/page.html",
             f"/films/{'0' * 64}/1.jpg", f"/films/{'0' * 64}/99999999999999999999.jpg", "/<script>"],
)  # fmt: skip
def test_nothing_else_is_there(served: Config, path: str) -> None:
    answer, body = ask(served, path)
    assert (answer.status, body) == (404, b"404 Not Found\n")


def test_another_version_is_not_there(served: Config, keys: dict[str, str]) -> None:
    assert ask(served, picture_path(keys, "kept", 2))[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "<b>"])
def test_nothing_is_taken(served: Config, method: str) -> None:
    answer, body = ask(served, "/", method)
    assert answer.status == 501
    assert b"<" not in body
    assert answer.headers["Content-Security-Policy"]


def test_a_page_of_a_stranger_reads_nothing(served: Config) -> None:
    host, port = address(served.page.bind)
    for name in ("evil.example", f"evil.example:{port}", host, f"{host}:{port + 1}"):  # DNS rebinding
        answer, said = ask(served, "/", Host=name)
        assert (answer.status, f"http://{served.page.bind}/" in said.decode()) == (421, True)
    for name in (f"{host}:{port}", f"localhost:{port}"):
        assert ask(served, "/", Host=name)[0].status == 200
    for whence in ("cross-site", "same-site"):
        for path in ("/", "/events", "/metrics", "/page.js"):
            assert ask(served, path, Sec_Fetch_Site=whence, Sec_Fetch_Mode="no-cors")[0].status == 403
    assert ask(served, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0].status == 200  # a bookmark's
    assert ask(served, "/", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")[0].status == 200


def test_a_page_that_is_there_already_is_not_sent_again(served: Config) -> None:
    first, page = ask(served, "/")
    tag = first.headers["ETag"]
    again, body = ask(served, "/", If_None_Match=tag)
    assert (again.status, body, again.headers["ETag"]) == (304, b"", tag)
    with Journal(served.root) as journal, journal.change() as db:
        db.execute("UPDATE film SET unit='xray2'")
    assert ask(served, "/", If_None_Match=tag)[0].status == 200
    assert page


def test_a_change_is_told_at_once(served: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.5)
    with stream(served) as lines:
        while (line := next(lines)) != "event: change":
            assert line.startswith(("event: beat", "data:")) or not line
        first = next(lines)
        assert first.startswith("data: ")
        assert any(line == "event: beat" for line in lines)  # nothing was new, and it says that it is there
        with Journal(served.root) as journal:
            journal.record("film_again")
        assert next(line for line in lines if line.startswith("data: ") and line != first)


def test_too_many_streams_are_refused_and_the_page_is_not(served: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = [HTTPConnection(*address(served.page.bind), timeout=60) for _ in range(module._MOST_STREAMS)]
    try:
        for one in streams:
            one.request("GET", "/events")
            assert one.getresponse().status == 200
        assert ask(served, "/events")[0].status == 503
        assert ask(served, "/")[0].status == 200
    finally:
        for one in streams:
            one.close()


def test_clients_who_say_nothing_or_a_byte_at_a_time_do_not_close_the_page(served: Config) -> None:
    slow = [socket.create_connection(address(served.page.bind), timeout=60) for _ in range(module._MOST_CONNECTIONS)]
    ends = threading.Event()

    def drip() -> None:
        while not ends.wait(0.05):
            for one in slow[::2]:
                with suppress(OSError):
                    one.sendall(b"G")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        for _ in range(10):
            assert ask(served, "/")[0].status == 200
        gone = re.search(rb"bmd_edge_page_clients_gone_total (\d+)", ask(served, "/metrics")[1])
        assert gone
        assert int(gone[1]) > 0
    finally:
        ends.set()
        thread.join()
        for one in slow:
            one.close()


def test_clients_who_do_not_take_their_answers_do_not_close_the_page(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_CONNECTIONS", 4)
    monkeypatch.setattr(module, "today_html", lambda *_: "x" * 10_000_000)  # more than the kernel takes for them
    host, port = address(config.page.bind)
    slow = []
    try:
        with page_server(config):
            for _ in range(4):
                one = socket.create_connection((host, port), timeout=60)
                one.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
                assert one.recv(1)  # its answer has begun
                slow.append(one)
            for _ in range(5):
                assert ask(config, "/icon.svg")[0].status == 200
    finally:
        for one in slow:
            one.close()


def test_a_client_has_so_long_for_its_request(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REQUEST_S", 0.3)
    with page_server(config), socket.create_connection(address(config.page.bind), timeout=60) as client:
        client.sendall(b"GET / HT")
        assert client.recv(1) == b""  # it ends, and the test does not


def test_beyond_what_serve_can_spare_nobody_is_let_in(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_CONNECTIONS", 2)
    with page_server(config), stream(config) as first, stream(config) as second:
        next(first)
        next(second)
        with pytest.raises(ConnectionError):
            ask(config, "/")


def test_a_journal_that_fails_is_said_and_the_server_stays(served: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(module, "today_html", failing)
        answer, body = ask(served, "/")
        assert (answer.status, b"clinic doctor" in body) == (503, True)
    assert ask(served, "/")[0].status == 200


def test_a_fault_of_ours_ends_one_request_and_quotes_nothing(
    served: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> str:
        raise ValueError("CANARY")

    with monkeypatch.context() as patch:
        patch.setattr(module, "today_html", failing)
        with pytest.raises(ConnectionError):
            ask(served, "/")
    assert ask(served, "/")[0].status == 200
    assert [record.getMessage() for record in caplog.records] == ["page: a request ended with ValueError"]


def test_a_port_that_is_taken_is_said(served: Config) -> None:
    said = r"page.bind 127.0.0.1:\d+: Address already in use; name another port in clinic.toml"
    with pytest.raises(UsageError, match=said), page_server(served):
        raise AssertionError


def test_it_ends_with_its_streams(config: Config) -> None:
    with page_server(config):
        connection = HTTPConnection(*address(config.page.bind), timeout=60)
        connection.request("GET", "/events")
        answer = connection.getresponse()
    with closing(connection):
        assert b"<" not in answer.read()  # it comes to its end
    with pytest.raises(ConnectionError):
        ask(config, "/")


def test_the_other_loopback_does_too(config: Config) -> None:
    _, port = address(config.page.bind)
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    other = replace(config, page=replace(config.page, bind=f"[::1]:{port}"))
    with page_server(other):
        assert ask(other, "/")[0].status == 200
