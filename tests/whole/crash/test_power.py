"""A power cut loses what was not synced; what a run has called finished is not among it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bmd_edge.screen import ledger as module
from bmd_edge.screen.ledger import Ledger
from bmd_edge.screen.run import screen_folder
from tests.support import power
from tests.support.screening import drawn_screener, hip_dicom


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[power.Disk]:
    (tmp_path / "power").mkdir()
    with power.disk(tmp_path / "power") as made:
        yield made


def finished_and_left(disk: power.Disk, folder: Path) -> list[tuple[int, int]]:
    """After each film: how many the run calls finished, and how many a power cut at that moment leaves finished."""
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(hip_dicom("R", bone=1500 + 40 * number))
    seen = []
    with drawn_screener() as screener:

        def cut(done: int, total: int) -> None:
            with disk.after_power_cut() as left:
                seen.append((done, len(module.finished(left / "out", screener.settings_digest, folder))))

        screen_folder(screener, folder, disk.folder / "out", progress=cut)
    return seen


def test_a_power_cut_keeps_what_was_called_finished(disk: power.Disk, tmp_path: Path) -> None:
    assert finished_and_left(disk, tmp_path / "films") == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_the_disk_loses_what_is_not_synced(disk: power.Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: with one sync less for each film, the same films are lost."""

    class Hasty(Ledger):
        def __init__(self, out: Path) -> None:
            super().__init__(out)
            self._db.execute("PRAGMA synchronous=NORMAL")

    monkeypatch.setattr("bmd_edge.screen.run.Ledger", Hasty)
    assert finished_and_left(disk, tmp_path / "films")[-1] == (3, 0)
