"""STOW-RS: the body's parts, the answers of PS3.18, and the same door as all others."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors import content
from bmd_edge.clinic.doors.content import Status
from bmd_edge.clinic.doors.door import Door
from bmd_edge.clinic.doors.stow import (
    MOST_BODY_BYTES,
    MOST_PARTS,
    PATH,
    SUBJECT,
    BadRequest,
    Kept,
    answer,
    parts_of,
    stow_door,
)
from bmd_edge.clinic.journal.films import films_in
from bmd_edge.clinic.journal.store import Journal
from tests.support import clinic, films
from tests.support.clinic import stow_body as body_of
from tests.support.films import dicom_bytes

TYPE = clinic.STOW_TYPE


@pytest.mark.parametrize("before", [b"", b"\r\n", b"a preamble\r\n"])
def test_parts_are_found_byte_for_byte(before: bytes) -> None:
    parts = [b"\r\n--mar", dicom_bytes(), b"", b"--mark is in the middle", b"ends\r\n"]
    assert [bytes(part) for part in parts_of(before + body_of(*parts), TYPE)] == parts
    assert [bytes(part) for part in parts_of(body_of(b"x", mark="a b?"), TYPE.replace("=mark", '="a b?"'))] == [b"x"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (body_of(b"x"), "application/dicom", 415),
        (body_of(b"x"), TYPE.replace("application/dicom", "application/dicom+json"), 415),
        (body_of(b"x", kind="application/pdf"), TYPE, 415),
        (body_of(b"x").replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n"), TYPE, 415),
        (body_of(b"x"), "multipart/related", 400),
        (body_of(b"x"), TYPE.replace("mark", '"' + "m" * 71 + '"'), 400),
        (body_of(b"x"), TYPE.replace("mark", "other"), 400),
        (body_of(), TYPE, 400),
        (body_of(b"x")[:-10], TYPE, 400),
        (b"--mark\r\n" + b"a" * 5000 + b"\r\n\r\nx\r\n--mark--", TYPE, 400),
        (b"", TYPE, 400),
        (body_of(*[b"x"] * (MOST_PARTS + 1)), TYPE, 413),
    ],
)
def test_a_body_without_parts_is_told(body: bytes, kind: str, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        parts_of(body, kind)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("statuses", "expected", "lists"),
    [
        ([0, 0], 200, {"00081199": 2}),
        ([0, 0x0122], 202, {"00081199": 1, "00081198": 1}),
        ([0xC010, 0xC003], 409, {"00081198": 2}),
        ([0xA700, 0xA700], 503, {"00081198": 2}),
        ([0xA700, 0], 202, {"00081199": 1, "00081198": 1}),
    ],
)
def test_answers_are_those_of_the_standard(statuses: list[int], expected: int, lists: dict[str, int]) -> None:
    status, data = answer([Kept("1.2", f"1.2.{n}", Status(one)) for n, one in enumerate(statuses)])
    assert status == expected
    assert {tag: len(element["Value"]) for tag, element in data.items()} == lists


def test_what_cannot_be_read_fails_without_uids() -> None:
    status, data = answer([Kept("", "", Status.UNREADABLE)])
    assert (status, data) == (409, {"0008119A": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC002]}}]}})


@pytest.fixture
def path(config: Config, journal: Journal) -> Iterator[Path]:
    with stow_door(config, Door(config, journal)) as path:
        yield path


def post(path: Path, body: bytes, to: str = PATH, **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = clinic.ToSocket(path)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(connection):
        connection.request("POST", to, body, {"Content-Type": TYPE, SUBJECT: "CN=xray1,O=clinic", **named})
        with closing(connection.getresponse()) as response:
            return response, response.read()


def test_a_film_is_kept_and_named_in_the_answer(path: Path, journal: Journal) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    response, said = post(path, body_of(dicom_bytes(), dicom_bytes(SOPClassUID=films.CT), b"none"))
    assert (response.status, response.headers["Content-Type"]) == (HTTPStatus.ACCEPTED, "application/dicom+json")
    data = json.loads(said)
    (kept,) = data["00081199"]["Value"]
    assert kept["00081155"]["Value"] == ["1.2.826.0.1.3680043.10.1"]
    assert data["00081198"]["Value"][0]["00081197"]["Value"] == [0x0122]
    assert data["0008119A"]["Value"][0]["00081197"]["Value"] == [0xC002]
    (film,) = films_in(journal, "received")
    assert (film.door, film.unit) == ("stow", "xray1")


def test_a_file_that_is_too_long_is_told(path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    film = dicom_bytes()
    monkeypatch.setattr(content, "MAX_FILE_BYTES", len(film) - 1)
    response, said = post(path, body_of(film))
    assert response.status == HTTPStatus.CONFLICT
    assert json.loads(said)["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert not films_in(journal, "received")


@pytest.mark.parametrize("subject", ["CN=XRAY1", "O=clinic,CN=xRay1"])
def test_a_unit_may_be_known_by_its_ae_title(path: Path, subject: str) -> None:
    assert post(path, body_of(dicom_bytes()), X_Client_Subject=subject)[0].status == HTTPStatus.OK


@pytest.mark.parametrize("subject", ["", "CN=xray2", "O=xray1", "CN=", "OU=a\\,CN=xray1,CN=stranger"])
def test_a_stranger_is_refused_and_audited(path: Path, journal: Journal, subject: str) -> None:
    assert post(path, body_of(dicom_bytes()), X_Client_Subject=subject)[0].status == HTTPStatus.FORBIDDEN
    assert [row["what"] for row in journal.rows("SELECT what FROM event")] == ["refused"]
    assert not films_in(journal, "received")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Accept": "text/html"}, 406),
        ({"Content_Encoding": "gzip"}, 415),
        ({"Content_Length": str(MOST_BODY_BYTES + 1)}, 413),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Type": "application/json"}, 415),
    ],
)
def test_what_is_no_request_for_us_is_told(path: Path, headers: dict[str, str], status: int) -> None:
    # What is too large, or of no length, is not heard out: its sender may have been cut off.
    unheard = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.LENGTH_REQUIRED)
    body = b"" if status in unheard else body_of(dicom_bytes())
    response, said = post(path, body, **headers)
    assert response.status == status
    assert len(said.splitlines()) == 1


def test_other_paths_and_methods_are_refused(path: Path) -> None:
    assert post(path, b"", to="/dicom-web/studies/1.2")[0].status == HTTPStatus.NOT_FOUND
    for method in ("GET", "DELETE", "OPTIONS"):
        connection = clinic.ToSocket(path)
        connection.request(method, PATH)
        assert connection.getresponse().status == HTTPStatus.NOT_IMPLEMENTED
        connection.close()


def test_a_body_that_ends_early_keeps_nothing(path: Path, journal: Journal) -> None:
    connection = clinic.ToSocket(path)
    connection.connect()
    body = body_of(dicom_bytes())
    head = [
        f"POST {PATH} HTTP/1.0",
        f"Content-Type: {TYPE}",
        f"{SUBJECT}: CN=xray1",
        f"Content-Length: {len(body) + 9}",
    ]
    connection.sock.sendall("\r\n".join([*head, "", ""]).encode() + body)
    connection.sock.shutdown(socket.SHUT_WR)
    assert b" 400 " in connection.sock.recv(100)
    connection.close()
    assert not films_in(journal, "received")


def test_several_at_once_are_all_kept(path: Path, journal: Journal) -> None:
    bodies = [body_of(*[dicom_bytes(SOPInstanceUID=f"1.2.{n}.{m}") for m in range(3)]) for n in range(6)]
    found: list[int] = []
    threads = [threading.Thread(target=lambda one=one: found.append(post(path, one)[0].status)) for one in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [HTTPStatus.OK] * 6
    assert len(films_in(journal, "received")) == 18


def test_a_door_that_was_killed_opens_again(config: Config, journal: Journal) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(config.root / "stow.sock"))
    left.close()
    with stow_door(config, Door(config, journal)) as path:
        assert post(path, body_of(dicom_bytes()))[0].status == HTTPStatus.OK
    assert not path.exists()


def test_who_is_refused_has_been_heard_out(path: Path) -> None:
    """A sender that still sends would not see the answer, and nginx would say 502."""
    body = body_of(bytes(4 << 20))
    assert post(path, body, X_Client_Subject="CN=xray2")[0].status == HTTPStatus.FORBIDDEN
    assert post(path, body, to="/other")[0].status == HTTPStatus.NOT_FOUND
