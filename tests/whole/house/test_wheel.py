"""What a wheel holds: the program and what it reads, and nothing of the checkout's measurements."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from calibration.study.assumptions import VALIDATION

ROOT = Path(__file__).parents[3]
MOST_MB = 20
"""Unpacked: most of it are the bundle (10) and the demo films (4); the rest of an installation is the libraries'."""

pytest.importorskip("hatchling", reason="hatchling builds the wheel")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Name and size of every file of the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return {one.filename: one.file_size for one in archive.infolist()}


def test_the_wheel_holds_what_the_program_reads(files: dict[str, int]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "*/data/*", "*.py", "*.j2", "*.css", "*.js", "*.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    packages = ("bmd_edge/", "trainer/", "calibration/", "export/")
    wanted = {name for name in tracked.stdout.split("\0") if name.startswith(packages) and "/results/" not in name}
    assert len(wanted) > 300
    assert wanted - files.keys() == set()


def test_the_wheel_is_small_and_holds_no_measurements_but_what_a_plan_reads(files: dict[str, int]) -> None:
    found = [name for name in files if "/results/" in name or name.endswith("README.md")]
    assert found == [VALIDATION.relative_to(ROOT).as_posix()]
    assert sum(files.values()) < MOST_MB * 1e6
