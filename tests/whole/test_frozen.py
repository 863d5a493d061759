"""A service that PyInstaller has frozen reads films, through workers too once it names a Python; a build takes minutes.

`BMD_EDGE_FROZEN=1 pytest tests/whole/test_frozen.py` where PyInstaller is installed.
"""

import faulthandler
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.bundles import tiny_bundle
from tests.support.screening import hip_dicom

ROOT = Path(__file__).parents[2]
SERVICE = """
import multiprocessing
import sys
from functools import partial
from pathlib import Path

from bmd_edge import Crew, open_bundle
from bmd_edge.screen.jobs import FilmJob
from bmd_edge.screen.screener import open_screener

def say(report):
    print(report.film_id, report.status, [hip.reason for hip in report.hips])

how, bundle, film, *python = sys.argv[1:]
if python:
    multiprocessing.set_executable(python[0])
if how == "screener":
    with open_bundle(bundle).screener(device="cpu") as screener:
        say(screener.read(Path(film)))
else:
    with Crew(partial(open_screener, bundle, device="cpu", threads=1), 1) as crew:
        for _, outcome in crew.examine([FilmJob(film.encode(), "film.dcm")]):
            say(outcome.report)
"""
NOT_NEEDED = ("torch", "scipy", "numba", "matplotlib", "onnx", "sklearn", "pytest", "trainer", "export", "calibration")

pytestmark = [
    pytest.mark.skipif(
        not os.environ.get("BMD_EDGE_FROZEN") or not find_spec("PyInstaller"),
        reason="a build of minutes: set BMD_EDGE_FROZEN, and install PyInstaller",
    ),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    faulthandler.cancel_dump_traceback_later()  # it ends the run of any other test that takes as long
    folder = tmp_path_factory.mktemp("service")
    (folder / "service.py").write_text(SERVICE)
    options = ["--onedir", "--noconfirm", "--paths", ROOT, "--collect-data", "bmd_edge"]
    options += ["--collect-submodules", "imagecodecs"]
    options += [word for name in NOT_NEEDED for word in ("--exclude-module", name)]
    command = [sys.executable, "-m", "PyInstaller", *options, "service.py"]
    place = {**os.environ, "PYTHONPATH": str(ROOT)}  # the data of this checkout
    done = subprocess.run(list(map(str, command)), env=place, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "dist" / "service" / "service"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A bundle and a film."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "film.dcm").write_bytes(hip_dicom("R"))
    return tiny_bundle(folder / "tiny").root, folder / "film.dcm"


@pytest.fixture(scope="module")
def answer(work: tuple[Path, Path]) -> str:
    """What the service says where nothing is frozen."""
    command = [sys.executable, "-c", SERVICE, "screener", *map(str, work)]
    place = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=place, capture_output=True, text=True, check=True).stdout


def run(service: Path, *words: object) -> subprocess.CompletedProcess[str]:
    place = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [service, *map(str, words)]
    return subprocess.run(command, env=place, cwd=service.parent, capture_output=True, text=True, timeout=600)


def test_it_reads_in_its_own_process(service: Path, work: tuple[Path, Path], answer: str) -> None:
    done = run(service, "screener", *work)
    assert (done.stdout, done.returncode) == (answer, 0), done.stderr


def test_its_crew_says_what_to_do_and_does_not_start_it_again(service: Path, work: tuple[Path, Path]) -> None:
    done = run(service, "crew", *work)
    assert done.stdout == ""
    assert done.stderr.count("UsageError") == 1
    assert "is no Python interpreter: name a Python that has bmd_edge installed" in done.stderr


def test_its_crew_reads_with_a_python_beside_it(
    service: Path, work: tuple[Path, Path], answer: str, tmp_path: Path
) -> None:
    """That Python has libraries of its own, of another build than the frozen ones."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}:$PYTHONPATH" exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = run(service, "crew", *work, python)
    assert (done.stdout, done.returncode) == (answer, 0), done.stderr
