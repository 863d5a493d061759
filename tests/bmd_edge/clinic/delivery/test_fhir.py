"""Resources to a record: a FHIR server in a process of its own, and servers that answer otherwise."""

import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.delivery.http import Response
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.store import Journal
from tests.bmd_edge.clinic.delivery.conftest import Served
from tests.bmd_edge.clinic.reading.readers import box, drawn_reader, put, read_all
from tests.support.clinic import free_port, started
from tests.support.screening import hip_dicom

UID = {"SOPInstanceUID": "1.2.826.0.1.3680043.10.9"}


@contextmanager
def record(place: Path) -> Iterator[str]:
    """The FHIR server, strict; yields its base url."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.clinic.fhir_server", str(port)]
    with started(command, place / "record.log", port):
        yield f"http://127.0.0.1:{port}/fhir"


def kept(url: str) -> dict[str, int]:
    """ "Observation/ID" -> the version that the server has."""
    with urlopen(f"{url}/") as answer:
        found: dict[str, int] = json.load(answer)
    return found


def one(url: str, place: str) -> tuple[str, dict[str, Any]]:
    with urlopen(f"{url}/{place}") as answer:
        text = answer.read().decode()
    return text, json.loads(text)


@contextmanager
def ready(place: Path, url: str, *data: bytes) -> Iterator[Served]:
    """A box whose record is at `url`, with these films read."""
    config = box(place, f'pacs.main = {{ kind = "fhir", url = "{url}" }}')
    with Journal(config.root) as journal:
        put(config, journal, *data)
        read_all(config, journal)
        yield Served(config, journal)


@pytest.fixture(scope="session")
def read_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a box with a film that was read, for a record."""
    with ready(tmp_path_factory.mktemp("read"), "http://127.0.0.1:9/fhir", hip_dicom("R")) as box:
        return box.config.root


@contextmanager
def copied(root: Path, place: Path, url: str) -> Iterator[Served]:
    """A box whose folder is a copy, and whose record is at `url`."""
    config = box(place, f'pacs.main = {{ kind = "fhir", url = "{url}" }}')
    shutil.copytree(root, config.root, dirs_exist_ok=True)
    with Journal(config.root) as journal:
        yield Served(config, journal)


def sent(states: dict[str, int]) -> bool:
    return all(said.startswith("sent") for said in states) and bool(states)


def resources(box: Served) -> dict[str, str]:
    """ "Observation/ID" -> its text as it lies in the outbox, of the newest version of each film."""
    found = {}
    for row in box.objects:
        if row.kind == "fhir":
            text = (box.config.root / row.path).read_text()
            for entry in json.loads(text)["entry"]:
                resource = entry["resource"]
                found[f"{resource['resourceType']}/{resource['id']}"] = text
    return found


def test_a_strict_record_takes_all_of_them_and_a_repeat_changes_nothing(tmp_path: Path) -> None:
    with record(tmp_path) as url, ready(tmp_path, url, hip_dicom("RL"), hip_dicom("R", implant="R")) as box:
        with box.delivering():
            box.until(sent)
        assert kept(url) == dict.fromkeys(resources(box), 1)
        assert len(kept(url)) == 4 + 1 + 2 + 1
        for place, file in resources(box).items():
            text, said = one(url, place)
            assert text in file  # the very text, so the very digits
            assert said["status"] == "preliminary"
        again(box)
        with box.delivering():
            box.until(lambda states: states == {"sent 200": 2})
        assert set(kept(url).values()) == {1}
        assert {film.state for film in films.films_since(box.journal, 0)} == {"done"}


def again(box: Served) -> None:
    """What was sent is due once more, as after an answer that was lost."""
    for row in box.journal.rows("SELECT uid FROM delivery"):
        deliveries.try_again(box.journal, row["uid"], "main", "", "pacs_down", 0)


def test_a_new_version_replaces_the_old_one(tmp_path: Path) -> None:
    with record(tmp_path) as url, ready(tmp_path, url, hip_dicom("R")) as box:
        with box.delivering():
            box.until(sent)
            read_with(box.config, box.journal, "EK 2027-1")
            box.until(lambda states: states.get("sent 200") == 1)
        assert set(kept(url).values()) == {2}
        for place in kept(url):
            said = one(url, place)[0]
            assert "Version 2, replaces 1: another approval" in said
            assert "EK 2027-1" in said


