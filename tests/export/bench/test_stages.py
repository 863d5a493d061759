"""The benchmark measures the real line on sound films, and says what it measured."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import MissingExtra
from bmd_edge.screen import screener
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.screener import open_screener
from export.bench import stages

ROOT = Path(__file__).parents[3]


def test_written_films_are_shared_out_among_the_syntaxes(small, tmp_path: Path) -> None:
    stages.write_films(tmp_path / "films", ["rle", "jpeg_ls"], 4, 12)
    names = sorted(path.name for path in (tmp_path / "films").iterdir())
    assert names == [f"{number:05d}.dcm" for number in range(12)]


def test_figures_are_medians_and_ratios_within_a_turn() -> None:
    def turn(speed: float, cost: float, plain: float) -> dict:
        spent = dict.fromkeys(stages.STAGES, cost / len(stages.STAGES))
        parts = {"stages": spent, "films_per_s": speed, "peak_rss_mb": speed, "n": 9}
        return parts | {"plain": {"films_per_s": plain, "decoder": "gdcm"}}

    found = stages._figures([turn(10, 0.1, 1), turn(30, 0.05, 2), turn(12, 0.1, 4)], workers=2)
    assert (found["films_per_s"], found["floor_films_per_s"]) == (12, 20)
    assert (found["ratio_to_floor"], found["ratio_to_plain"]) == (0.6, 10)
    assert (found["peak_rss_mb"], found["plain_decoder"], found["n"]) == (30, "gdcm", 9)
    assert sum(found["stages"].values()) == pytest.approx(0.1)


def test_the_start_names_the_bundle(small) -> None:
    found = stages.cold(None, lambda _: None, times=1)
    assert found["n"] == 1
    assert found["bundle_digest"] == read_bundle().digest


def test_memory_of_a_process_and_its_children() -> None:
    resident, proportional = stages._tree_mb(os.getpid())
    assert 10 < proportional <= resident
    with subprocess.Popen([sys.executable, "-c", "x = b'1' * 60_000_000; input()"], stdin=subprocess.PIPE) as child:
        while stages._tree_mb(child.pid)[0] < 60:
            assert child.poll() is None
        assert stages._tree_mb(os.getpid())[0] > resident + 50
        child.communicate(b"\n")
    assert stages._tree_mb(child.pid) == (0, 0)


@pytest.fixture
def two_films(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    for name in ("pelvis.dcm", "right_hip.dcm"):
        shutil.copy(ROOT / "bmd_edge" / "data" / "demo" / name, folder)
    return folder


def test_every_stage_gets_its_time_and_nothing_is_replaced(two_films: Path) -> None:
    before = dict(vars(screener))
    found = stages.stages(two_films, None)
    assert vars(screener) == before
    assert list(found) == list(stages.STAGES)
    assert all(seconds > 0 for seconds in found.values()), found


def test_the_numbers_are_the_same_with_a_clock(two_films: Path) -> None:
    jobs = [FilmJob(os.fsencode(path), path.name) for path in sorted(two_films.iterdir())]
    clock = stages.Clock()
    with (
        open_screener(None, device="cpu", threads=1) as plain,
        open_screener(None, device="cpu", threads=1, stages=clock) as timed,
    ):
        assert plain.settings_digest == timed.settings_digest
        assert list(plain.examine(jobs)) == list(timed.examine(jobs))
    assert all(clock.spent[name] > 0 for name in ("read", "decode", "finder", "crop", "bmd", "picture"))


def test_the_plain_loop_names_the_extra_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingExtra, match=r"torch.*train,export,dev"):
        stages._apart(stages.plain_loop, tmp_path, None, one_thread=False)


def threads_of(_folder: Path, _bundle: Path | None) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def test_one_thread_holds_for_the_process_that_measures_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    assert stages._apart(threads_of, tmp_path, None, one_thread=True) == "1"
    assert stages._apart(threads_of, tmp_path, None, one_thread=False) == "7"
    assert "OPENBLAS_NUM_THREADS" not in os.environ
