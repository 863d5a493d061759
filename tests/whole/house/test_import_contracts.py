"""Who may import whom, and what the help must not load."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HEAVY = {"torch", "onnxruntime", "onnx", "pydicom", "numpy", "PIL", "scipy", "numba", "jinja2", "ray"}
HEAVY |= {"trainer", "export"}
LOADED = """
import sys
sys.argv = ["bmd-edge", *{arguments}]
from bmd_edge.cli.main import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules, file=sys.stderr)
"""


def test_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["screen", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = LOADED.format(arguments=arguments)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert "bmd_edge" in loaded
    assert not loaded & HEAVY
    assert done.stdout.strip()


def test_the_runtime_never_loads_a_workshop() -> None:
    code = "import sys, bmd_edge.screen.run, bmd_edge.cli.terminal; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not loaded & {"torch", "onnx", "scipy", "numba", "trainer", "export", "calibration"}
