"""Events are added up, each once."""

import threading
from pathlib import Path

import pytest

from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page import tally as module
from bmd_edge.clinic.page.tally import STEPS_S, Durations, Tally
from tests.bmd_edge.clinic.conftest import Clock
from tests.bmd_edge.clinic.reading.readers import box, put
from tests.bmd_edge.clinic.test_hanging import finished
from tests.support.films import dicom_bytes, pixels
from tests.support.screening import NOTICE


def added(journal: Journal) -> Tally:
    tally = Tally()
    tally.step(journal)
    return tally


def test_films_are_counted_by_state_and_code(journal: Journal) -> None:
    films_of = added(journal).films
    assert films_of["received", ""] == 7
    assert films_of["ready", "implant"] == films_of["ready", "not_a_hip"] == films_of["done", ""] == 1
    assert films_of["ready", ""] == 4
    journal.record("refused", door="dicom", address="10.0.0.9", code="unknown_ae_title", times=3)
    journal.record("refused", door="stow", unit="", code="unknown_unit", status="0124")
    counted = added(journal).films
    assert (counted["refused", "unknown_ae_title"], counted["refused", "unknown_unit"]) == (3, 1)


def test_each_event_is_added_once_from_any_thread(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    tally = Tally()
    threads = [threading.Thread(target=tally.step, args=(journal,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.films == added(journal).films
    assert tally.last == journal.rows("SELECT MAX(n) AS n FROM event")[0]["n"]
    journal.record("film_received", "ab")
    tally.step(journal)
    assert tally.films["received", ""] == 8


def test_the_notice_is_that_of_the_reader_that_was_opened_last(journal: Journal) -> None:
    assert added(journal).notice == NOTICE
    films.read_with(journal, "b", "Another.")
    assert added(journal).notice == "Another."
    assert Tally().notice == ""


def test_films_are_not_read_from_the_first_failure_to_the_next_reader(tmp_path: Path, clock: Clock) -> None:
    with Journal(tmp_path, clock) as journal:
        assert added(journal).not_reading_since is None
        for _ in range(3):
            journal.record("not_screening", why="BundleError")
            clock.now += 60
        assert added(journal).not_reading_since == clock.now - 180
        films.read_with(journal, "b", "")
        assert added(journal).not_reading_since is None


def test_each_stage_has_its_durations(tmp_path: Path, clock: Clock) -> None:
    with Journal(tmp_path, clock) as journal:
        journal.record("film_received", "ab")
        clock.now += 40
        journal.record("film_screening", "ab")
        clock.now += 4
        journal.record("film_done", "ab")
        clock.now += 1000
        journal.record("film_read_again", "ab")
        clock.now += 7
        journal.record("film_screening", "ab")
        stages = added(journal).stages
    assert (stages["waiting"].counts, stages["waiting"].total_s) == (counts(40, 7), pytest.approx(47))
    assert (stages["reading"].counts, stages["reading"].total_s) == (counts(4), pytest.approx(4))
    assert stages["sending"].total_s == 0


def counts(*seconds: float) -> list[int]:
    ends = [*STEPS_S, float("inf")]
    return [sum(low < one <= high for one in seconds) for low, high in zip([-1, *ends], ends, strict=False)]


def test_sending_takes_from_the_finished_object_to_the_archive(tmp_path: Path, clock: Clock) -> None:
    config = box(tmp_path)
    with Journal(config.root, clock) as journal:
        (key,) = put(config, journal, dicom_bytes(pixels()))
        finished(journal, key)
        deliveries.address(journal, "main", ["sr"], False)
        (one,) = deliveries.lease(journal, "main")
        clock.now += 20
        deliveries.sent(journal, one.uid, "main", "0000")
        journal.record("object_sent", "ab", uid="1.2.3", destination="main")  # of an object that is no more
        sending = added(journal).stages["sending"]
    assert (sending.counts, sending.total_s) == (counts(20), pytest.approx(20))


@pytest.mark.parametrize(("seconds", "place"), [(-5.0, 0), (0.0, 0), (1.0, 0), (1.1, 1), (3600.0, 8), (3601.0, 9)])
def test_a_duration_falls_into_one_class(seconds: float, place: int) -> None:
    one = Durations()
    one.add(seconds)
    assert one.counts[place] == sum(one.counts) == 1
    assert one.total_s == max(seconds, 0)
