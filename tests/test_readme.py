"""What the README says can be done, can be done; what it shows comes from committed figures."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bmd_edge
from bmd_edge.errors import MissingExtra
from export.readme import figures, speed

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(set(re.findall(r"^\$ (bmd-edge .+)$", PAGE, re.MULTILINE)))
EXAMPLES = re.findall(r"^```python\n(.+?)^```$", PAGE, re.MULTILINE | re.DOTALL)
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
        [sys.executable, "-m", "bmd_edge.cli.main", *help_words], capture_output=True, text=True, check=True
    )
    for option in (word for word in words if word.startswith("--")):
        assert option in run.stdout, option


@pytest.mark.parametrize("target", TARGETS)
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_figures_are_those_of_the_committed_score():
    score = json.loads(figures.SCORE.read_text(encoding="utf-8"))
    assert figures.replaced(PAGE, "figures", figures.figures(score)) == PAGE


def test_repeatability_is_that_of_the_committed_films():
    from bmd_edge.bundle.bundle import read_bundle

    facts = json.loads(figures.REPEAT.read_text(encoding="utf-8"))
    assert figures.replaced(PAGE, "repeatability", figures.repeatability(facts)) == PAGE
    assert facts["bundle_digest"] == read_bundle().digest
    assert (facts["n_subjects"], facts["poses"]) == (100, 4)


def test_agreement_is_that_of_the_committed_validation():
    facts = json.loads(figures.VALIDATION.read_text(encoding="utf-8"))
    assert figures.replaced(PAGE, "validation", figures.validation(facts)) == PAGE


def test_the_paper_table_is_that_of_the_committed_trainings(tmp_path):
    from trainer.paper_table.page import write_report
    from trainer.paper_table.units import Scale

    committed = json.loads(figures.TABLE.read_text(encoding="utf-8"))
    assert figures.replaced(PAGE, "table", figures.paper_table(committed)) == PAGE
    scale = Scale(committed["scale"]["budget"], committed["scale"]["seeds"])
    shutil.copytree(figures.TABLE.parent / "units", tmp_path / "units")
    assert json.loads(write_report(tmp_path, scale, committed["command"]).read_text()) == committed
    assert (tmp_path / "table.md").read_text() == figures.TABLE.with_name("table.md").read_text(encoding="utf-8")


def test_the_page_says_which_trainings_were_validated_alike():
    """Until every recipe of the table follows one rule, a lead may be the choice of the checkpoint."""
    every: dict[str, set[str]] = {}
    for path in (figures.TABLE.parent / "units").glob("*-*.json"):
        unit = json.loads(path.read_text(encoding="utf-8"))
        settings = tomllib.loads(unit["settings"])
        every.setdefault(f"{settings['task']} {settings['validate_every']}", set()).add(unit["recipe"])
    rivals = every["semi 1"]
    assert every == {"semi 5": {"full"}, "semi 1": rivals, "bmd 5": {"mse", "triplet", "adaptive_triplet"}}
    assert len(rivals) == 6
    words = " ".join(PAGE.split())
    assert "it alone was validated every fifth epoch, its six rivals after every one" in words
    assert "still validated after every epoch" in figures.TABLE.with_name("table.md").read_text(encoding="utf-8")


def test_nobody_is_told_to_install_from_an_index_what_is_on_none():
    """A name that nobody has registered belongs to whoever does so first: no page and no remedy may give it to pip."""
    named = re.compile(r"pip3? (install|download)[^\n]*?[ '\"]bmd[-_]edge(?!\S*\.whl)\b", re.IGNORECASE)
    assert named.search("pip install 'bmd-edge[cpu]'")
    assert named.search("$ pip install --upgrade bmd-edge")
    assert not named.search("pip install './bmd_edge-0.1.0-py3-none-any.whl[cpu]'")
    assert not named.search("pip install '.[cpu]' in a checkout of the project")
    kinds = ("*.py", "*.md", "*.j2", "*.toml", "Makefile")
    folders = ("bmd_edge", "calibration", "export", "trainer")
    pages = [page for one in folders for kind in kinds for page in (ROOT / one).rglob(kind)]
    pages += [page for kind in kinds for page in ROOT.glob(kind)]
    assert len(pages) > 150
    said = [MissingExtra("torch", "train").args[0], *(page.read_text(encoding="utf-8") for page in pages)]
    lines = [line for text in said for line in text.replace("in a checkout of bmd-edge", "").splitlines()]
    assert not [line for line in lines if named.search(line)]


def test_throughput_is_that_of_the_committed_measurements():
    assert figures.replaced(PAGE, "throughput", speed.text(**speed.results())) == PAGE


def test_growth_of_memory_over_a_list_is_found():
    flat = [[second, 10 * second, 500 + second % 7, 0] for second in range(400)]
    slope, low, high = speed.day_slope(flat)
    assert low < slope < high
    assert low < 0 < high
    slope, low, high = speed.day_slope([[s, films, mb + films / 100, 0] for s, films, mb, _ in flat])
    assert low < 10 < high
    assert low > 5


def test_the_committed_score_is_of_the_embedded_bundle():
    from bmd_edge.bundle.bundle import read_bundle

    assert json.loads(figures.SCORE.read_text(encoding="utf-8"))["bundle_digest"] == read_bundle().digest


def test_speeds_are_those_that_were_measured():
    found = json.loads(figures.SPEED.read_text(encoding="utf-8"))
    assert figures.replaced(PAGE, "speed", figures.int8_speed(found)) == PAGE


def test_version_and_changelog_agree():
    from bmd_edge import __version__

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_notices_are_there():
    for words in ("Research use only", "synthetic", "Patent notice", "2022/0309651"):
        assert words in PAGE


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the examples expect it: film.dcm and films/."""
    place = tmp_path_factory.mktemp("desk")
    demo = Path(bmd_edge.__file__).parent / "data" / "demo"
    shutil.copytree(demo, place / "films")
    shutil.copy(demo / "pelvis.dcm", place / "film.dcm")
    for number, code in enumerate(EXAMPLES):
        (place / f"example_{number}.py").write_text(code, encoding="utf-8")
    return place


def _python(desk: Path, *words: str) -> subprocess.CompletedProcess[str]:
    paths = {name: str(ROOT) for name in ("PYTHONPATH", "MYPYPATH")}
    return subprocess.run([sys.executable, *words], cwd=desk, env=os.environ | paths, capture_output=True, text=True)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_every_example_runs(desk: Path, number: int) -> None:
    done = _python(desk, "-W", "error", f"example_{number}.py")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout) > 20


def test_examples_show_what_they_promise(desk: Path) -> None:
    from PIL import Image

    assert len(EXAMPLES) == 4
    overlay = Image.open(desk / "overlay.png")
    assert max(overlay.split()[0].getextrema()) == 255
    lines = [json.loads(line) for line in _python(desk, "example_2.py").stdout.splitlines()]
    assert len(lines) == len(list((desk / "films").iterdir()))
    assert {line["status"] for line in lines} == {"read", "refused"}


def test_examples_are_typed(desk: Path) -> None:
    names = [f"example_{number}.py" for number in range(len(EXAMPLES))]
    cache = str(ROOT / ".mypy_cache")
    done = _python(desk, "-m", "mypy", "--strict", "--cache-dir", cache, "--follow-imports", "silent", *names)
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_names_are_those_of_the_package() -> None:
    sentence = PAGE[PAGE.index("The public names are") :].split(";")[0]
    assert sorted(re.findall(r"`(\w+)`", sentence)) == sorted(bmd_edge.__all__)
