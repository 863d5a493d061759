"""`bmd-edge compile` and `screen` in processes of their own, with a stand-in for TensorRT."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.bundle.bundle import VerifiedBundle
from tests.support.bundles import tiny_bundle
from tests.support.toolkit import install

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "b")


def program(tmp_path: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """bmd-edge in a process of its own, where the stand-in is what `import tensorrt` finds."""
    if not (tmp_path / "modules").exists():
        install(tmp_path / "modules")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "modules"), str(ROOT)]),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "bmd_edge.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_screen_ends_with_4_until_compile_has_run(bundle: VerifiedBundle, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    screen = ("screen", tmp_path / "films", "--bundle", bundle.root, "--device", "tensorrt", "--out", tmp_path / "out")
    done = program(tmp_path, *screen)
    assert done.returncode == 4, done.stderr
    assert "bmd-edge compile BUNDLE --device tensorrt" in done.stderr
    assert not (tmp_path / "cache").exists()  # screening never builds
    done = program(tmp_path, "compile", bundle.root, "--device", "tensorrt")
    assert done.returncode == 0, done.stderr
    assert "bmd int8: built (no engine was compiled for this network)" in done.stdout
    assert "Building ..." in done.stderr
    done = program(tmp_path, *screen)
    assert done.returncode == 3, done.stderr  # it runs, and says that the folder is empty
    for path in (tmp_path / "cache").rglob("*.engine"):
        path.write_bytes(path.read_bytes() + b"x")
    done = program(tmp_path, *screen)
    assert (done.returncode, "edited" in done.stderr) == (4, True)
    assert "built (the compiled engine or its sidecar was edited" in program(tmp_path, "compile", bundle.root).stdout


def test_other_devices_are_not_compiled_for(bundle: VerifiedBundle, tmp_path: Path) -> None:
    done = program(tmp_path, "compile", bundle.root, "--device", "cpu")
    assert (done.returncode, "need no compiling" in done.stderr) == (2, True)
