import json
import os
import subprocess
import sys
from pathlib import Path

from export.bench import stages

ROOT = Path(__file__).parents[3]


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    place = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "140"}
    command = [sys.executable, "-m", "bmd_edge.cli.main", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=place)


def test_bench_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes((ROOT / "bmd_edge" / "data" / "demo" / "right_hip.dcm").read_bytes())
    done = program(tmp_path, "--rounds", 1, "--threads", 1, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    row = found["films"]["folder"]
    assert (row["n"], row["plain_films_per_s"], found["synthetic"]) == (1, None, False)
    assert list(row["stages"]) == list(stages.STAGES)
    assert all(seconds >= 0 for seconds in row["stages"].values())
    assert row["stages"]["finder"] > 0.001
    assert 50 < row["peak_rss_mb"] < 2000
    assert row["floor_films_per_s"] > 0


def test_bench_says_what_is_wrong(tmp_path: Path) -> None:
    empty = program(tmp_path)
    assert (empty.returncode, empty.stdout) == (2, "")
    assert "no folder with files to measure with" in empty.stderr
    assert program(tmp_path, "--against", "all").returncode == 2
