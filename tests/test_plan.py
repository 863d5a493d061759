"""Looking at a folder: what is finished, moved or still being copied; one run at a time; local disks only."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from screening import drawn_screener, hip_dicom
from test_screen import Counting, contents

from bmd_edge.errors import UsageError
from bmd_edge.report.film_report import RunSummary
from bmd_edge.screen import folder_plan, run_lock
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.run_lock import check_local, file_system, hold
from bmd_edge.screen.screener import Screener

LONG_AGO = 1_700_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "films").mkdir()
    for index, name in enumerate("abc"):
        path = tmp_path / "films" / f"{name}.dcm"
        path.write_bytes(hip_dicom("R", bone=1700 + 80 * index))
        os.utime(path, (LONG_AGO + index, LONG_AGO + index))
    return tmp_path / "films"


def run(folder: Path, out: Path) -> tuple[RunSummary, list[str]]:
    """Screen a folder; returns the summary and the names of the films that were read."""
    with Counting() as screener:
        summary = screen_folder(screener, folder, out)
        return summary, sorted(screener.names)


# -- finished and moved films ---------------------------------------------------------------------------------------


def test_a_moved_film_is_not_read_again(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out")
    (folder / "day").mkdir()
    (folder / "a.dcm").rename(folder / "day" / "new name.dcm")
    os.link(folder / "b.dcm", folder / "copy.dcm")
    summary, names = run(folder, tmp_path / "out")
    assert names == []
    assert summary.films["read"] == 4
    run(folder, tmp_path / "undisturbed")
    assert contents(tmp_path / "out") == contents(tmp_path / "undisturbed")


def test_another_film_of_the_same_size_and_time_is_read(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out")
    other = hip_dicom("R", bone=2300)
    assert len(other) == (folder / "a.dcm").stat().st_size
    (folder / "a.dcm").unlink()
    (folder / "z.dcm").write_bytes(other)
    os.utime(folder / "z.dcm", (LONG_AGO, LONG_AGO))
    assert run(folder, tmp_path / "out")[1] == ["z.dcm"]


def test_what_has_not_changed_is_not_written_again(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def times() -> dict[str, int]:
        files = (path for path in out.rglob("*") if path.suffix in (".csv", ".jsonl", ".json", ".html"))
        return {path.name: path.stat().st_mtime_ns for path in files}

    first, _ = run(folder, out)
    before = times()
    again, names = run(folder, out)
    assert (again, names, times()) == (first, [], before)
    (out / "results.jsonl").unlink()
    run(folder, out)
    assert set(times()) == set(before)
    assert times() != before


def test_committed_figure_of_a_hundred_thousand_films() -> None:
    figures = json.loads((Path(__file__).parent / "results" / "recheck.json").read_text(encoding="utf-8"))
    assert figures["n"] == 100_000
    assert figures["recheck_s"] < 30
    page = (Path(__file__).parents[1] / "bmd_edge" / "README.md").read_text(encoding="utf-8")
    assert f"100,000 finished films finished in {figures['recheck_s']} s" in page


def test_a_folder_deeper_than_any_path_may_be(tmp_path: Path) -> None:
    """Made step by step: its path is longer than the system lets one write."""
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=here)
        here, above = os.open("deep", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    items = folder_plan.plan(tmp_path, {})
    assert [(item.action, item.reason) for item in items] == [("refuse", "file_unreadable")]
    subprocess.run(["rm", "-rf", tmp_path / "deep"], check=True)


# -- half-copied films ----------------------------------------------------------------------------------------------


def test_a_file_that_grows_is_left_for_the_next_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hip_dicom("L")
    path = folder / "growing.dcm"
    path.write_bytes(whole[:5000])
    monkeypatch.setattr(folder_plan, "SETTLE_S", 0.4)

    done = threading.Event()

    def copy() -> None:
        with path.open("ab") as file:
            while not done.wait(0.005):
                file.write(bytes(100))
                file.flush()

    copying = threading.Thread(target=copy)
    copying.start()
    summary, names = run(folder, tmp_path / "out")
    done.set()
    copying.join()
    path.write_bytes(whole)
    assert names == ["a.dcm", "b.dcm", "c.dcm"]
    assert (summary.left, summary.complete, summary.films["read"]) == (1, False, 3)
    assert b"growing" not in b"".join(contents(tmp_path / "out").values())
    summary, names = run(folder, tmp_path / "out")
    assert (names, summary.left, summary.films["read"]) == (["growing.dcm"], 0, 4)


class Late(Screener):
    """Whose films change while they are read."""

    def load(self, source):
        loaded = super().load(source)
        if Path(source).name == "b.dcm":
            os.utime(source, (LONG_AGO + 99, LONG_AGO + 99))
        return loaded


def test_a_file_that_changes_while_it_is_read_is_left_and_its_old_row_goes(folder: Path, tmp_path: Path) -> None:
    run(folder, tmp_path / "out")
    (folder / "b.dcm").write_bytes(hip_dicom("L"))
    with drawn_screener() as parts:
        engines = {"finder": parts._finder, "bmd": parts._bmd}
        with Late(parts.bundle, engines=engines) as screener:
            summary = screen_folder(screener, folder, tmp_path / "out")
    assert (summary.left, summary.films["read"]) == (1, 2)
    assert "b.dcm" not in (tmp_path / "out" / "results.csv").read_text()
    assert run(folder, tmp_path / "out")[1] == ["b.dcm"]


def test_a_file_that_goes_while_it_is_waited_for_is_left(folder: Path, tmp_path: Path) -> None:
    items = folder_plan.plan(folder, {})
    (folder / "b.dcm").unlink()
    assert [item.file for item in folder_plan.settled(folder, items)] == ["a.dcm", "c.dcm"]


def test_only_young_files_are_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(folder_plan, "SETTLE_S", 30.0)
    monkeypatch.setattr(folder_plan.time, "sleep", waited.append)
    items = folder_plan.plan(folder, {})
    assert len(list(folder_plan.settled(folder, items))) == 3
    assert waited == []
    (folder / "a.dcm").touch()
    items = folder_plan.plan(folder, {})
    assert [item.file for item in folder_plan.settled(folder, items)] == ["b.dcm", "c.dcm", "a.dcm"]
    assert waited == [pytest.approx(30, abs=5)]


# -- one run at a time ----------------------------------------------------------------------------------------------


def test_a_second_run_is_refused_and_names_the_first(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with hold(out), pytest.raises(UsageError, match=rf"process {os.getpid()}\)"):
        run(folder, out)
    assert run(folder, out)[0].films["read"] == 3


def test_the_command_ends_with_2_while_another_process_holds_the_folder(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = "import sys, time; from pathlib import Path; from bmd_edge.screen.run_lock import hold\n"
    code += "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    command = [sys.executable, "-m", "bmd_edge.cli.main", "screen", folder, "--out", out, "--threads", "1"]
    with subprocess.Popen([sys.executable, "-c", code, out], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 2
        assert f"another run (process {holder.pid}) writes to this --out" in done.stderr
        assert not (out / "ledger.sqlite").exists()
        holder.kill()  # the lock goes with the process, however it ends
    assert run(folder, out)[0].films["read"] == 3


# -- where the results may lie --------------------------------------------------------------------------------------

MOUNTS = """\
22 1 0:1 / / rw,relatime - ext4 /dev/vda rw
30 22 0:2 / /srv rw shared:1 - xfs /dev/vdb rw
31 30 0:3 / /srv/films\\040and\\040more ro,nosuid - nfs4 server:/films rw,vers=4.2
32 22 0:4 / /mnt/pacs rw - cifs //pacs/films rw
33 22 0:5 / /mnt/both rw - ext4 /dev/vdc rw
34 22 0:6 / /mnt/both rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/x", "ext4"), ("/srv/films and more/a/b", "nfs4"), ("/srv/filmsx", "xfs"), ("/mnt/pacs", "cifs"),
     ("/mnt/both/x", "fuse.sshfs")],
)  # fmt: skip
def test_file_systems_are_told_apart(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTS) == kind


def test_results_on_a_network_file_system_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = file_system(tmp_path, Path("/proc/self/mountinfo").read_text())
    assert re.fullmatch("[a-z0-9.]+", kind or "")
    check_local(tmp_path)
    monkeypatch.setattr(run_lock, "NETWORK_FILE_SYSTEMS", {kind})
    with pytest.raises(UsageError, match=rf"network file system \({kind}\): give a folder on a disk"):
        run(folder, tmp_path / "out")
