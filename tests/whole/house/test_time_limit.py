"""A test that hangs ends: by the project's own settings of pytest, with shorter times."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3] / "pyproject.toml"
WAITS = "import threading\ndef test_hangs():\n    threading.Event().wait()\ndef test_next():\n    pass\n"
DEAF = (
    "from collections import deque\nfrom itertools import repeat\ndef test_hangs():\n    deque(repeat(0), maxlen=0)\n"
)


def run(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Pytest on one file of tests in a folder of its own; everything but the two times is the project's."""
    settings = PROJECT.read_text(encoding="utf-8")
    for line, short in (("\ntimeout = 300\n", "\ntimeout = 2\n"), ("_timeout = 600\n", "_timeout = 6\n")):
        assert settings.count(line) == 1
        settings = settings.replace(line, short)
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    (folder / "tests").mkdir()
    (folder / "tests/test_it.py").write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=200)


def test_a_test_that_waits_for_ever_fails_and_the_next_one_runs(tmp_path: Path) -> None:
    done = run(tmp_path, WAITS)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "Timeout (>2.0s)" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


def test_a_loop_that_hears_no_signal_ends_the_run_and_says_where(tmp_path: Path) -> None:
    done = run(tmp_path, DEAF)
    assert done.returncode != 0
    assert "test_it.py" in done.stderr
    assert "test_hangs" in done.stderr
