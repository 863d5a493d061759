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

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
RUNTIME = (ROOT / "bmd_edge" / "README.md").read_text(encoding="utf-8")
TRAINER = (ROOT / "trainer" / "README.md").read_text(encoding="utf-8")
EXAMPLES = [
    code
    for page in (ROOT / "bmd_edge" / "README.md", *sorted({*ROOT.glob("*.md"), *ROOT.glob("*/README.md")}))
    for code in re.findall(r"^```python\n(.+?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
]
"""The examples of every page, those of the runtime first, each once."""
EXAMPLES = list(dict.fromkeys(EXAMPLES))
TABLE = ROOT / "trainer" / "results" / "table.json"
DEMO = Path(bmd_edge.__file__).parent / "data" / "demo"


def test_nobody_is_told_to_install_from_an_index_what_is_on_none():
    """A name that nobody has registered belongs to whoever does so first: no page and no remedy may give it to pip."""
    named = re.compile(r"pip3? (install|download)[^\n]*?[ '\"]bmd[-_]edge(?!\S*\.whl)\b|bmd[-_]edge\[\w", re.IGNORECASE)
    assert named.search("pip install 'bmd-edge[cpu]'")
    assert named.search("$ pip install --upgrade bmd-edge")
    assert named.search("it has no cuda: install 'bmd-edge[gpu]'")
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
    shutil.copytree(DEMO, place / "films")
    shutil.copy(DEMO / "pelvis.dcm", place / "film.dcm")
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

    assert len(EXAMPLES) == 6
    overlay = Image.open(desk / "overlay.png")
    assert max(overlay.split()[0].getextrema()) == 255
    lines = [json.loads(line) for line in _python(desk, "example_2.py").stdout.splitlines()]
    assert len(lines) == len(list((desk / "films").iterdir()))
    assert {line["status"] for line in lines} == {"read", "refused"}
    (said,) = _python(desk, "example_3.py").stdout.splitlines()
    assert json.loads(said) == next(line for line in lines if line["film_id"] == json.loads(said)["film_id"])
    outcomes = [line.split() for line in _python(desk, "example_4.py").stdout.splitlines()]
    assert sorted(name for name, *_ in outcomes) == sorted(path.name for path in (desk / "films").iterdir())


@pytest.mark.parametrize("film", sorted(path.name for path in DEMO.iterdir()))
@pytest.mark.parametrize("number", [number for number, code in enumerate(EXAMPLES) if "film.dcm" in code])
def test_an_example_runs_on_every_film_of_the_demo(desk: Path, tmp_path: Path, film: str, number: int) -> None:
    shutil.copy(DEMO / film, tmp_path / "film.dcm")
    done = _python(tmp_path, "-W", "error", str(desk / f"example_{number}.py"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout) > 20


def test_examples_are_typed(desk: Path) -> None:
    names = [f"example_{number}.py" for number in range(len(EXAMPLES))]
    cache = str(ROOT / ".mypy_cache")
    done = _python(desk, "-m", "mypy", "--strict", "--cache-dir", cache, "--follow-imports", "silent", *names)
    assert done.returncode == 0, done.stdout + done.stderr


def test_public_names_are_those_of_the_package() -> None:
    sentence = RUNTIME[RUNTIME.index("The public names are") :].split(";")[0]
    assert sorted(re.findall(r"`(\w+)`", sentence)) == sorted(bmd_edge.__all__)
