"""Every way of a film through its states, and no other."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.films import Arrival, Known, ObjectRow
from bmd_edge.clinic.journal.store import Journal

FILM = Arrival(
    film_key="a", sop_uid="1.2", pixel_sha="p", header_sha="h", identity="i", syntax="s", size=1, door="dicom", unit="x"
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path) as opened:
        yield opened


def made(
    film_key: str = "a", uid: str = "9", kind: str = "sr", version: int = 1, replaces: str | None = None
) -> ObjectRow:
    return ObjectRow(
        uid=uid, film_key=film_key, kind=kind, version=version, replaces=replaces, sha256="f", path=f"outbox/{uid}.dcm",
        size=1, made_at=1.0,
    )  # fmt: skip


def state(journal: Journal, film_key: str = "a") -> str:
    found = films.film(journal, film_key)
    assert found is not None
    return found.state


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({}, Known.AGAIN),
        ({"film_key": "b"}, Known.AGAIN),
        ({"film_key": "b", "syntax": "t"}, Known.AGAIN),
        ({"film_key": "b", "header_sha": "g"}, Known.NEW),
        ({"film_key": "b", "sop_uid": "1.3"}, Known.NEW),
        ({"film_key": "b", "pixel_sha": "q", "syntax": "t"}, Known.NEW),
        ({"film_key": "b", "pixel_sha": "q"}, Known.CONFLICT),
        ({"film_key": "b", "identity": "j"}, Known.CONFLICT),
        ({"film_key": "b", "identity": "j", "header_sha": "g"}, Known.CONFLICT),
    ],
)
def test_what_is_known_decides(journal: Journal, other: dict[str, str], expected: Known) -> None:
    assert films.take(journal, FILM) is Known.NEW
    arrival = replace(FILM, **other)
    assert films.known(journal, arrival)[0] is expected
    assert [films.take(journal, arrival) for _ in range(2)] == [
        expected,
        Known.AGAIN if expected is Known.NEW else expected,
    ]
    expected_states = {
        Known.NEW: ["received"] * 2,
        Known.AGAIN: ["received"],
        Known.CONFLICT: ["received", "quarantined"],
    }
    assert [one.state for one in films.films_in(journal, "received", "quarantined")] == expected_states[expected]


def test_a_film_goes_its_way(journal: Journal) -> None:
    films.take(journal, FILM)
    found = [state(journal)]
    started = films.start(journal, "basis")
    assert started is not None
    assert (started.film_key, started.tries, started.basis) == ("a", 1, "basis")
    assert films.start(journal, "basis") is None
    found.append(state(journal))
    films.finish(journal, "a", '{"report": 1}', [made(), made(uid="8", kind="sc")])
    found.append(state(journal))
    assert deliveries.address(journal, "main", ["sr", "sc"], commitment=False, unapproved=True) == 2
    for number, one in enumerate(deliveries.lease(journal, "main")):
        deliveries.sent(journal, one.uid, "main", "0000")
        found.append(f"{number} {state(journal)}")
    assert found == ["received", "screening", "ready", "0 ready", "1 done"]
    whole = films.film(journal, "a")
    assert whole is not None
    assert whole.report == '{"report": 1}'
    assert journal.broken_event() is None


def test_films_are_read_in_the_order_of_their_arrival_whatever_the_clock_says(tmp_path: Path) -> None:
    times = iter(range(1000, 0, -1))
    with Journal(tmp_path, clock=lambda: float(next(times))) as journal:
        for number in range(3):
            films.take(journal, replace(FILM, film_key=f"{number}", sop_uid=f"1.{number}"))
        started = [films.start(journal, "basis") for _ in range(3)]
    assert [one.film_key for one in started if one] == ["0", "1", "2"]


def test_after_a_restart_leases_are_released(journal: Journal) -> None:
    films.take(journal, FILM)
    for tries in (1, 2, 3):
        started = films.start(journal, "basis")
        assert started is not None
        assert started.tries == tries
        films.release_leases(journal)
        assert state(journal) == "received"


def test_an_answer_that_says_nothing_new_ends_the_film(journal: Journal) -> None:
    for film in (FILM, replace(FILM, film_key="b", header_sha="g")):
        films.take(journal, film)
        films.start(journal, "basis")
        films.finish(journal, film.film_key, "{}", [made()])
    assert (state(journal, "a"), state(journal, "b")) == ("ready", "done")
    assert len(films.objects_of(journal, "a")) == 1


def test_a_new_version_is_made_when_a_film_is_read_again(journal: Journal) -> None:
    films.take(journal, FILM)
    assert not films.read_again(journal, "a", "asked")
    films.start(journal, "basis")
    films.finish(journal, "a", "{}", [made()])
    assert films.read_again(journal, "a", "recalibrated")
    started = films.start(journal, "basis")
    assert started is not None
    assert (started.tries, started.reason) == (1, "recalibrated")
    before = films.latest_object(journal, "1.2", "sr")
    assert before is not None
    films.finish(journal, "a", "{}", [made(uid="10", version=2, replaces=before.uid)])
    latest = films.latest_object(journal, "1.2", "sr")
    assert latest is not None
    assert (latest.uid, latest.replaces, state(journal)) == ("10", "9", "ready")


def test_a_lease_is_ended_once(journal: Journal) -> None:
    films.take(journal, FILM)
    with pytest.raises(ValueError, match="is not screening"):
        films.finish(journal, "a", "{}", [made()])
    assert films.objects_of(journal, "a") == []
    films.start(journal, "basis")
    films.quarantine(journal, "a", "other_pixels")
    with pytest.raises(ValueError, match="is not screening"):
        films.quarantine(journal, "a", "other_pixels")
    assert state(journal) == "quarantined"


def test_of_a_film_that_was_taken_from_the_spool_its_unit_tells_who_it_was(journal: Journal) -> None:
    """As after the restoring of an older backup: what is the unit's, as a spacing, was not known."""
    films.take(journal, replace(FILM, door="spool", unit=""))
    assert films.start(journal, "b")
    films.finish(journal, "a", "{}", [])
    films.take(journal, replace(FILM, door="spool", unit=""))
    assert state(journal) == "done"
    films.take(journal, FILM)
    found = films.film(journal, "a")
    assert found
    assert (found.door, found.unit, found.state) == ("dicom", "x", "received")
