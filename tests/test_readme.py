"""What the README says can be done, can be done; what it shows comes from committed figures."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from export import readme

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^\$ (bmd-edge .+)$", PAGE, re.MULTILINE)))
TARGETS = sorted(set(re.findall(r"^\$ make (\w+)", PAGE, re.MULTILINE)))


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 4
    assert {"demo", "test", "screen"} <= set(TARGETS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_exists(command):
    words = command.split()[1:]
    depth = 2 if words[:2] in (["phantom", "check"], ["phantom", "score"]) else 1
    help_words = [*words[:depth], "--help"] if words[0] != "phantom" or depth == 2 else ["phantom", "make", "--help"]
    run = subprocess.run(
        [sys.executable, "-m", "bmd_edge.cli", *help_words], capture_output=True, text=True, check=True
    )
    for option in (word for word in words if word.startswith("--")):
        assert option in run.stdout, option


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_figures_are_those_of_the_committed_score():
    score = json.loads(readme.SCORE.read_text(encoding="utf-8"))
    assert readme.replaced(PAGE, "figures", readme.figures(score)) == PAGE


def test_the_committed_score_is_of_the_embedded_bundle():
    from bmd_edge.bundle import open_bundle

    assert json.loads(readme.SCORE.read_text(encoding="utf-8"))["bundle_digest"] == open_bundle().digest


def test_version_and_changelog_agree():
    from bmd_edge import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_notices_are_there():
    for words in ("Research use only", "synthetic", "Patent notice", "2022/0309651"):
        assert words in PAGE
