"""The folder door takes whole films, and only those."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors import watch as module
from bmd_edge.clinic.doors.door import Door
from bmd_edge.clinic.doors.watch import PATIENCE_S, STILL_S, FolderDoor, watch
from bmd_edge.clinic.journal.films import films_in
from bmd_edge.clinic.journal.store import Journal
from tests.support import clinic
from tests.support.films import CANARY, CT, dicom_bytes, pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "films"
    made.mkdir()
    return made


@pytest.fixture
def config(tmp_path: Path, folder: Path) -> Config:
    return clinic.box(tmp_path, folder=str(folder))


@pytest.fixture
def folder_door(config: Config, journal: Journal, folder: Path) -> FolderDoor:
    return FolderDoor(Door(config, journal), journal, folder)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the folder door sees; it moves when the test says so."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def taken(journal: Journal) -> int:
    return len(films_in(journal, "received"))


def refused(journal: Journal) -> list[str]:
    return [row["detail"] for row in journal.rows("SELECT detail FROM event WHERE what='refused'")]


def test_a_film_that_lies_still_is_taken_once(folder_door: FolderDoor, folder: Path, journal: Journal) -> None:
    (folder / "today").mkdir()
    (folder / "today" / f"{CANARY}.dcm").write_bytes(dicom_bytes())
    found = []
    for _ in range(4):
        folder_door.poll()
        found.append(taken(journal))
    assert found == [0, 1, 1, 1]
    (film,) = films_in(journal, "received")
    assert (film.door, film.unit) == ("folder", "folder")
    assert [row["what"] for row in journal.rows("SELECT what FROM event")] == ["film_received"]
    assert CANARY not in str([tuple(row) for row in journal.rows("SELECT * FROM folder_file")])


@pytest.mark.parametrize("cut", [0.0, 0.01, 0.3, 0.7, 0.999])
def test_a_half_copied_film_is_waited_for(folder_door: FolderDoor, folder: Path, journal: Journal, cut: float,
                                          clock: list[float]) -> None:  # fmt: skip
    data = dicom_bytes()
    (folder / "film.dcm").write_bytes(data[: int(cut * len(data))])
    for _ in range(5):
        clock[0] += PATIENCE_S / 6
        folder_door.poll()
    assert (taken(journal), refused(journal)) == (0, [])
    (folder / "film.dcm").write_bytes(data)
    for _ in range(2):
        folder_door.poll()
    assert (taken(journal), refused(journal)) == (1, [])


def test_a_film_whose_room_was_made_before_its_bytes_is_waited_for(
    folder_door: FolderDoor, folder: Path, journal: Journal
) -> None:
    data = dicom_bytes(pixels(600, 400))
    with (folder / "film.dcm").open("wb") as file:
        file.write(data[:8192])
        file.truncate(len(data))  # a hole up to the end, read as zeros: a whole film by its lengths
        for _ in range(4):
            folder_door.poll()
        assert taken(journal) == 0
        file.write(data[8192:])
    for _ in range(2):
        folder_door.poll()
    assert taken(journal) == 1
    assert [path.read_bytes() for path in folder_door._door._root.glob("spool/*.dcm")] == [data]


def test_on_a_network_a_film_that_ends_with_zeros_lies_still_for_longer(
    config: Config, folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    """There nobody tells of holes: its room may have been made before its bytes."""
    monkeypatch.setattr(module, "is_local", lambda _: False)
    folder_door = FolderDoor(Door(config, journal), journal, folder)
    data = dicom_bytes(pixels(600, 400))
    (folder / "film.dcm").write_bytes(data[:-5000] + bytes(5000))
    for _ in range(4):
        clock[0] += STILL_S / 5
        folder_door.poll()
    assert taken(journal) == 0
    (folder / "film.dcm").write_bytes(data)
    for _ in range(2):
        folder_door.poll()
    assert [path.read_bytes() for path in folder_door._door._root.glob("spool/*.dcm")] == [data]
    black = dicom_bytes(pixels(600, 400), SOPInstanceUID="1.2.9")[:-5000] + bytes(5000)
    (folder / "black.dcm").write_bytes(black)
    for _ in range(2):
        folder_door.poll()
        clock[0] += STILL_S
    folder_door.poll()
    assert taken(journal) == 2


def test_what_stays_no_film_is_refused_in_the_end(folder_door: FolderDoor, folder: Path, journal: Journal,
                                                  clock: list[float]) -> None:  # fmt: skip
    (folder / "letter.txt").write_text("no film", encoding="utf-8")
    (folder / "half.dcm").write_bytes(dicom_bytes()[:-10])
    for _ in range(4):
        clock[0] += PATIENCE_S
        folder_door.poll()
    assert sorted(detail.partition(",")[0] for detail in refused(journal)) == [
        '{"code": "not_dicom"',
        '{"code": "truncated"',
    ]


def test_what_can_never_be_a_film_is_refused_at_once(folder_door: FolderDoor, folder: Path, journal: Journal) -> None:
    (folder / "ct.dcm").write_bytes(dicom_bytes(SOPClassUID=CT))
    for _ in range(3):
        folder_door.poll()
    assert len(refused(journal)) == 1


def test_names_of_unfinished_copies_and_links_are_not_opened(
    folder_door: FolderDoor, folder: Path, tmp_path: Path, journal: Journal
) -> None:
    (folder / "film.dcm.part").write_bytes(dicom_bytes())
    (tmp_path / "film").write_bytes(dicom_bytes())
    (folder / "link.dcm").symlink_to(tmp_path / "film")
    os.mkfifo(folder / "pipe.dcm")
    for _ in range(3):
        folder_door.poll()
    assert taken(journal) == 0
    (folder / "film.dcm.part").rename(folder / "film.dcm")
    for _ in range(2):
        folder_door.poll()
    assert taken(journal) == 1


def test_a_file_that_changes_while_it_is_read_is_not_taken(
    folder_door: FolderDoor, folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "film.dcm").write_bytes(dicom_bytes())
    folder_door.poll()

    def read(path: Path, most: int) -> bytes:
        data = path.read_bytes()
        path.write_bytes(dicom_bytes(PatientID="other"))
        return data

    monkeypatch.setattr(module, "read_file", read)
    folder_door.poll()
    assert taken(journal) == 0
    monkeypatch.undo()
    for _ in range(2):
        folder_door.poll()
    assert taken(journal) == 1


def test_after_a_restart_nothing_is_read_again(
    folder_door: FolderDoor, config: Config, folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "film.dcm").write_bytes(dicom_bytes())
    for _ in range(2):
        folder_door.poll()
    monkeypatch.setattr(module, "read_file", None)  # must not be called
    again = FolderDoor(Door(config, journal), journal, folder)
    for _ in range(3):
        again.poll()
    (folder / "film.dcm").unlink()
    (folder / "other.dcm").mkdir()
    monkeypatch.undo()
    (folder / "new.dcm").write_bytes(dicom_bytes(SOPInstanceUID="1.2.9"))
    for _ in range(2):
        again.poll()
    assert taken(journal) == 2
    assert len(journal.rows("SELECT * FROM folder_file")) == 1


def test_a_folder_that_vanishes_is_waited_for(folder_door: FolderDoor, folder: Path, journal: Journal) -> None:
    folder.rename(folder.with_name("away"))
    for _ in range(3):
        folder_door.poll()
    folder.with_name("away").rename(folder)
    (folder / "film.dcm").write_bytes(dicom_bytes())
    for _ in range(2):
        folder_door.poll()
    whats = [row["what"] for row in journal.rows("SELECT what FROM event ORDER BY n")]
    assert whats == ["folder_gone", "folder_back", "film_received"]


def test_a_full_disk_leaves_films_for_later(
    folder_door: FolderDoor, folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    (folder / "film.dcm").write_bytes(dicom_bytes())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    for _ in range(3):
        folder_door.poll()
    assert taken(journal) == 0
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, 10**12))
    clock[0] += 10
    folder_door.poll()
    assert taken(journal) == 1


def test_the_watch_goes_on_after_an_error(
    folder_door: FolderDoor, folder: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow copy by another thread: the film is there soon after its last byte, and whole."""
    monkeypatch.setattr(module, "POLL_S", 0.05)
    broken, poll = [OSError(errno.EIO, "Input/output error")], folder_door.poll

    def fails_once() -> None:
        if broken:
            raise broken.pop()
        poll()

    monkeypatch.setattr(folder_door, "poll", fails_once)
    ends = threading.Event()
    thread = threading.Thread(target=watch, args=(folder_door, ends))
    thread.start()
    data = dicom_bytes()
    with (folder / "film.dcm").open("wb") as file:
        for start in range(0, len(data), len(data) // 8):
            file.write(data[start : start + len(data) // 8])
            file.flush()
            time.sleep(0.12)
    end = time.monotonic() + 20
    while not taken(journal) and time.monotonic() < end:
        time.sleep(0.02)
    ends.set()
    thread.join()
    assert (taken(journal), refused(journal)) == (1, [])
