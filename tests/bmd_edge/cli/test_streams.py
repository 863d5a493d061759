"""A reader that goes away is no error, and a full disk is one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def ended(streams: list[str], *arguments: object) -> tuple[int, str]:
    """Exit code and stderr of the program, whose `streams` nobody reads."""
    pipe, gone = os.pipe()
    os.close(pipe)
    kept = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        command = [sys.executable, "-m", "bmd_edge", *map(str, arguments)]
        done = subprocess.run(command, **kept | dict.fromkeys(streams, gone), text=True, env=ENVIRONMENT)
    finally:
        os.close(gone)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize("command", ["schema", "info", "--help", "--version"])
def test_a_reader_that_has_seen_enough_is_no_error(command: str) -> None:
    assert ended(["stdout"], command) == (0, "")


@pytest.mark.parametrize("gone", [["stdout"], ["stderr"], ["stdout", "stderr"]], ids="-".join)
@pytest.mark.parametrize("option", [[], ["--json"], ["--dry-run"]], ids="".join)
def test_a_run_ends_as_it_would_have(
    gone: list[str], option: list[str], bundle: Path, films: Path, tmp_path: Path
) -> None:
    (films / "notes.txt").write_text("no film")
    code, said = ended(gone, "screen", films, "--bundle", bundle, "--out", tmp_path / "out", "--threads", 1, *option)
    assert code == (0 if "--dry-run" in option else 3), said
    assert "rror" not in said
    if "--dry-run" not in option:
        assert len((tmp_path / "out/results.jsonl").read_text().splitlines()) == 3


def test_errors_keep_their_code_where_nobody_reads_them(tmp_path: Path) -> None:
    assert ended(["stdout", "stderr"], "screen", tmp_path / "none") == (2, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("command", ["schema", "info", "--version"])
def test_output_that_finds_no_space_is_one_line(command: str) -> None:
    with open("/dev/full", "w") as full:
        program = [sys.executable, "-m", "bmd_edge", command]
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert done.returncode == 1
    assert done.stderr.startswith("bmd-edge: No space left on device: ")
    assert len(done.stderr.splitlines()) == 1
