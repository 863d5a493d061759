"""Shells complete commands, options, bundles and recipes, those of the workshops too."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.cli.completion import bundles

ROOT = Path(__file__).parents[3]
CASES = {
    "bmd-edge scr": "screen",
    "bmd-edge screen --forget": "--forget-missing",
    "bmd-edge calibrate --tab": "--table",
    "bmd-edge phantom make --dic": "--dicom",
    "bmd-edge train mean": "mean_teacher",
    "bmd-edge info shelf": "shelf/phantom-9",
    "bmd-edge screen films --bundle shelf/ph": "shelf/phantom-9",
    "bmd-edge screen films --precision in": "int8",
}


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """The environment of a shell whose folder holds a bundle, with the command `bmd-edge`."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "bmd-edge"
    command.write_text(f"#!{sys.executable}\nfrom bmd_edge.cli.main import main\nmain()\n")
    command.chmod(0o755)
    (tmp_path / "shelf" / "phantom-9").mkdir(parents=True)
    (tmp_path / "shelf" / "phantom-9" / "manifest.json").touch()
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}


def said(place: dict[str, str], *command: str, **more: str) -> str:
    done = subprocess.run(command, env=place | more, cwd=place["HOME"], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


BASH = """
eval "$(_BMD_EDGE_COMPLETE=source_bash bmd-edge)"
while read -r -a COMP_WORDS; do
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMPREPLY=()
    "$(complete -p bmd-edge | sed 's/.*-F \\([^ ]*\\) .*/\\1/')" bmd-edge
    echo "${COMPREPLY[*]}"
done <<< "$LINES_TYPED"
"""


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_bash(place: dict[str, str]) -> None:
    found = said(place, "bash", "-c", BASH, LINES_TYPED="\n".join(CASES)).splitlines()
    assert dict(zip(CASES, found, strict=True)) == CASES


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_fish(place: dict[str, str]) -> None:
    lines = "; ".join(f"complete -C '{line}' | cut -f 1" for line in CASES)
    found = said(place, "fish", "-c", f"_BMD_EDGE_COMPLETE=source_fish bmd-edge | source; {lines}").splitlines()
    assert dict(zip(CASES, found, strict=True)) == CASES


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize("line", ["bmd-edge info shelf", "bmd-edge train mean"])
def test_what_zsh_and_fish_ask_for(place: dict[str, str], shell: str, line: str) -> None:
    asked = {"_BMD_EDGE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
    answer = said(place, "bmd-edge", _TYPER_COMPLETE_FISH_ACTION="get-args", **asked)
    assert CASES[line] in answer
    if "train" in line:
        assert "the estimate of the averaged weights" in " ".join(answer.split())  # what the recipe is


def test_bundles_are_found_in_this_folder_and_one_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b/one", "b/two", "c/d/e", "[x]"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").touch()
    monkeypatch.chdir(tmp_path)
    assert list(bundles("")) == ["[x]", "a", "b/one", "b/two"]
    assert list(bundles("b/t")) == ["b/two"]
    assert list(bundles("[")) == ["[x]"]
    assert list(bundles(f"{tmp_path}/c/")) == [f"{tmp_path}/c/d/e"]
