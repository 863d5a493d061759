"""A film that was answered 0000 is there after a power cut and after a kill; the long run is in results/."""

import json
import time
from pathlib import Path

import pytest

from bmd_edge.clinic.doors.content import Status
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.journal.store import Journal
from tests.support import clinic, power
from tests.support.clinic import cuts

# pynetdicom leaves a socket that was refused or cut off to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:unclosed <socket:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

RESULTS = Path(__file__).with_name("results")


def test_power_cuts_lose_no_film_that_was_answered_0000(tmp_path: Path) -> None:
    found = cuts.power_cuts(tmp_path, cuts=3)
    assert found["acknowledged_before_cuts"] > 10
    assert (found["lost"], found["broken_rows"], found["boxes_that_go_on"]) == (0, 0, 3)


def test_kills_lose_no_film_that_was_answered_0000(tmp_path: Path) -> None:
    found = cuts.kills(tmp_path, times=10)
    assert found["acknowledged"] > 10
    assert (found["lost"], found["broken_rows"], found["half_files_after_restart"]) == (0, 0, 0)


@pytest.mark.parametrize("hasty", ["the journal", "the films"])
def test_without_a_sync_films_are_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hasty: str) -> None:
    """The first test can fail."""
    if hasty == "the films":
        monkeypatch.setattr("bmd_edge.clinic.doors.door.replace_bytes", lambda path, data, **_: path.write_bytes(data))
    acknowledged = cuts.Acknowledged()
    with power.disk(tmp_path, busy=True) as disk:
        config = clinic.box(tmp_path, root=disk.folder / "root")
        with Journal(config.root) as journal:
            if hasty == "the journal":
                journal._db.execute("PRAGMA synchronous=NORMAL")
            door = Door(config, journal)

            def send(films: list[bytes]) -> list[bool]:
                return [door.keep(film, Origin("dicom", "xray1")) == Status.KEPT for film in films]

            with cuts.arriving(send, acknowledged):
                end = time.monotonic() + 60
                while len(before := acknowledged.now()) <= 10 and time.monotonic() < end:
                    time.sleep(0.05)
                copy = disk.cut("cut")
        with disk.left(copy) as left:
            lost, _ = cuts.missing(left / "root", before)
    assert len(before) > 10
    assert lost


def test_the_long_runs_lost_nothing() -> None:
    power, kills = (json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in cuts.MEASURES)
    assert (power["cuts"], power["lost"], power["broken_rows"], power["boxes_that_go_on"]) == (50, 0, 0, 50)
    assert (kills["kills"], kills["lost"], kills["broken_rows"], kills["half_files_after_restart"]) == (100, 0, 0, 0)
    assert power["acknowledged_before_cuts"] > 1000
    assert kills["acknowledged"] > 200
