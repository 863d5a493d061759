"""C-STORE and storage commitment with real archives: DCMTK, Orthanc, and one of pynetdicom that misbehaves."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from bmd_edge.clinic.delivery import dicom
from bmd_edge.clinic.journal import deliveries, films
from tests.bmd_edge.clinic.delivery.archives import (
    Archive,
    archive,
    data_set,
    orthanc_archive,
    slow_archive,
    storescp,
)
from tests.bmd_edge.clinic.delivery.conftest import Served, all_sent
from tests.support.clinic import free_port

Make = Callable[..., Served]


def test_dcmtk_stores_them_too(served: Make, tmp_path: Path) -> None:
    with storescp(tmp_path / "got") as port:
        box = served(Archive(port).lines())
        with box.delivering():
            box.until(all_sent)
    stored = {hashlib.sha256(data_set(path.read_bytes())).hexdigest() for path in (tmp_path / "got").iterdir()}
    assert stored == set(box.made().values())


@pytest.mark.parametrize("status", ["abort", "silent"])
def test_an_archive_that_aborts_or_says_nothing_is_asked_again(
    status: str, served: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom, "ANSWER_S", 1.0)
    with archive(status=status) as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(lambda states: "ready pacs_down" in states)
            pacs.status = 0x0000
            box.until(all_sent)
        assert {copies[-1] for copies in pacs.got.values()} == set(box.made().values())


def test_a_slow_archive_is_given_up_and_tried_again(served: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "ANSWER_S", 1.0)
    with slow_archive() as port:
        box = served(Archive(port).lines())
        with box.delivering():
            box.until(lambda states: "ready pacs_down" in states)


def test_a_wrong_title_is_held_until_somebody_releases_it(served: Make) -> None:
    with archive(title="OTHER") as pacs:
        box = served(pacs.lines())
        with box.delivering():
            (said,) = box.until(lambda states: any(said.startswith("held") for said in states))
            assert said == "held rejected reject 1/1/7"
    with archive(pacs.port) as right, box.delivering():
        assert deliveries.release(box.journal) == 4
        box.until(all_sent)
    assert len(right.got) == 4


def test_orthanc_stores_and_commits(served: Make, tmp_path: Path) -> None:
    port = free_port()
    with orthanc_archive(tmp_path / "pacs", port) as pacs:
        box = served(f'{Archive(pacs.dicom).lines(", commit = true")}\n[commitment]\nbind = "127.0.0.1:{port}"')
        with box.delivering():
            box.until(lambda states: states == {"committed 0000": 4})
        assert pacs.instances() == box.made()
    assert {film.state for film in films.films_since(box.journal, 0)} == {"done"}


def test_orthanc_that_lost_an_object_gets_it_once_more(served: Make, tmp_path: Path) -> None:
    port = free_port()
    with orthanc_archive(tmp_path / "pacs", port) as pacs:
        box = served(f'{Archive(pacs.dicom).lines(", commit = true")}\n[commitment]\nbind = "127.0.0.1:{port}"')
        lost = box.objects[0]
        deliveries.address(box.journal, "main", ["sr", "sc"], True)
        deliveries.lease(box.journal, "main")
        for one in box.objects:  # as if all had been stored: the archive knows none of them
            deliveries.sent(box.journal, one.uid, "main", "0000")
        with box.delivering():
            box.until(lambda states: states == {"committed 0000": 4})
        assert lost.uid in pacs.instances()


def test_an_archive_that_takes_no_such_objects_is_held(served: Make) -> None:
    with archive(classes=[dicom._CLASSES["sr"]]) as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(lambda states: states == {"sent 0000": 2, "held no_context": 2})
    with archive(pacs.port, classes=["1.2.840.10008.5.1.4.1.1.2"]), box.delivering():
        deliveries.release(box.journal)
        box.until(lambda states: states.get("held no_context") == 2)
