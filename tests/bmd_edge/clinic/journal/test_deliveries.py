"""Deliveries: every change of state from the right one only, in the order of the films, once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.films import Arrival, ObjectRow
from bmd_edge.clinic.journal.store import Journal
from tests.bmd_edge.clinic.conftest import Clock


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    """Two films with an SR and an SC each; the second film's objects name no approval."""
    with Journal(tmp_path, clock) as opened:
        for number, approval in ((1, "EK 1"), (2, "")):
            key = f"{number:064d}"
            facts = dict.fromkeys(("pixel_sha", "header_sha", "identity", "syntax"), f"{number}")
            film = Arrival(film_key=key, sop_uid=f"1.{number}", size=1, door="dicom", unit="xray1", **facts)
            films.take(opened, film)
            films.start(opened, "b")
            rows = [
                ObjectRow(
                    uid=f"2.25.{number}{place}", film_key=key, kind=kind, version=1, replaces=None, sha256="", path="x",
                    size=1, made_at=clock(), approval=approval,
                )
                for place, kind in enumerate(("sr", "sc"))
            ]  # fmt: skip
            films.finish(opened, key, "{}", rows)
        yield opened


def states(journal: Journal) -> dict[str, str]:
    rows = journal.rows("SELECT uid, state FROM delivery ORDER BY uid")
    return {row["uid"]: row["state"] for row in rows}


def test_objects_without_an_approval_are_addressed_only_where_they_may(journal: Journal) -> None:
    assert deliveries.address(journal, "main", ["sr", "sc"], False) == 2
    assert set(states(journal)) == {"2.25.10", "2.25.11"}
    assert [row["film_key"][-1] for row in deliveries.unaddressed(journal, "main", "sr")] == ["2"]
    assert deliveries.address(journal, "main", ["sr"], False, unapproved=True) == 1
    assert deliveries.address(journal, "main", ["sr"], False, unapproved=True) == 0


def test_what_is_due_is_leased_once_in_the_order_of_the_films(journal: Journal, clock: Clock) -> None:
    deliveries.address(journal, "main", ["sr", "sc"], False, unapproved=True)
    first = deliveries.lease(journal, "main", 3)
    assert [one.film_key[-1] for one in first] == ["1", "1", "2"]
    assert len(deliveries.lease(journal, "main")) == 1
    deliveries.try_again(journal, first[0].uid, "main", "A700", "pacs_busy", clock.now + 5)
    assert deliveries.lease(journal, "main") == []
    clock.now += 5
    (again,) = deliveries.lease(journal, "main")
    assert (again.uid, again.tries, again.last_status) == (first[0].uid, 1, "A700")


def test_a_restart_gives_leases_back(journal: Journal) -> None:
    deliveries.address(journal, "main", ["sr"], False)
    deliveries.lease(journal, "main")
    films.release_leases(journal)
    assert len(deliveries.lease(journal, "main")) == 1


def test_a_move_from_another_state_is_an_error_and_changes_nothing(journal: Journal) -> None:
    deliveries.address(journal, "main", ["sr"], True)
    (uid,) = states(journal)
    with pytest.raises(ValueError, match="is not sending"):
        deliveries.sent(journal, uid, "main", "0000")
    with pytest.raises(ValueError, match="is not sent"):
        deliveries.committed(journal, uid, "main")
    assert states(journal) == {uid: "ready"}


def test_a_film_is_done_when_nothing_of_it_is_open(journal: Journal) -> None:
    deliveries.address(journal, "main", ["sr", "sc"], True)
    key = f"{1:064d}"
    for one in deliveries.lease(journal, "main"):
        deliveries.sent(journal, one.uid, "main", "0000")
    assert [film.film_key for film in films.films_in(journal, "done")] == []
    for one in deliveries.of_film(journal, key):
        deliveries.committed(journal, one.uid, "main")
    assert [film.film_key for film in films.films_in(journal, "done")] == [key]


def test_a_request_for_commitment_is_open_until_its_time_is_up(journal: Journal, clock: Clock) -> None:
    deliveries.address(journal, "main", ["sr"], True)
    (one,) = deliveries.lease(journal, "main")
    deliveries.sent(journal, one.uid, "main", "0000")
    assert len(deliveries.uncommitted(journal, "main", clock.now - 600)) == 1
    deliveries.asked(journal, [one.uid], "main", "2.25.9")
    assert deliveries.uncommitted(journal, "main", clock.now - 600) == []
    assert [found.asks for found in deliveries.asked_in(journal, "2.25.9")] == [1]
    clock.now += 601
    assert len(deliveries.uncommitted(journal, "main", clock.now - 600)) == 1
    deliveries.try_again(journal, one.uid, "main", "0112", "not_committed", clock.now)
    deliveries.lease(journal, "main")
    deliveries.sent(journal, one.uid, "main", "0000")  # sent anew, to be asked anew
    assert deliveries.asked_in(journal, "2.25.9") == []
    assert len(deliveries.uncommitted(journal, "main", clock.now - 600)) == 1


def test_what_is_held_waits_for_its_release(journal: Journal) -> None:
    deliveries.address(journal, "main", ["sr"], False)
    (one,) = deliveries.lease(journal, "main")
    deliveries.hold(journal, one.uid, "main", "A900", "refused_by_pacs")
    assert deliveries.lease(journal, "main") == []
    assert deliveries.release(journal, "other") == 0
    assert deliveries.release(journal) == 1
    assert len(deliveries.lease(journal, "main")) == 1
