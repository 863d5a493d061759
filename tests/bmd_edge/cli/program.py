"""The command in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def program(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as its own process."""
    place = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    command = [sys.executable, "-m", "bmd_edge.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=place)