def read_with(config: Config, journal: Journal, approval: str) -> None:
    for film in films.films_since(journal, 0):
        films.read_again(journal, film.film_key, "asked for")
    read_all(config, journal, partial(drawn_reader, approval, kinds=config.kinds))


def test_an_older_version_that_was_held_never_undoes_a_newer_one(tmp_path: Path) -> None:
    with record(tmp_path) as url, ready(tmp_path, url, hip_dicom("R")) as box:
        deliveries.address(box.journal, "main", ["fhir"], False)
        (first,) = deliveries.lease(box.journal, "main")
        deliveries.hold(box.journal, first.uid, "main", "401", "refused_by_pacs")
        read_with(box.config, box.journal, "EK 2027-1")
        with box.delivering():
            box.until(lambda states: states.get("sent 201") == 1)
            deliveries.release(box.journal)
            box.until(lambda states: states == {"sent 201": 1, "sent replaced": 1})
        assert set(kept(url).values()) == {1}
        assert all("EK 2027-1" in one(url, place)[0] for place in kept(url))


def test_numbers_of_a_film_that_is_no_hip_after_all_are_withdrawn_from_the_record(tmp_path: Path) -> None:
    with record(tmp_path) as url, ready(tmp_path, url, hip_dicom("R", **UID)) as box:
        with box.delivering():
            box.until(sent)
            before = set(kept(url))
            put(box.config, box.journal, hip_dicom("R", **UID, BodyPartExamined="CHEST"))
            read_all(box.config, box.journal)
            box.until(lambda states: sum(states.values()) == 2 and sent(states))
        gone = {place for place in kept(url) if one(url, place)[1]["status"] == "entered-in-error"}
        assert gone == {place for place in before if place.startswith("Observation/")}
        assert all("g/cm2" not in json.dumps(one(url, place)[1].get("valueQuantity", "")) for place in gone)


ANSWERS = [
    ("made, without the resource", 201, {"Location": "{place}/_history/1"}, "", "sent 201"),
    ("a login page", 200, {}, "<html>Please log in</html>", "held no_answer_of_an_archive 200"),
    ("nothing", 200, {}, "", "held no_answer_of_an_archive 200"),
    ("another resource", 200, {}, '{"resourceType": "Observation", "id": "x"}', "held no_answer_of_an_archive 200"),
    ("a list", 201, {}, "[]", "held no_answer_of_an_archive 201"),
    ("nested without end", 200, {}, "[" * 100_000, "held no_answer_of_an_archive 200"),
    (
        "a login that quotes it",
        200,
        {"Content-Location": "/login?next={place}"},
        "",
        "held no_answer_of_an_archive 200",
    ),
    ("one whose id goes on", 201, {"Location": "{place}0"}, "", "held no_answer_of_an_archive 201"),
    ("an address that is none", 201, {"Location": "http://[{place}"}, "", "held no_answer_of_an_archive 201"),
    ("moved", 308, {"Location": "https://elsewhere{place}"}, "", "held no_answer_of_an_archive 308"),
    ("two who write at once, twice", 409, {}, "{}", "held conflict 409"),
    ("no such version", 412, {}, "{}", "held version_wanted 412"),
    ("without the version", 428, {}, "{}", "held version_wanted 428"),
    ("refused", 422, {}, '{"resourceType": "OperationOutcome"}', "held refused_by_pacs 422"),
    ("no resource", 400, {}, '{"resourceType": "OperationOutcome"}', "held refused_by_pacs 400"),
    ("no entry", 401, {}, "", "held not_authorized 401"),
    ("no right", 403, {}, "", "held not_authorized 403"),
    ("no such place", 404, {}, "", "held no_answer_of_an_archive 404"),
    ("ids are the server's", 405, {}, "", "held no_client_ids 405"),
    ("no such method", 501, {}, "", "held no_answer_of_an_archive 501"),
    ("somewhere else", 302, {"Location": "/login"}, "", "held no_answer_of_an_archive 302"),
    ("a fault", 500, {}, "", "ready pacs_busy 500"),
    ("a proxy's error", 502, {}, "<html>", "ready pacs_busy 502"),
    ("closed", 503, {}, "", "ready pacs_busy 503"),
    ("a proxy's patience", 504, {}, "", "ready pacs_busy 504"),
    ("no room", 507, {}, "", "ready pacs_busy 507"),
    ("too many", 429, {}, "", "ready pacs_busy 429"),
]


