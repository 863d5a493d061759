"""Where workers get their Python from: a real one, a frozen program, none, and streams that are closed."""

import multiprocessing
import os
import subprocess
import sys
from multiprocessing.spawn import get_executable
from pathlib import Path

import pytest

from bmd_edge.errors import EngineError
from bmd_edge.screen import workers
from bmd_edge.screen.workers import Crew
from tests.support.screening import drawn_screener, hip_dicom


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
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(hip_dicom("R", bone=1600))
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
