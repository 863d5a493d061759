"""What the README says can be done, can be done; what it shows comes from committed figures."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

import bmd_edge
from bmd_edge.errors import MissingExtra

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "README.md").read_text(encoding="utf-8")
TRAINER = (ROOT / "trainer" / "README.md").read_text(encoding="utf-8")
EXAMPLES = [
    code
    for page in (ROOT / "bmd_edge" / "README.md", *sorted({*ROOT.glob("*.md"), *ROOT.glob("*/README.md")}))
    for code in re.findall(r"^```python\n(.+?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
]
"""The examples of every page, those of the runtime first, each once."""
EXAMPLES = list(dict.fromkeys(EXAMPLES))
TABLE = ROOT / "trainer" / "results" / "table.json"
WEB_SERVICE = next(number for number, code in enumerate(EXAMPLES) if "FastAPI(" in code)
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
    assert {line["film"]["status"] for line in lines} == {"read", "refused"}
    assert all(line["notice"].startswith("Research use only, not for diagnosis.") for line in lines)
    assert all("digital hip phantom" in line["notice"] for line in lines)
    (said,) = map(json.loads, _python(desk, f"example_{WEB_SERVICE}.py").stdout.splitlines())
    assert (said.pop("error"), said["film"].pop("file")) == (None, "upload")
    (same,) = (line for line in lines if line["film"]["film_id"] == said["film"]["film_id"])
    assert same["film"].pop("file") is None
    assert said == same
    outcomes = [line.split() for line in _python(desk, "example_3.py").stdout.splitlines()]
    assert sorted(name for name, *_ in outcomes) == sorted(path.name for path in (desk / "films").iterdir())


HOSTILE = """
import os, signal, threading, zipfile
from io import BytesIO
from pathlib import Path
from time import sleep
from fastapi.testclient import TestClient
from example_{number} import CREWS, app

film, packed = Path("film.dcm").read_bytes(), BytesIO()
with zipfile.ZipFile(packed, "w") as one:
    one.writestr("film.dcm", film)
uploads = [b"", b"%PDF-1.7", packed.getvalue(), film[:-500], film]
with TestClient(app) as client:
    crews = list(app.state.idle.queue)
    for crew in crews:
        os.kill(*crew.pids, signal.SIGSTOP)  # as by a decoder that hangs
    said = [None] * len(uploads)
    def post(n):
        said[n] = client.post("/films", content=uploads[n]).json()
    threads = [threading.Thread(target=post, args=(n,)) for n in range(len(uploads))]
    for one in threads:
        one.start()
    sleep(0.5)
    assert app.state.idle.empty() and said == [None] * len(uploads)
    for crew in crews:
        os.kill(*crew.pids, signal.SIGSEGV)
        os.kill(*crew.pids, signal.SIGCONT)
    for one in threads:
        one.join()
    assert app.state.idle.qsize() == CREWS
    for one in said:
        assert one["notice"].startswith("Research use only") and one["error"] is None
        print(one["film"]["status"], one["film"]["reason"])
"""


def test_the_web_service_outlives_hostile_uploads_and_the_death_of_its_decoders(desk: Path) -> None:
    (desk / "hostile.py").write_text(HOSTILE.format(number=WEB_SERVICE), encoding="utf-8")
    done = _python(desk, "-W", "error", "hostile.py")
    assert done.returncode == 0, done.stderr
    reasons = ["refused empty_file", "refused not_dicom", "refused packed_file", "refused truncated", "read None"]
    assert done.stdout.splitlines() == reasons


def shuttered() -> bytes:
    """A film of the demo with a display shutter, under which it is no image."""
    dataset = pydicom.dcmread(DEMO / "pelvis.dcm")
    dataset.ShutterShape = "RECTANGULAR"
    dataset.ShutterLeftVerticalEdge, dataset.ShutterUpperHorizontalEdge = 20, 20
    dataset.ShutterRightVerticalEdge, dataset.ShutterLowerHorizontalEdge = dataset.Columns - 20, dataset.Rows - 20
    made = BytesIO()
    dataset.save_as(made)
    return made.getvalue()


@pytest.mark.parametrize("film", [*sorted(path.name for path in DEMO.iterdir()), "with a shutter"])
@pytest.mark.parametrize("number", [number for number, code in enumerate(EXAMPLES) if "film.dcm" in code])
def test_an_example_runs_on_every_film_of_the_demo(desk: Path, tmp_path: Path, film: str, number: int) -> None:
    data = shuttered() if film == "with a shutter" else (DEMO / film).read_bytes()
    (tmp_path / "film.dcm").write_bytes(data)
    done = _python(tmp_path, "-W", "error", str(desk / f"example_{number}.py"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(done.stdout) > 20


def test_examples_are_typed(desk: Path) -> None:
    names = [f"example_{number}.py" for number in range(len(EXAMPLES))]
    cache = str(ROOT / ".mypy_cache")
    done = _python(desk, "-m", "mypy", "--strict", "--cache-dir", cache, "--follow-imports", "silent", *names)
    assert done.returncode == 0, done.stdout + done.stderr