@contextmanager
def server(status: int, headers: dict[str, str], body: str) -> Iterator[str]:
    """A server with one answer to every PUT; `{place}` in a header is what was asked for."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value.format(place=self.path))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with running(Handler) as url:
        yield url


@contextmanager
def running(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server of these answers; yields the base url of a record there."""
    made = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{made.server_address[1]}/fhir"
    finally:
        made.shutdown()
        made.server_close()


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("1800", (1700, 1800)),
        ("999999999", (3500, 3600)),
        ("Sun, 06 Nov 2044 08:49:37 GMT", (3500, 3600)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", (-60, 60)),
        ("Sun, 06 Nov", (-60, 60)),
        ("soon", (-60, 60)),
        ("-5", (-60, 60)),
    ],
)
def test_a_record_that_asks_for_peace_is_left_in_it_for_an_hour_at_most(
    asked: str, seconds: tuple[float, float], read_root: Path, tmp_path: Path
) -> None:
    with server(429, {"Retry-After": asked}, "") as url, copied(read_root, tmp_path, url) as box:
        with box.delivering():
            box.until(lambda states: states == {"ready pacs_busy 429": 1})
        (row,) = box.journal.rows("SELECT next_try FROM delivery")
        assert seconds[0] <= row["next_try"] - box.journal.clock() <= seconds[1]


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"), [row[1:] for row in ANSWERS], ids=[a[0] for a in ANSWERS]
)
def test_what_an_answer_means(
    status: int, headers: dict[str, str], body: str, said: str, read_root: Path, tmp_path: Path
) -> None:
    with server(status, headers, body) as url, copied(read_root, tmp_path, url) as box, box.delivering():
        box.until(lambda states: states == {said: 1})


@contextmanager
def scripted(*answers: int | tuple[int, str]) -> Iterator[tuple[str, list[tuple[float, str]]]]:
    """A server that answers one PUT after the other with these statuses, some with a Retry-After, then 201; yields its
    url, and when it was asked for what.
    """
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append((time.monotonic(), self.path))
            one = left.pop(0) if left else 201
            status, wait = one if isinstance(one, tuple) else (one, "")
            self.send_response(status)
            self.send_header("Location", self.path)
            if wait:
                self.send_header("Retry-After", wait)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with running(Handler) as url:
        yield url, asked


def test_two_who_write_at_once_are_tried_again(read_root: Path, tmp_path: Path) -> None:
    with scripted(409, 201, 409) as (url, asked), copied(read_root, tmp_path, url) as box, box.delivering():
        box.until(lambda states: states == {"held conflict 409": 1})  # the second time it is no chance
        assert len(asked) == 3
        deliveries.release(box.journal)
        box.until(lambda states: states == {"sent 201": 1})
    with scripted(409) as (url, asked), copied(read_root, tmp_path / "2", url) as box, box.delivering():
        box.until(lambda states: states == {"sent 201": 1})
        places = [place for _, place in asked]
        assert places[0] == places[1]
        assert len(places) == 1 + len(set(places))


def test_a_record_that_asks_for_peace_is_asked_for_nothing_else_meanwhile(tmp_path: Path) -> None:
    films_in = [hip_dicom("R", bone=2400 + 8 * n, SOPInstanceUID=f"{UID['SOPInstanceUID']}.{n}") for n in range(3)]
    with scripted((503, "2")) as (url, asked), ready(tmp_path, url, *films_in) as box, box.delivering():
        box.until(lambda states: states == {"sent 201": 3})
        first, second = asked[0][0], asked[1][0]
        assert second - first >= 2


def test_peace_until_a_moment_is_counted_by_the_records_own_clock() -> None:
    headers = {"Date": "Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After": "Sun, 06 Nov 1994 09:19:37 GMT"}
    message = Message()
    for name, value in headers.items():
        message[name] = value
    assert Response(503, message, b"").wait_s == 1800
