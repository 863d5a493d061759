"""Workers that can be lost: real processes that crash, hang and are killed; the run goes on and its results stay."""

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.errors import BundleError, EngineError, MissingExtra, UsageError
from bmd_edge.film.read import name_of
from bmd_edge.screen import workers
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import open_screener
from bmd_edge.screen.workers import Crew
from tests.support import films
from tests.support.screening import (
    CANARY,
    DETECTOR_MM,
    drawn,
    drawn_screener,
    faulty_screener,
    hip_dicom,
    no_screener,
    screener_without_a_server,
)

FILES = ("results.csv", "results.jsonl", "run.json", "report/index.html")


def folder_of(root: Path, *names: str) -> Path:
    folder = root / "films"
    folder.mkdir()
    for index, name in enumerate(names):
        (folder / f"{name}.dcm").write_bytes(hip_dicom("R", bone=1600 + 60 * index))
    return folder


def outcomes(crew: Crew, folder: Path) -> dict[str, tuple[str, str | None]]:
    tasks = [FilmJob(os.fsencode(path), path.stem) for path in sorted(folder.iterdir())]
    found = {task.file: outcome.report for task, outcome in crew.examine(tasks)}
    assert len(found) == len(tasks)
    return {file: (report.status, report.reason) for file, report in found.items()}


