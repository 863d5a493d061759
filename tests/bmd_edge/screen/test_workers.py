"""Workers that can be lost: real processes that crash, hang and are killed; the run goes on and its results stay."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial
from multiprocessing.spawn import get_executable
from pathlib import Path

import numpy as np
import pytest

from bmd_edge.errors import BundleError, EngineError, MissingExtra, UsageError
from bmd_edge.film.read import name_of
from bmd_edge.screen import workers
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.run import screen_folder
from bmd_edge.screen.screener import open_screener
from bmd_edge.screen.workers import IDLE_BYTES, WORKER_BYTES, Crew, shares
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
    path = os.fsencode(folder / "crash.dcm")
    with Crew(faulty_screener, 1) as crew:
        ((_, outcome),) = crew.examine([FilmJob(path, "crash.dcm")])
    assert (outcome.report.file, outcome.report.film_id) == ("crash.dcm", name_of(path))
    assert outcome.picture is None
    assert name_of(path + b"no") is None


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
    assert names == {"a": name_of(jobs[0].path), "b": name_of(jobs[1].path), "gone": None}
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


def executable(path: Path, *words: object) -> str:
    path.write_text(f"#!/bin/sh\n{' '.join(map(str, words))}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def other_python():
    before = get_executable()
    yield multiprocessing.set_executable
    multiprocessing.set_executable(before)


def test_what_never_speaks_is_no_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other_python) -> None:
    monkeypatch.setattr(workers, "START_SECONDS", 1.0)
    other_python(executable(tmp_path / "service", "exec sleep 60"))
    with pytest.raises(EngineError, match=r"service does not start as a worker: name a Python.*set_executable"):
        Crew(drawn_screener, 1)
    (tmp_path / "service").chmod(0o644)
    for name in ("none", "service"):
        other_python(str(tmp_path / name))
        with pytest.raises(EngineError, match=rf"/{name} cannot be started \(.*\): name a Python.*set_executable"):
            Crew(drawn_screener, 1)


SERVICE = """
import multiprocessing, sys
from bmd_edge import Crew
from tests.support.screening import drawn_screener
print("start", file=open(sys.argv[2], "a"))
multiprocessing.set_executable(sys.argv[1])
with Crew(drawn_screener, 2) as crew:
    print(crew.setup.failed.bundle)
"""


def service(tmp_path: Path, code: str, *words: object) -> subprocess.CompletedProcess[str]:
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, env=place, capture_output=True, text=True, timeout=120)


def test_a_program_that_is_its_own_interpreter_does_not_start_itself_again_and_again(tmp_path: Path) -> None:
    """As an embedding program does that no `sys.frozen` gives away."""
    (tmp_path / "service.py").write_text(SERVICE)
    words = [sys.executable, tmp_path / "service.py", tmp_path / "service", tmp_path / "starts"]
    executable(tmp_path / "service", "exec", *words)
    done = service(tmp_path, SERVICE, tmp_path / "service", tmp_path / "starts")
    assert done.returncode == 1
    assert "started as a worker of itself" in done.stderr
    assert 2 <= (tmp_path / "starts").read_text().count("start") <= 3  # itself, and once for each worker


def test_a_frozen_program_says_what_to_do_and_takes_another_python(tmp_path: Path) -> None:
    frozen = SERVICE.replace("import multiprocessing, sys", "import sys; sys.frozen = True; import multiprocessing")
    done = service(tmp_path, frozen, sys.executable, tmp_path / "starts")
    assert "is no Python interpreter: name a Python that has bmd_edge installed" in done.stderr
    other = executable(tmp_path / "python", "exec", sys.executable, '"$@"')
    done = service(tmp_path, frozen, other, tmp_path / "starts")
    assert (done.stdout, done.returncode) == ("test\n", 0), done.stderr


def test_an_opener_that_no_worker_can_load_is_named(tmp_path: Path) -> None:
    code = "from bmd_edge import Crew\ndef opener(): pass\nCrew(opener, 1)"
    said = service(tmp_path, code).stderr.replace("bmd_edge.errors.", "")
    assert "UsageError: the opener cannot be loaded in a worker" in " ".join(said.split())


@pytest.mark.parametrize("closed", [(0,), (1,), (0, 1), (0, 1, 2)], ids=str)
def test_workers_start_where_the_standard_streams_are_closed(closed: tuple[int, ...], tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "a")
    code = f"""
import os, sys
from pathlib import Path
from bmd_edge import Crew
from bmd_edge.screen.run import screen_folder
from tests.support.screening import drawn_screener
with Crew(drawn_screener, 2) as crew:
    screen_folder(crew, Path({str(folder)!r}), Path({str(tmp_path / "out")!r}))
"""
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=place, preexec_fn=lambda: [os.close(one) for one in closed]
    )
    assert process.wait(60) == 0
    assert '"status": "read"' in (tmp_path / "out" / "results.jsonl").read_text()


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


def test_memory_sets_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bmd_edge.screen.workers.cpus", lambda: 8)
    monkeypatch.setattr("bmd_edge.screen.workers.memory_bytes", lambda: 64 << 30)
    assert shares(None, None) == (8, 8 * WORKER_BYTES)
    assert shares(2, None) == (2, 2 * WORKER_BYTES)
    assert shares(None, 800)[0] == 2
    assert shares(None, 250) == (1, IDLE_BYTES)
    with pytest.raises(UsageError, match="at least 250"):
        shares(None, 249)
    monkeypatch.setattr("bmd_edge.screen.workers.memory_bytes", lambda: 2 << 30)
    assert shares(None, None)[0] == 2


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
