"""The red bar: of films, objects and the box itself, each with the time since which it hangs."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page import bar as module
from bmd_edge.clinic.page.bar import PATIENCE_S, Bar, Trouble
from bmd_edge.clinic.page.tally import Tally
from bmd_edge.clinic.setup import doctor
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from tests.bmd_edge.clinic.conftest import Clock
from tests.bmd_edge.clinic.test_hanging import sending
from tests.support.clinic import box, quick_keys
from tests.support.clinic.films_of_a_day import page_box


def said(config: Config, journal: Journal, tally: Tally | None = None) -> list[Trouble]:
    return Bar(config).troubles(journal, tally or Tally())


def test_a_box_in_which_nothing_hangs_has_no_bar(config: Config, journal: Journal) -> None:
    assert said(config, journal) == []


def test_an_archive_that_is_down_is_named_within_a_minute(tmp_path: Path, clock: Clock) -> None:
    config = page_box(tmp_path)
    with Journal(config.root, clock) as journal:
        one = sending(config, journal)
        made = clock.now
        deliveries.try_again(journal, one.uid, "main", "", "pacs_down", clock.now + 5)
        assert said(config, journal) == []
        clock.now += PATIENCE_S + 1
        (found,) = said(config, journal)
        assert (found.what, found.since) == ("1 object to main still tried (pacs_down)", made)
        assert "cannot be reached" in found.sentence
        assert found.films == (one.film_key,)
        deliveries.lease(journal, "main")
        assert said(config, journal) == [found]
        deliveries.sent(journal, one.uid, "main", "0000")
        assert said(config, journal) == []


def test_films_that_are_not_read_are_said(config: Config, journal: Journal) -> None:
    tally = Tally()
    tally.not_reading_since = 5.0
    (found,) = said(config, journal, tally)
    assert (found.what, found.since) == ("not reading", 5.0)
    assert "clinic serve" in found.remedy


def test_a_disk_without_room_is_said_since_it_was_seen(
    config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar = Bar(replace(config, box=replace(config.box, min_free_mb=10**9)))
    before = time.time()
    (found,) = bar.troubles(journal, Tally())
    assert found.what == "room for films"
    assert "free some space" in found.sentence
    assert before <= found.since <= time.time()
    monkeypatch.setattr(module, "_LOOK_S", 0.0)
    assert bar.troubles(journal, Tally()) == [found]  # looked at anew, and the time stays


def test_a_certificate_that_ends_soon_is_said(tmp_path: Path) -> None:
    config = box(tmp_path, stow_tls="127.0.0.1:8443")
    with quick_keys():
        make_authority(config.root / "tls")
        make_certificate(config.root / "tls", "box", ("127.0.0.1",), days=doctor.WARN_DAYS - 1)
    with Journal(config.root) as journal:
        (found,) = said(config, journal)
    assert found.what == "certificate box.crt"
    assert "run `bmd-edge clinic init`" in found.sentence


def test_a_folder_that_others_may_open_is_said_as_what_is_wrong(config: Config, journal: Journal) -> None:
    config.root.chmod(0o755)
    (found,) = said(config, journal)
    assert (found.what, found.sentence) == ("box's folder, for others", f"is open: chmod go= {config.root}.")
    (found,) = said(replace(config, language="de"), journal)
    assert (found.what, found.sentence) == ("Ordner der Box, für andere", f"ist offen: chmod go= {config.root}.")


def test_a_clock_that_was_set_back_is_said(tmp_path: Path, clock: Clock) -> None:
    config = page_box(tmp_path)
    with Journal(config.root, clock) as journal:
        journal.record("something")
        clock.now -= 3600
        (found,) = said(config, journal)
        assert (found.what, "3600 s behind the newest event" in found.sentence) == ("clock", True)


def test_an_archive_that_cannot_report_is_said_until_it_can(config: Config, journal: Journal) -> None:
    tally = Tally()
    journal.record("commitment_closed")
    tally.step(journal)
    (found,) = said(config, journal, tally)
    assert (found.what, "commitment.bind" in found.sentence) == ("commitment", True)
    journal.record("commitment_open")
    tally.step(journal)
    assert said(config, journal, tally) == []
