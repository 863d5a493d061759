"""The runtime as one file, made by Python's zipapp: it reads films, or says what to do."""

import os
import shutil
import subprocess
import sys
import zipapp
from pathlib import Path

import pytest

from tests.support.bundles import tiny_bundle
from tests.support.screening import hip_dicom

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    for package in ("bmd_edge", "trainer", "calibration"):
        shutil.copytree(ROOT / package, folder / "in" / package, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    zipapp.create_archive(folder / "in", folder / "edge.pyz", main="bmd_edge.cli.main:main")
    shutil.rmtree(folder / "in")
    return folder / "edge.pyz"


def run(archive: Path, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The archive beside the installed libraries, but without the checkout on the path."""
    place = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | environment
    command = [sys.executable, archive.name, *map(str, arguments)]
    done = subprocess.run(command, cwd=archive.parent, env=place, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "unexpected" not in done.stderr
    return done


def test_an_archive_reads_films_through_workers_with_a_bundle_beside_it(archive: Path, tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny").root
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "right.dcm").write_bytes(hip_dicom("R"))
    words = ("--bundle", bundle, "--out", tmp_path / "out", "--threads", 1)
    done = run(archive, "screen", tmp_path / "films", *words)
    assert done.returncode in (0, 3), done.stderr
    assert len((tmp_path / "out/results.jsonl").read_text().splitlines()) == 1
    assert "worker_lost" not in (tmp_path / "out/results.jsonl").read_text()
    assert (tmp_path / "out/report/index.html").is_file()


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["info"], 4, "holds no bundle (a zipapp never does): give the folder of one"),
        (["demo"], 4, "holds no demo films"),
        (["train", "mse", "--print-config"], 2, "install bmd-edge with pip for this one"),
        (["validate"], 2, "install bmd-edge with pip for this one"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_an_archive_cannot_do_is_one_line(archive: Path, command: list[str], code: int, said: str) -> None:
    done = run(archive, *command)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
