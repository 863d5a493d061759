"""Whoever waits is woken when what the page says has changed."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.bar import Bar
from bmd_edge.clinic.page.tally import Tally
from bmd_edge.clinic.page.watcher import Watcher
from bmd_edge.errors import UsageError


@contextmanager
def running(watcher: Watcher) -> Iterator[Watcher]:
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.end()
        thread.join()


def test_an_event_makes_a_new_version(config: Config, journal: Journal) -> None:
    with running(Watcher(journal, Tally(), Bar(config))) as watcher:
        first = watcher.wait("", 60)
        assert first
        assert watcher.wait(first, 0.01) == first
        with Journal(config.root) as other:  # as the guard in Orthanc's process
            other.record("film_again")
        assert watcher.wait(first, 60) not in ("", first)


def test_what_begins_to_hang_makes_a_new_version_too(config: Config, journal: Journal) -> None:
    tally = Tally()
    with running(Watcher(journal, tally, Bar(config))) as watcher:
        first = watcher.wait("", 60)
        tally.not_reading_since = 5.0  # no event says so
        assert watcher.wait(first, 60) != first


def test_nobody_waits_for_a_watcher_that_has_ended(config: Config, journal: Journal) -> None:
    watcher = Watcher(journal, Tally(), Bar(config))
    watcher.end()
    watcher.run()
    assert watcher.wait("", 600) == ""
    assert watcher.ended


def test_a_journal_that_fails_is_looked_at_again(
    config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bmd_edge.clinic.page.watcher._LOOK_S", 0.01)
    failures, tally = [OSError(5, "Input/output error"), UsageError("is locked")] * 2, Tally()
    step = tally.step

    def failing(journal: Journal) -> None:
        if failures:
            raise failures.pop()
        step(journal)

    monkeypatch.setattr(tally, "step", failing)
    with running(Watcher(journal, tally, Bar(config))) as watcher:
        assert watcher.wait("", 60)
    assert [record.message for record in caplog.records] == ["page: is locked"]  # said once