def children(pid: int) -> list[int]:
    return [int(entry) for entry in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive(pid: int) -> bool:
    return (stat := Path(f"/proc/{pid}/stat")).exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_crew_of_any_size_gives_what_one_process_gives(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *"abcdefgh")
    (folder / "text.dcm").write_text("text")
    (folder / "link.dcm").symlink_to(folder / "a.dcm")
    with drawn_screener() as screener:
        screen_folder(screener, folder, tmp_path / "alone")
    for threads in (1, 3):
        out = tmp_path / f"crew{threads}"
        with Crew(drawn_screener, threads) as crew:
            screen_folder(crew, folder, out)
        for name in FILES:
            assert (out / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_a_film_that_ends_its_worker_fails_alone(tmp_path: Path, caplog) -> None:
    folder = folder_of(tmp_path, "a", "crash1", "b", "crash2", "c", "once", "d")
    with caplog.at_level(logging.WARNING), Crew(faulty_screener, 2) as crew:
        found = outcomes(crew, folder)
        lost = crew.setup.failed
    assert found == {
        "crash1": ("failed", "worker_lost"), "crash2": ("failed", "worker_lost"), "once": ("read", None),
        **{name: ("read", None) for name in "abcd"},
    }  # fmt: skip
    assert caplog.text.count("SIGSEGV") == 5
    assert (lost.bundle, lost.device) == ("test", "function")


def read_by(crew: Crew, jobs: list[FilmJob]) -> dict[str, str | None]:
    return {job.file: outcome.report.film_id for job, outcome in crew.examine(jobs)}


def test_answers_of_a_loop_that_was_left_go_to_no_other_film(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *"abcdef")
    jobs = [FilmJob(os.fsencode(path), path.stem) for path in sorted(folder.iterdir())]
    names = {job.file: name_of(job.source) for job in jobs}
    with Crew(drawn_screener, 2) as crew:
        for _ in crew.examine(jobs):
            break
        assert read_by(crew, jobs[::-1]) == names
        for _ in crew.film_ids(jobs):
            break
        assert read_by(crew, jobs[::-1]) == names
        with suppress(OSError):
            for _ in crew.examine(jobs):
                raise OSError("what the loop does with an outcome fails")
        assert dict((job.file, name) for job, name in crew.film_ids(jobs[::-1])) == names


def test_a_crew_has_one_caller(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *"abc")
    jobs = [FilmJob(os.fsencode(path), path.stem) for path in sorted(folder.iterdir())]
    names = {job.file: name_of(job.source) for job in jobs}
    with Crew(drawn_screener, 1) as crew:
        begun = crew.examine(jobs)
        first = next(begun)
        for other in (crew.examine(jobs), crew.film_ids(jobs)):
            with pytest.raises(UsageError, match="one caller at a time"):
                next(other)
        assert {job.file: outcome.report.film_id for job, outcome in [first, *begun]} == names
        assert read_by(crew, jobs) == names


def test_a_closed_crew_starts_no_worker(tmp_path: Path) -> None:
    jobs = [FilmJob(os.fsencode(path), path.stem) for path in folder_of(tmp_path, *"ab").iterdir()]
    with Crew(drawn_screener, 1) as crew:
        begun = crew.examine(jobs)
        next(begun)
        crew.close()
        with pytest.raises(EngineError, match="closed"):
            list(begun)
    for examined in (crew.examine(jobs), crew.film_ids(jobs)):
        with pytest.raises(EngineError, match="closed"):
            next(examined)
    assert crew.pids == (0,)


def test_a_worker_loads_neither_the_pages_nor_a_second_reader(tmp_path: Path, monkeypatch, capfd) -> None:
    """What each of many processes must hold is what one film takes; Python itself tells what the worker imports."""
    folder = folder_of(tmp_path, "a")
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with Crew(partial(open_screener, None), 1) as crew:
        assert outcomes(crew, folder)["a"][0] != "failed"
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}
    assert {"bmd_edge", "numpy", "imagecodecs"} <= loaded
    assert not loaded & {"jinja2", "pydicom", "requests", "rich", "typer", "torch", "onnx", "scipy"}


def test_the_screener_needs_no_pydicom_until_a_data_set_is_handed_in() -> None:
    code = """
import sys
from bmd_edge.screen.screener import open_screener
from bmd_edge.film.read import read_film
try:
    read_film(b"text")
except Exception:
    pass
before = {"jinja2", "pydicom"} & set(sys.modules)
import io, pydicom
from tests.support import films
print(before, read_film(pydicom.dcmread(io.BytesIO(films.dicom_bytes()))).view)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["set()", "AP"]


def test_a_lost_film_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "crash")
    path = folder / "crash.dcm"
    with Crew(faulty_screener, 1) as crew:
        ((_, outcome),) = crew.examine([FilmJob(os.fsencode(path), "crash.dcm")])
    assert (outcome.report.file, outcome.report.film_id) == ("crash.dcm", name_of(path))
    assert outcome.picture is None
    assert name_of(folder / "no.dcm") is None


def test_a_film_that_never_ends_is_given_up(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a", "b", "hang", "slow")
    with Crew(faulty_screener, 2, seconds=1.5) as crew:
        assert outcomes(crew, folder) == {
            "a": ("read", None), "b": ("read", None), "slow": ("read", None), "hang": ("failed", "worker_lost"),
        }  # fmt: skip


def test_a_film_whose_read_never_returns_is_given_up_and_the_owner_does_not_touch_it(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a", "gone", "b")
    opened: list[object] = []
    sys.addaudithook(lambda event, facts: opened.append(facts[0]) if event == "open" else None)
    with Crew(screener_without_a_server, 2, seconds=3) as crew:
        assert outcomes(crew, folder) == {"a": ("read", None), "b": ("read", None), "gone": ("failed", "worker_lost")}
        jobs = [FilmJob(os.fsencode(path), path.stem) for path in sorted(folder.iterdir())]
        names = {task.file: name for task, name in crew.film_ids(jobs)}
    assert names == {"a": name_of(jobs[0].source), "b": name_of(jobs[1].source), "gone": None}
    assert not [name for name in opened if os.fsdecode(str(name)).endswith("gone.dcm")]


def test_a_worker_that_does_not_hear_its_alarm_is_given_up_by_the_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a library blocks signals, or a dead file server keeps them from a process."""
    monkeypatch.setattr(workers, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(workers, "START_SECONDS", 10.0)
    folder = folder_of(tmp_path, "a", "b", "deaf")
    with Crew(faulty_screener, 2, seconds=1.5) as crew:
        assert outcomes(crew, folder) == {"a": ("read", None), "b": ("read", None), "deaf": ("failed", "worker_lost")}


def test_a_worker_killed_while_idle_is_replaced(tmp_path: Path) -> None:
    folder, others = folder_of(tmp_path, "a", "b"), set(children(os.getpid()))  # multiprocessing's tracker, say
    with Crew(drawn_screener, 2) as crew:
        assert set(outcomes(crew, folder).values()) == {("read", None)}
        for pid in set(children(os.getpid())) - others:
            os.kill(pid, signal.SIGKILL)
        assert set(outcomes(crew, folder).values()) == {("read", None)}


@pytest.mark.parametrize(
    "error", [BundleError("no bundle here"), MissingExtra("onnxruntime", "cpu"), EngineError("no such device")]
)
def test_what_the_opener_says_reaches_the_owner(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error).partition(":")[0]):
        Crew(partial(no_screener, error), 2)


def test_a_worker_that_cannot_start_is_an_error(capfd) -> None:
    with pytest.raises(EngineError, match="could not start: exit status 1"):
        Crew(partial(no_screener, ValueError("not foreseen")), 1)
    assert "not foreseen" in capfd.readouterr().err


def test_no_worker_outlives_its_crew(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, *"abcd")
    before = set(children(os.getpid()))
    with Crew(drawn_screener, 2) as crew:
        mine = set(children(os.getpid())) - before
        stream = crew.examine(FilmJob(os.fsencode(path), path.stem) for path in folder.iterdir())
        next(stream)
    assert len(mine) == 2
    assert not any(alive(pid) for pid in mine)


OWNER = """
import os, sys
from functools import partial
from pathlib import Path
from bmd_edge.screen.workers import Crew
from bmd_edge.screen.jobs import FilmJob
from tests.support.screening import faulty_screener
with Crew(faulty_screener, 2, seconds=3) as crew:
    print("ready", flush=True)
    list(crew.examine(FilmJob(os.fsencode(path), path.stem) for path in Path(sys.argv[1]).iterdir()))
"""


def test_workers_end_when_their_owner_is_killed_even_at_a_film_that_hangs(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "hang", "a")
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    with subprocess.Popen([sys.executable, "-c", OWNER, folder], stdout=subprocess.PIPE, env=place) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        time.sleep(0.5)
        workers = children(owner.pid)
        owner.kill()
    assert len(workers) == 2
    until = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(alive, workers))


