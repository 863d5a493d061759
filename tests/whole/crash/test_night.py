"""A night of a clinic, as one script: whatever happens to films and machine, every result ever written stays."""

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bmd_edge.screen import screener as screener_module
from bmd_edge.screen.run import screen_folder
from tests.support import power, screening
from tests.support.screening import drawn_bundle, drawn_screener, hip_dicom

NOBODY = 65534


class Clinic:
    """Films in the folder `share`, their results in `out`, and the film ids of all that was ever written there."""

    def __init__(self, place: Path, out: Path) -> None:
        self.place, self.share, self.out = place, place / "share", out
        self.share.mkdir()
        self.ever: set[str] = set()
        self._films = 0

    def new_film(self, path: Path) -> None:
        self._films += 1
        path.write_bytes(hip_dicom("R", bone=1500 + 60 * self._films))
        os.utime(path, (1.7e9 + self._films, 1.7e9 + self._films))

    def screen(self, folder: Path | None = None, progress: Callable[[int, int], None] = lambda *_: None) -> list[str]:
        """Screen once; sorted, where the films of all results are now."""
        with drawn_screener() as screener:
            screen_folder(screener, folder or self.share, self.out, progress=progress)
        return self.look()

    def look(self) -> list[str]:
        """What stands in the results; fails if anything of `ever` does not."""
        lines = map(json.loads, (self.out / "results.jsonl").read_text().splitlines())
        found = {line["film_id"]: line["film_now"] for line in lines if line["status"] == "read"}
        assert self.ever <= found.keys()
        self.ever |= found.keys()
        return sorted(found.values())


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other accounts may enter, unlike those that pytest makes."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def evening(clinic: Clinic) -> None:
    for number in range(4):
        clinic.new_film(clinic.share / f"{number}.dcm")
    assert clinic.screen() == ["there"] * 4


def share_lost_and_back(clinic: Clinic) -> None:
    before = clinic.look()
    clinic.share.rename(clinic.place / "away")
    clinic.share.mkdir()  # its mount point
    assert set(clinic.screen()) == {"missing"}
    clinic.share.rmdir()
    (clinic.place / "away").rename(clinic.share)
    assert clinic.screen() == before


def archived_and_a_second_folder(clinic: Clinic) -> None:
    (clinic.share / "0.dcm").unlink()
    assert clinic.screen().count("missing") == 1
    other = clinic.place / "other"
    other.mkdir()
    clinic.new_film(other / "1.dcm")  # a name that the first folder has
    for folder in (other, clinic.share):
        found = clinic.screen(folder)
        assert (found.count("missing"), set(found)) == (1, {"missing", "there"})


def upgraded(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    before = clinic.look()
    monkeypatch.setattr(screener_module, "__version__", "99")
    assert clinic.screen() == before
    monkeypatch.setattr(screening, "drawn_bundle", lambda: replace(drawn_bundle(), digest="cd" * 32))
    assert clinic.screen() == before


def emptied(clinic: Clinic) -> None:
    shutil.rmtree(clinic.share)
    clinic.share.mkdir()
    assert clinic.screen().count("there") == 1  # in the second folder, of which nobody knows more


def power_cut(clinic: Clinic, disk: power.Disk) -> None:
    """At the first of two new films; what the disk held then is all that the next run finds."""
    clinic.new_film(clinic.share / "cut-1.dcm")
    clinic.new_film(clinic.share / "cut-2.dcm")

    class Cut(Exception):
        pass

    def cut(done: int, total: int) -> None:
        if done == total - 1:
            with disk.after_power_cut() as left:
                shutil.copytree(left / "out", clinic.place / "left")
            raise Cut

    with pytest.raises(Cut):
        clinic.screen(progress=cut)
    shutil.rmtree(clinic.out)
    shutil.copytree(clinic.place / "left", clinic.out)
    clinic.look()
    counts: list[int] = []
    clinic.screen(progress=lambda done, _: counts.append(done))
    assert len(counts) == 2  # the one that was called finished is so


def disk_full(clinic: Clinic, disk: power.Disk) -> None:
    clinic.new_film(clinic.share / "full.dcm")
    with suppress(OSError), (disk.folder / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    with pytest.raises(OSError, match=r"No space|Input/output error"):  # by SQLite's choice of words
        clinic.screen()
    clinic.look()
    (disk.folder / "filler").unlink()
    known = len(clinic.ever)
    clinic.screen()
    assert len(clinic.ever) == known + 1


def second_account(clinic: Clinic) -> None:
    """One that may read the results, and later write them too."""
    before = (clinic.out / "results.jsonl").read_bytes()
    assert errno_as(NOBODY, clinic.screen) == errno.EACCES
    assert (clinic.out / "results.jsonl").read_bytes() == before
    for path in (clinic.out, *clinic.out.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    clinic.new_film(clinic.share / "theirs.dcm")
    known = len(clinic.ever)
    assert errno_as(NOBODY, clinic.screen) == 0
    clinic.look()
    assert len(clinic.ever) == known + 1
    clinic.screen()


def errno_as(user: int, call: Callable[[], object]) -> int:
    """Call something as another account: 0, the number of the OSError it ends with, or 255."""
    child = os.fork()
    if child == 0:
        code = 255
        try:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
            call()
            code = 0
        except OSError as error:
            code = error.errno or 255
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_night_ends_with_every_result_that_was_ever_written(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinic = Clinic(place, place / "out")
    evening(clinic)
    share_lost_and_back(clinic)
    archived_and_a_second_folder(clinic)
    upgraded(clinic, monkeypatch)
    emptied(clinic)
    assert len(clinic.ever) == 5


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_so_does_one_with_a_power_cut_a_full_disk_and_another_account(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "power").mkdir()
    with power.disk(place / "power") as disk:
        clinic = Clinic(place, disk.folder / "out")
        evening(clinic)
        power_cut(clinic, disk)
        share_lost_and_back(clinic)
        disk_full(clinic, disk)
        archived_and_a_second_folder(clinic)
        second_account(clinic)
        upgraded(clinic, monkeypatch)
        emptied(clinic)
        assert len(clinic.ever) == 9
