"""Shells complete commands, options, bundles and recipes, those of the workshops too, once they were told to."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bmd_edge.cli.completion import bundles

ROOT = Path(__file__).parents[3]
CASES = {
    "bmd-edge scr": "screen",
    "bmd-edge screen --forget-m": "--forget-missing",
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
    rest = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ZDOTDIR"))}
    return {**rest, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}


def said(place: dict[str, str], *command: str, **more: str) -> str:
    done = subprocess.run(command, env=place | more, cwd=place["HOME"], capture_output=True, text=True)
    assert done.stderr == ""
    return done.stdout


def installed(place: dict[str, str], shell: str) -> None:
    """Completion as its users set it up, from within their shell."""
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here: what it completes was not tried")
    install = "bmd-edge --install-completion; true"  # a last command would take the shell's place, unseen
    assert f"{shell} completion installed" in said(place, shell, "-c", install)


def typed(place: dict[str, str], *shell: str, ready: str) -> list[str]:
    """The lines of CASES in a terminal, each after a tab; Ctrl-X is bound to show the line as the shell has it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place["HOME"])
        os.execvpe(shell[0], shell, place | {"TERM": "dumb"})
    try:
        os.write(terminal, f"{ready}\n".encode())
        until(terminal, b"<ready>")
        found = []
        for line in CASES:
            os.write(terminal, f"{line}\t\x18".encode())
            found.append(until(terminal, b"<line:(.*?)>")[1].decode().strip())
        return found
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def until(terminal: int, pattern: bytes) -> re.Match[bytes]:
    """What the terminal shows, once the pattern is in it; the test's own time limit ends the wait."""
    shown = b""
    while not (found := re.search(pattern, shown)):
        shown += os.read(terminal, 4096)
    return found


def completed() -> list[str]:
    return [f"{line.rpartition(' ')[0]} {word}" for line, word in CASES.items()]


def test_bash(place: dict[str, str]) -> None:
    installed(place, "bash")
    show = r"""bind -x '"\C-x": printf "<line:%s>" "$READLINE_LINE"; READLINE_LINE=; READLINE_POINT=0'"""
    assert typed(place, "bash", "-i", ready=rf"{show}; printf '<%s>' ready") == completed()


def test_zsh(place: dict[str, str]) -> None:
    installed(place, "zsh")
    show = r"""show() { printf '<line:%s>' "$BUFFER"; BUFFER= }; zle -N show; bindkey '^X' show"""
    assert typed(place, "zsh", "-i", ready=rf"{show}; printf '<%s>' ready") == completed()


def test_fish(place: dict[str, str]) -> None:
    """By its own engine of completion, which loads what was installed; its editor wants a terminal that answers."""
    installed(place, "fish")
    lines = "; ".join(f"complete -C '{line}' | cut -f 1" for line in CASES)
    assert dict(zip(CASES, said(place, "fish", "-c", lines).splitlines(), strict=True)) == CASES


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


@pytest.mark.parametrize("name", [r"a\$(touch b)", r"a\`touch b`", 'a"', "a'", "a\n", "a;b", "a$b", "a*"])
def test_a_folder_whose_name_a_shell_could_run_is_not_offered(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in (name, "a b"):
        (tmp_path / one).mkdir()
        (tmp_path / one / "manifest.json").touch()
    monkeypatch.chdir(tmp_path)
    assert list(bundles("")) == ["a b"]