def test_log_records_of_workers_reach_the_owner_without_a_patient(tmp_path: Path, caplog) -> None:
    folder = folder_of(tmp_path, "crash")
    with caplog.at_level(logging.DEBUG), Crew(faulty_screener, 1) as crew:
        outcomes(crew, folder)
    assert "replaced" in caplog.text
    assert CANARY not in caplog.text
    assert "crash.dcm" not in caplog.text


def test_a_film_that_needs_more_than_its_share_is_read_alone_or_fails(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    hip = drawn("R", 2400, "")
    for name, times, down in (("small", 1, 1), ("large", 11, 1), ("huge", 11, 3)):
        frame = np.kron(np.tile(hip, (down, 1)), np.ones((times, times), hip.dtype))
        spacing = [f"{DETECTOR_MM / times:.6g}"] * 2
        (folder / f"{name}.dcm").write_bytes(films.dicom_bytes(frame, films.RLE, ImagerPixelSpacing=spacing))
    with Crew(drawn_screener, 2, 800) as crew:
        found = outcomes(crew, folder)
    assert found["huge"] == ("failed", "out_of_memory")
    assert found["small"] == found["large"] == ("read", None)
    with drawn_screener() as screener:
        screener.most_bytes = 100 << 20
        assert screener.read(folder / "large.dcm").reason == "out_of_memory"
        screener.most_bytes = 1000
        assert screener.read(folder / "small.dcm").reason == "out_of_memory"
