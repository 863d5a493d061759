"""What hangs is said with its reason, its time and a remedy; `send` acts on it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.delivery.answers import REASONS
from bmd_edge.clinic.hanging import PATIENCE_S, Hanging, hanging, read_again
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.films import ObjectRow
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.errors import UsageError
from tests.bmd_edge.clinic.conftest import Clock
from tests.bmd_edge.clinic.delivery.archives import Archive
from tests.bmd_edge.clinic.reading.readers import box, put
from tests.support.films import dicom_bytes, pixels


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return box(tmp_path, Archive(11112).lines(", commit = true"))


@pytest.fixture
def journal(config: Config, clock: Clock) -> Iterator[Journal]:
    with Journal(config.root, clock) as opened:
        yield opened


def finished(journal: Journal, key: str, approval: str = "EK 1") -> None:
    """The film as read, with one object."""
    assert films.start(journal, "b") is not None
    row = ObjectRow(
        uid=f"2.25.{int(key[:8], 16)}", film_key=key, kind="sr", version=1, replaces=None, sha256="", path="outbox/x",
        size=1, made_at=journal.clock(), approval=approval,
    )  # fmt: skip
    films.finish(journal, key, "{}", [row])


def sending(config: Config, journal: Journal) -> deliveries.Delivery:
    """A film whose object is on its way."""
    (key,) = put(config, journal, dicom_bytes(pixels()))
    finished(journal, key)
    deliveries.address(journal, "main", ["sr"], True)
    (one,) = deliveries.lease(journal, "main")
    return one


def only(config: Config, journal: Journal) -> Hanging:
    (found,) = hanging(config, journal)
    return found


def test_a_box_in_which_nothing_waits_has_nothing_to_say(config: Config, journal: Journal) -> None:
    assert hanging(config, journal) == []
    sending(config, journal)
    assert hanging(config, journal) == []


def test_a_held_object_is_said_with_the_archives_status(config: Config, journal: Journal, clock: Clock) -> None:
    one = sending(config, journal)
    clock.now += 60
    deliveries.hold(journal, one.uid, "main", "A900", "refused_by_pacs")
    found = only(config, journal)
    assert (found.n, found.why, found.since) == (1, "refused_by_pacs A900", clock.now)
    assert (found.sentence, found.remedy) == REASONS["refused_by_pacs"]
    assert one.film_key[:16] in found.line()
    assert "main held" in found.line()


def test_an_archive_that_is_down_hangs_after_a_quarter_of_an_hour(
    config: Config, journal: Journal, clock: Clock
) -> None:
    one = sending(config, journal)
    made = clock.now
    deliveries.try_again(journal, one.uid, "main", "", "pacs_down", clock.now)
    assert hanging(config, journal) == []
    clock.now += PATIENCE_S + 1
    found = only(config, journal)
    assert (found.why, found.since) == ("pacs_down", made)
    assert "1 object to main still tried" in found.line()
    deliveries.lease(journal, "main")
    assert only(config, journal) == found  # it is tried just now
    deliveries.sent(journal, one.uid, "main", "0000")
    assert hanging(config, journal) == []


def test_objects_in_the_plural(config: Config, journal: Journal, clock: Clock) -> None:
    one = sending(config, journal)
    deliveries.hold(journal, one.uid, "main", "A900", "refused_by_pacs")
    found = only(config, journal)
    assert found.counted() == "1 object to main held"
    assert replace(found, n=2).counted() == "2 objects to main held"


def test_an_object_that_is_not_committed_hangs(config: Config, journal: Journal, clock: Clock) -> None:
    one = sending(config, journal)
    deliveries.sent(journal, one.uid, "main", "0000")
    assert hanging(config, journal) == []
    clock.now += 601
    assert only(config, journal).why == "no_commitment"


def test_without_an_approval_everything_that_is_not_sent_is_said(tmp_path: Path, clock: Clock) -> None:
    config = box(tmp_path, Archive(11112).lines(), approval="")
    with Journal(config.root, clock) as journal:
        (key,) = put(config, journal, dicom_bytes(pixels()))
        finished(journal, key, approval="")
        assert only(config, journal).why == "no_approval"
        assert "approval" in only(config, journal).remedy


def test_objects_that_do_not_name_the_approval_are_said(tmp_path: Path, clock: Clock) -> None:
    config = box(tmp_path, Archive(11112).lines())
    with Journal(config.root, clock) as journal:
        (key,) = put(config, journal, dicom_bytes(pixels()))
        finished(journal, key, approval="")
        assert only(config, journal).why == "unapproved"
        assert "--film" in only(config, journal).remedy


def test_films_that_wait_are_quarantined_or_have_no_object_are_said(
    config: Config, journal: Journal, clock: Clock
) -> None:
    first, second = put(config, journal, dicom_bytes(pixels()), dicom_bytes(pixels(), SOPInstanceUID="1.2.3"))
    clock.now += PATIENCE_S + 1
    assert only(config, journal).why == "waiting"
    films.start(journal, "b")
    films.quarantine(journal, first, "sop_uid_conflict")
    films.start(journal, "b")
    films.finish(journal, second, "{}", [], "no_objects")
    assert {one.why for one in hanging(config, journal)} == {"sop_uid_conflict", "no_objects"}


def test_a_film_is_read_again_by_the_start_of_its_id(config: Config, journal: Journal) -> None:
    one, other = put(config, journal, dicom_bytes(pixels()), dicom_bytes(pixels(), SOPInstanceUID="1.2.3"))
    with pytest.raises(UsageError, match="received"):
        read_again(journal, one)
    for key in (one, other):
        films.start(journal, "b")
        films.finish(journal, key, "{}", [])
    assert "would be" in read_again(journal, one[:12], dry_run=True)
    assert films.films_in(journal, "received") == []
    assert read_again(journal, one[:12]).startswith(f"film {one[:16]} is read again")
    assert [film.film_key for film in films.films_in(journal, "received")] == [one]
    for name in ("", "zz"):
        with pytest.raises(UsageError, match="films have an id"):
            read_again(journal, name)
