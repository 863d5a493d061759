"""What the archives have had for long enough goes from the box's disk; nothing else does."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.hanging import hanging, read_again
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.films import ObjectRow, film_path
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.retention import remove_old
from bmd_edge.errors import UsageError
from tests.bmd_edge.clinic.conftest import Clock
from tests.bmd_edge.clinic.delivery.archives import Archive
from tests.bmd_edge.clinic.reading.readers import box, put
from tests.support.films import IMPLICIT, dicom_bytes

DAY = 86_400
FILM = dicom_bytes(SOPInstanceUID="1.2.3")
XRAY1 = Origin("dicom", "xray1")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = box(tmp_path, Archive(11112).lines(", commit = true"))
    return replace(made, box=replace(made.box, keep_days=30))


@pytest.fixture
def journal(config: Config, clock: Clock) -> Iterator[Journal]:
    with Journal(config.root, clock) as opened:
        films.read_with(opened, "basis", "")
        yield opened


def read(config: Config, journal: Journal, data: bytes = FILM, kinds: tuple[str, ...] = ("sr", "sc", "fhir")) -> str:
    """A film as read, with its objects in the outbox; returns its key."""
    (key,) = put(config, journal, data)
    assert films.start(journal, "basis")
    rows = []
    for kind in kinds:
        path = f"outbox/{key[:8]}.{kind}"
        (config.root / path).write_bytes(kind.encode())
        digest = hashlib.sha256(kind.encode()).hexdigest()
        rows.append(
            ObjectRow(
                uid=f"{key[:8]}.{kind}", film_key=key, kind=kind, version=1, replaces=None, sha256=digest, path=path,
                size=2, made_at=journal.clock(), approval="EK 1",
            )
        )  # fmt: skip
    films.finish(journal, key, "{}", rows)
    return key


def delivered(journal: Journal, commitment: bool = False) -> None:
    """The archive takes what there is."""
    deliveries.address(journal, "main", ["sr", "sc", "fhir"], commitment)
    for one in deliveries.lease(journal, "main"):
        deliveries.sent(journal, one.uid, "main", "0000")


def left(config: Config, key: str) -> set[str]:
    """The files of a film and of its objects that are there."""
    paths = [film_path(config.root, key), *(config.root / "outbox").glob(f"{key[:8]}.*")]
    return {path.suffix for path in paths if path.exists()}


ALL = {".dcm", ".sr", ".sc", ".fhir"}


def test_files_go_when_the_archives_have_had_them_for_so_long(config: Config, journal: Journal, clock: Clock) -> None:
    key = read(config, journal)
    delivered(journal)
    clock.now += 30 * DAY - 1
    assert (remove_old(config, journal), left(config, key)) == (0, ALL)
    clock.now += 2
    assert (remove_old(config, journal), left(config, key)) == (1, {".fhir"})  # by it a later version withdraws
    assert (remove_old(config, journal), journal.broken_event()) == (0, None)
    assert [row["film_key"] for row in journal.rows("SELECT * FROM event WHERE what='film_removed'")] == [key]


def test_what_somebody_still_waits_for_stays(config: Config, journal: Journal, clock: Clock) -> None:
    uids = [f"1.2.4.{n}" for n in range(6)]
    taken = [dicom_bytes(SOPInstanceUID=uid) for uid in uids]
    uncommitted = read(config, journal, taken[0])
    delivered(journal, commitment=True)
    held = read(config, journal, taken[1])
    deliveries.address(journal, "main", ["sr"], False)
    (one,) = deliveries.lease(journal, "main")
    deliveries.hold(journal, one.uid, "main", "A900", "refused_by_pacs")
    unsent = read(config, journal, taken[2])
    (waiting,) = put(config, journal, taken[3])
    assert films.start(journal, "basis")
    (bare,) = put(config, journal, taken[4])
    assert films.start(journal, "basis")
    films.finish(journal, bare, "{}", [], "no_objects")
    Door(config, journal).keep(dicom_bytes(SOPInstanceUID=uids[4], PatientID="OTHER"), XRAY1)
    (quarantined,) = (film.film_key for film in films.films_in(journal, "quarantined"))
    clock.now += 365 * DAY
    assert remove_old(config, journal) == 0
    assert [left(config, key) for key in (uncommitted, held, unsent)] == [ALL] * 3
    assert [left(config, key) for key in (waiting, bare, quarantined)] == [{".dcm"}] * 3


def test_a_film_that_comes_again_is_read_where_it_has_to_be(config: Config, journal: Journal, clock: Clock) -> None:
    key = read(config, journal)
    delivered(journal)
    clock.now += 31 * DAY
    remove_old(config, journal)
    door = Door(config, journal)
    with pytest.raises(UsageError, match="have it sent again"):
        read_again(journal, key)
    films.read_with(journal, "another basis", "")
    assert door.keep(dicom_bytes(syntax=IMPLICIT, SOPInstanceUID="1.2.3"), XRAY1) == 0  # not the very file
    assert (films.films_in(journal, "received"), left(config, key)) == ([], {".fhir"})
    assert door.keep(FILM, XRAY1) == 0
    assert [film.film_key for film in films.films_in(journal, "received")] == [key]
    assert film_path(config.root, key).read_bytes() == FILM


def test_one_that_comes_again_for_nothing_new_goes_again(config: Config, journal: Journal, clock: Clock) -> None:
    key = read(config, journal)
    delivered(journal)
    clock.now += 31 * DAY
    remove_old(config, journal)
    assert put(config, journal, FILM) == []
    assert (films.films_in(journal, "received"), left(config, key)) == ([], {".dcm", ".fhir"})
    assert "is read again" in read_again(journal, key, dry_run=True).replace("would be", "is")
    assert (remove_old(config, journal), left(config, key)) == (1, {".fhir"})


def test_an_archive_that_comes_later_gets_nothing_of_it(config: Config, journal: Journal, clock: Clock) -> None:
    read(config, journal)
    delivered(journal)
    clock.now += 31 * DAY
    remove_old(config, journal)
    later = replace(config, pacs={"later": config.pacs["main"]})
    assert deliveries.address(journal, "later", ["sr", "sc"], False) == 0
    assert hanging(replace(later, approval=""), journal) == []


def test_what_the_disk_does_not_let_go_is_tried_again(
    config: Config, journal: Journal, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    key = read(config, journal)
    delivered(journal)
    clock.now += 31 * DAY
    picture = config.root / f"outbox/{key[:8]}.sc"
    picture.unlink()
    picture.mkdir()  # which is not removed like a file
    assert remove_old(config, journal) == 0
    assert ["cannot be removed" in record.getMessage() for record in caplog.records] == [True]
    picture.rmdir()
    assert (remove_old(config, journal), left(config, key)) == (1, {".fhir"})
