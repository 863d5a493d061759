"""A film that was answered KEPT lies whole in the spool and in the journal; everything else is told."""

import errno
import hashlib
import logging
import os
import shutil
import sqlite3
import threading

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.content import Status
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.journal.films import film_path, films_in
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.places import PATIENT_KEY
from bmd_edge.errors import UsageError
from tests.support import films
from tests.support.films import CANARY, dicom_bytes, pixels

XRAY1 = Origin("stow", "xray1")


@pytest.fixture
def door(config: Config, journal: Journal) -> Door:
    return Door(config, journal)


def events(journal: Journal) -> list[str]:
    return [row["what"] for row in journal.rows("SELECT what FROM event ORDER BY n")]


def test_a_film_is_in_the_spool_and_in_the_journal(config: Config, journal: Journal, door: Door) -> None:
    assert door.keep(dicom_bytes(), XRAY1) == Status.KEPT
    (film,) = films_in(journal, "received")
    assert (film.door, film.unit, film.syntax) == ("stow", "xray1", films.EXPLICIT)
    path = film_path(config.root, film.film_key)
    assert path.read_bytes() == dicom_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    assert events(journal) == ["film_received"]


def test_the_film_again_is_nothing_new(config: Config, journal: Journal, door: Door) -> None:
    again = [dicom_bytes(), dicom_bytes(syntax=films.IMPLICIT), dicom_bytes(syntax=films.DEFLATED), dicom_bytes()]
    assert [door.keep(data, XRAY1) for data in again] == [Status.KEPT] * 4
    assert len(films_in(journal, "received")) == len(list((config.root / "spool").iterdir())) == 1
    assert events(journal) == ["film_received", *["film_again"] * 3]


@pytest.mark.parametrize("change", [{"PatientID": "OTHER"}, {"StudyInstanceUID": "1.2.9"}, {"frame": pixels(seed=1)}])
def test_another_film_of_the_same_uid_is_a_conflict(journal: Journal, door: Door, change: dict[str, object]) -> None:
    door.keep(dicom_bytes(), XRAY1)
    other = dicom_bytes(**change)
    assert [door.keep(other, XRAY1) for _ in range(2)] == [Status.CONFLICT] * 2
    assert [film.reason for film in films_in(journal, "quarantined")] == ["sop_uid_conflict"]
    assert door.keep(dicom_bytes(), XRAY1) == Status.KEPT
    assert len(films_in(journal, "received")) == 1


def test_another_header_is_taken_to_be_read_again(journal: Journal, door: Door) -> None:
    assert door.keep(dicom_bytes(), XRAY1) == door.keep(dicom_bytes(PatientAge="069Y"), XRAY1) == Status.KEPT
    assert len(films_in(journal, "received")) == 2


def test_another_syntax_may_hold_the_same_pixels(journal: Journal, door: Door) -> None:
    for syntax in (films.EXPLICIT, films.JPEG_LS, films.RLE):
        assert door.keep(dicom_bytes(syntax=syntax), XRAY1) == Status.KEPT
    assert len(films_in(journal, "received")) == 3


def test_what_is_no_film_is_refused_and_audited(config: Config, journal: Journal, door: Door) -> None:
    assert door.keep(dicom_bytes(SOPClassUID=films.CT), XRAY1) == Status.SOP_CLASS
    assert door.keep(dicom_bytes(), Origin("dicom", "")) == Status.NOT_AUTHORIZED
    details = [row["detail"] for row in journal.rows("SELECT detail FROM event WHERE what='refused' ORDER BY n")]
    assert '"code": "not_radiograph"' in details[0]
    assert '"code": "unknown_unit"' in details[1]
    assert not list((config.root / "spool").iterdir())


def test_a_disk_that_fills_refuses_films_before_it_is_full(config: Config, journal: Journal, door: Door,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    free = 1_000_000 + len(dicom_bytes()) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - free, free))
    assert door.keep(dicom_bytes(), XRAY1) == Status.NO_ROOM
    assert not list((config.root / "spool").iterdir())
    assert events(journal) == ["refused"]


def test_a_disk_that_fails_keeps_nothing(config: Config, journal: Journal, door: Door,
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    assert door.keep(dicom_bytes(), XRAY1) == Status.NO_ROOM
    monkeypatch.undo()
    assert not films_in(journal, "received")
    assert door.keep(dicom_bytes(), XRAY1) == Status.KEPT


def test_a_journal_that_another_program_holds_refuses_films(config: Config, journal: Journal, door: Door,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    journal._db.execute("PRAGMA busy_timeout=50")
    holder = sqlite3.connect(config.root / "journal.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert door.keep(dicom_bytes(), XRAY1) == Status.NO_ROOM
    holder.execute("ROLLBACK")
    holder.close()
    assert door.keep(dicom_bytes(), XRAY1) == Status.KEPT


def test_many_threads_keep_one_film_once(config: Config, journal: Journal, door: Door) -> None:
    found: list[Status] = []
    threads = [threading.Thread(target=lambda: found.append(door.keep(dicom_bytes(), XRAY1))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [Status.KEPT] * 8
    assert len(films_in(journal, "received")) == 1


def test_a_sweep_takes_whole_films_in_and_removes_halves(config: Config, journal: Journal, door: Door) -> None:
    spool = config.root / "spool"
    (spool / f".{'0' * 64}.dcm.4194305.part").write_bytes(b"half")  # more than the most that Linux numbers
    mine = spool / f".{'1' * 64}.dcm.{os.getpid()}.part"
    mine.write_bytes(b"being written")
    for data in (dicom_bytes(), b"no film"):
        (spool / f"{hashlib.sha256(data).hexdigest()}.dcm").write_bytes(data)
    (spool / f"{'2' * 64}.dcm").write_bytes(dicom_bytes(PatientID="damaged"))
    assert door.sweep() == 1
    assert mine.exists()
    assert len(list(spool.glob(".*.part"))) == 1
    (film,) = films_in(journal, "received")
    assert film_path(config.root, film.film_key).read_bytes() == dicom_bytes()
    assert door.sweep() == 0
    other = dicom_bytes(syntax=films.IMPLICIT)
    (spool / f"{hashlib.sha256(other).hexdigest()}.dcm").write_bytes(other)
    assert door.sweep() == 0
    assert len(list(spool.glob("*.dcm"))) == 3


def test_without_the_key_of_its_films_a_box_opens_no_door(config: Config, journal: Journal, door: Door) -> None:
    door.keep(dicom_bytes(), XRAY1)
    (config.root / PATIENT_KEY).unlink()
    with pytest.raises(UsageError, match=r"restore the backup's"):
        Door(config, journal)


def test_no_name_is_anywhere_but_in_the_spool(config: Config, journal: Journal, door: Door,
                                              caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    with caplog.at_level(logging.DEBUG):
        door.keep(dicom_bytes(), XRAY1)
        door.keep(dicom_bytes(PatientID=f"{CANARY}2"), XRAY1)
        door.keep(dicom_bytes(SOPClassUID=films.CT), XRAY1)
        door.keep(dicom_bytes()[:-10], XRAY1)
    journal.close()
    elsewhere = [path for path in config.root.rglob("*") if path.is_file() and path.parent.name != "spool"]
    assert {path.name for path in elsewhere} >= {"journal.sqlite", PATIENT_KEY}
    assert not [path for path in elsewhere if CANARY.encode() in path.read_bytes() or CANARY in path.name]
    assert CANARY not in caplog.text
