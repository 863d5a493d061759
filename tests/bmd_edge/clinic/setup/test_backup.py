"""A backup is a box's own copy, made at any moment; what is made of it again has lost nothing that it has."""

import shutil
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config, address
from bmd_edge.clinic.doors.content import Status
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.journal.films import film_path, films_since
from bmd_edge.clinic.journal.heads import heads, note_head
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.backup import back_up, restore
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from bmd_edge.clinic.setup.doctor import examine
from bmd_edge.clinic.setup.init import prepare
from bmd_edge.errors import UsageError
from bmd_edge.screen.run_lock import hold
from tests.support import clinic
from tests.support.films import dicom_bytes

XRAY1 = Origin("stow", "xray1")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = clinic.box(tmp_path, stow_tls=f"127.0.0.1:{clinic.free_port()}")
    with clinic.quick_keys():
        make_authority(made.root / "tls")
        make_certificate(made.root / "tls", "box", ("127.0.0.1",))
    keep(made, 1)
    (made.root / "outbox/1.2.dcm").write_bytes(b"an object")
    return made


def keep(config: Config, *numbers: int) -> None:
    """Films come in."""
    with closing(Journal(config.root)) as journal:
        door = Door(config, journal)
        for number in numbers:
            assert door.keep(dicom_bytes(SOPInstanceUID=f"1.2.3.{number}"), XRAY1) == Status.KEPT
        note_head(config.root, journal)


def films_of(config: Config) -> set[str]:
    """SOP Instance UIDs of the films that are in the journal and have a whole file."""
    with closing(Journal(config.root)) as journal:
        found = films_since(journal, 0)
        assert journal.broken_event() is None
    return {one.sop_uid for one in found if film_path(config.root, one.film_key).is_file()}


def failed(config: Config) -> set[str]:
    """What the doctor finds, but for services that do not run here."""
    return {one.what for one in examine(config) if not one.sound} - {"C-STORE", "guard", "Debian's own Orthanc"}


def served_again(config: Config) -> None:
    """What every door does first."""
    with closing(Journal(config.root)) as journal:
        Door(config, journal).sweep()


def uids(*numbers: int) -> set[str]:
    return {f"1.2.3.{number}" for number in numbers}


def test_a_box_that_is_lost_is_made_again(config: Config, tmp_path: Path) -> None:
    backup = tmp_path / "other disk/backup"
    assert back_up(config, backup) == 2
    keep(config, 2)
    assert back_up(config, backup) == 1  # what is new
    files = {path.name: path.read_bytes() for path in (config.root / "tls").iterdir()}
    shutil.rmtree(config.root)
    prepare(config)
    with clinic.quick_keys():
        make_authority(config.root / "tls")
    assert restore(config, backup) == 3
    assert films_of(config) == uids(1, 2)
    assert {path.name: path.read_bytes() for path in (config.root / "tls").iterdir()} == files
    assert (config.root / "outbox/1.2.dcm").read_bytes() == b"an object"
    assert failed(config) == set()
    assert {path.stat().st_mode & 0o077 for path in [backup, *backup.rglob("*")]} == {0}
    keep(config, 1, 3)  # the first is known again, by the key
    assert films_of(config) == uids(1, 2, 3)


def test_of_a_damaged_journal_the_films_that_came_since_are_taken_in(config: Config, tmp_path: Path) -> None:
    back_up(config, tmp_path / "backup")
    keep(config, 2, 3)
    (config.root / "journal.sqlite").write_bytes(b"damaged" * 1000)
    assert "journal" in failed(config)
    (config.root / "journal.sqlite-wal").write_bytes(b"of another journal" * 1000)
    assert restore(config, tmp_path / "backup") == 0
    served_again(config)
    assert films_of(config) == uids(1, 2, 3)
    assert failed(config) == set()
    aside = {path.name.split("-", 2)[2] for path in config.root.glob("before-*")}
    assert aside == {"journal.sqlite", "journal.sqlite-wal", "audit.heads"}
    assert len(heads(config.root)) == 1
    with closing(Journal(config.root)) as journal:
        assert [row["n"] for row in journal.rows("SELECT COUNT(*) AS n FROM event WHERE what='restored'")] == [1]


def test_a_file_that_is_not_whole_is_the_backups_again(config: Config, tmp_path: Path) -> None:
    back_up(config, tmp_path / "backup")
    (config.root / "outbox/1.2.dcm").write_bytes(b"an")
    assert restore(config, tmp_path / "backup") == 1
    assert (config.root / "outbox/1.2.dcm").read_bytes() == b"an object"


def test_a_backup_made_while_films_come_in_has_every_film_of_its_journal(config: Config, tmp_path: Path) -> None:
    kept, ends = [1], threading.Event()

    def unit() -> None:
        with closing(Journal(config.root)) as journal:
            door = Door(config, journal)
            while not ends.is_set():
                assert door.keep(dicom_bytes(SOPInstanceUID=f"1.2.3.{len(kept) + 1}"), XRAY1) == Status.KEPT
                kept.append(len(kept) + 1)

    thread = threading.Thread(target=unit)
    thread.start()
    try:
        while len(kept) < 5:
            pass
        before = [*kept]
        back_up(config, tmp_path / "backup")
    finally:
        ends.set()
        thread.join()
    shutil.rmtree(config.root)
    prepare(config)
    restore(config, tmp_path / "backup")
    with closing(Journal(config.root)) as journal:
        named = {one.sop_uid for one in films_since(journal, 0)}
    assert uids(*before) <= named == films_of(config)


def test_an_earlier_backup_stays_until_the_new_one_is_whole(config: Config, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    back_up(config, backup)
    journal = (backup / "journal.sqlite").read_bytes()
    (config.root / "journal.sqlite").write_bytes(b"damaged" * 1000)
    with pytest.raises(UsageError):
        back_up(config, backup)
    assert (backup / "journal.sqlite").read_bytes() == journal
    restore(config, backup)
    assert films_of(config) == uids(1)


def test_what_is_no_place_for_a_backup_is_told(config: Config, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another disk"):
        back_up(config, config.root / "backup")
    other = clinic.box(tmp_path / "other")
    with pytest.raises(UsageError, match="no journal yet"):
        back_up(other, tmp_path / "backup")
    keep(other, 1)
    back_up(other, tmp_path / "backup")
    with pytest.raises(UsageError, match="another box"):
        back_up(config, tmp_path / "backup")
    with pytest.raises(UsageError, match="another box"):
        restore(config, tmp_path / "backup")
    assert films_of(config) == uids(1)


def test_a_box_that_is_at_work_is_not_restored(config: Config, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no backup"):
        restore(config, tmp_path)
    back_up(config, tmp_path / "backup")
    with hold(config.root, ""), pytest.raises(UsageError, match="stop bmd-edge-serve"):
        restore(config, tmp_path / "backup")
    with (
        socket.create_server(address(config.door.dicom)),
        pytest.raises(UsageError, match=r"Orthanc answers.*bmd-edge-orthanc"),
    ):
        restore(config, tmp_path / "backup")
    shutil.rmtree(config.root)
    with pytest.raises(UsageError, match="clinic init"):
        restore(config, tmp_path / "backup")
