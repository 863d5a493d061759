"""Deliveries to real archives that store, refuse, abort, fall silent, are slow, and come back."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from time import sleep
from typing import Any

import pytest

from bmd_edge.clinic.config import Destination, port_of
from bmd_edge.clinic.delivery import deliver as deliver_module
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.objects.make import SOP_CLASSES
from tests.bmd_edge.clinic.delivery.archives import (
    Archive,
    archive,
    orthanc_archive,
)
from tests.bmd_edge.clinic.delivery.conftest import Served, all_sent
from tests.support.clinic import free_port

Make = Callable[..., Served]


def test_every_object_arrives_once_with_the_bytes_that_were_made(served: Make) -> None:
    with archive() as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(all_sent)
        assert pacs.got == {uid: [digest] for uid, digest in box.made().items()}
        assert pacs.associations == 1
    assert {film.state for film in films.films_since(box.journal, 0)} == {"done"}
    with archive(pacs.port) as again, box.delivering():
        sleep(1)
    assert again.got == {}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0xB000, "sent B000"),
        (0xB006, "sent B006"),
        (0xB007, "sent B007"),
        (0x0111, "sent 0111"),
        (0xA900, "held refused_by_pacs A900"),
        (0xC000, "held refused_by_pacs C000"),
        (0xC123, "held refused_by_pacs C123"),
        (0x0122, "held refused_by_pacs 0122"),
    ],
)
def test_an_answer_that_settles_it(status: int, said: str, served: Make) -> None:
    with archive(status=status) as pacs:
        box = served(pacs.lines())
        with box.delivering():
            assert box.until(lambda states: states == {said: 4})
        assert all(len(copies) == 1 for copies in pacs.got.values())


def test_objects_are_addressed_once_not_at_every_look(served: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a year's objects that takes long, and meanwhile no door can write."""
    calls, address = [], deliveries.address

    def counted(*how: Any) -> int:
        calls.append(how)
        return address(*how)

    monkeypatch.setattr(deliveries, "address", counted)
    monkeypatch.setattr(deliver_module, "POLL_S", 0.01)
    with archive() as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(all_sent)
            Event().wait(0.5)
    assert len(calls) == 1


@pytest.mark.parametrize("status", [0xA700, 0x0110, 0x0213])
def test_an_archive_without_room_or_time_gets_them_later(status: int, served: Make) -> None:
    with archive(status=status) as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(lambda states: states == {f"ready pacs_busy {status:04X}": 4} and len(pacs.got) == 4)
            pacs.status = 0x0000
            box.until(all_sent)
    assert max(map(len, pacs.got.values())) >= 2
    assert {digest for copies in pacs.got.values() for digest in copies} == set(box.made().values())


def test_an_object_that_silences_the_archive_does_not_hold_up_the_others(served: Make) -> None:
    with archive(status="abort", only=SOP_CLASSES["sc"]) as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(lambda states: states.get("sent 0000") == 2)


# pynetdicom leaves the socket of a connection that was refused to the garbage collector.
@pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_nobody_there_then_somebody(served: Make) -> None:
    port = free_port()
    box = served(Archive(port).lines())
    with box.delivering():
        box.until(lambda states: states == {"ready pacs_down": 4})
        with archive(port) as pacs:
            box.until(all_sent)
    assert pacs.got == {uid: [digest] for uid, digest in box.made().items()}


@pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_an_archive_that_is_back_is_noticed_long_before_it_would_be_tried_again(
    served: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    box = served(Archive(port).lines())
    monkeypatch.setattr(deliver_module, "delay_s", lambda _: 3600.0)
    monkeypatch.setattr(deliver_module, "PROBE_S", 0.2)
    with box.delivering():
        box.until(lambda states: states == {"ready pacs_down": 4})
        with archive(port):
            box.until(all_sent)


@pytest.mark.parametrize(
    ("text", "port"), [("https://a.b/x", 443), ("http://127.0.0.1/x", 80), ("https://a.b:8443/x", 8443)]
)
def test_an_archive_whose_port_is_open_is_waited_for_in_peace(
    text: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Destination(kind="stow", url=text)
    assert port_of(archive) == port
    looks: list[bool] = []
    monkeypatch.setattr(deliver_module, "PROBE_S", 0.01)
    monkeypatch.setattr(deliver_module, "_is_open", lambda _: not looks.append(True))
    deliver_module._wait(archive, 0.2, Event())
    assert looks == [True]


def test_without_an_approval_nothing_is_delivered(served: Make) -> None:
    with archive() as pacs:
        box = served(pacs.lines(), approval="")
        with box.delivering():
            sleep(1)
        assert (pacs.got, pacs.associations, box.states()) == ({}, 0, {})


def test_an_archive_for_tests_gets_objects_without_an_approval(served: Make) -> None:
    with archive() as pacs:
        box = served(pacs.lines(", test = true"), approval="")
        with box.delivering():
            box.until(all_sent)
        assert pacs.got == {uid: [digest] for uid, digest in box.made().items()}


def test_objects_that_name_no_approval_are_not_sent_once_there_is_one(served: Make) -> None:
    with archive() as pacs:
        box = served(pacs.lines())
        first = box.objects[0].uid
        with box.journal.change() as db:
            db.execute("UPDATE object SET approval='' WHERE uid=?", (first,))
        with box.delivering():
            box.until(lambda states: states == {"sent 0000": 3})
        assert first not in pacs.got


def test_only_the_kinds_that_are_asked_for_go_out(served: Make) -> None:
    with archive() as pacs:
        box = served(pacs.lines(', objects = ["sr"]'))
        with box.delivering():
            box.until(lambda states: states == {"sent 0000": 2})
        assert set(pacs.got) == {one.uid for one in box.objects if one.kind == "sr"}


def test_a_file_that_was_changed_is_not_sent(served: Make) -> None:
    with archive() as pacs:
        box = served(pacs.lines())
        one = box.objects[0]
        path = box.config.root / one.path
        path.write_bytes(path.read_bytes()[:-1] + b"X")
        with box.delivering():
            box.until(lambda states: states == {"held damaged": 1, "sent 0000": 3})
        assert one.uid not in pacs.got


def test_an_archive_that_never_commits_is_asked_three_times(served: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver_module, "COMMIT_WITHIN_S", 0.2)
    with archive() as pacs:
        box = served(pacs.lines(", commit = true"))
        with box.delivering():
            box.until(lambda states: states == {"held no_commitment 0000": 4})
        assert {row["asks"] for row in box.journal.rows("SELECT asks FROM delivery")} == {3}
        assert all(len(copies) == 1 for copies in pacs.got.values())


def test_orthanc_stores_by_stow(served: Make, tmp_path: Path) -> None:
    with orthanc_archive(tmp_path / "pacs", free_port()) as pacs:
        box = served(f'pacs.main = {{ kind = "stow", url = "http://127.0.0.1:{pacs.http}/dicom-web" }}')
        with box.delivering():
            box.until(lambda states: states == {"sent 200": 4})
        assert pacs.instances() == box.made()
