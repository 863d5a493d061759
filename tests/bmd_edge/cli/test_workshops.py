"""Commands of the workshops get their own arguments, or name the extra that is missing."""

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from hashlib import sha256
from pathlib import Path

import pytest
import typer

from bmd_edge.cli import main, workshops
from bmd_edge.errors import UsageError

WORKSHOP_MODULE = """
import typer
def train(config: str, rate: float = typer.Option(0.1)) -> None:
    "Train something."
    {body}
    typer.echo(f"{{config}} {{rate}}")
app = typer.Typer()
@app.command()
def make(out: str, n: int = 3) -> None:
    "Make something."
    typer.echo(f"{{out}} {{n}}")
@app.command()
def check() -> None:
    "Check something."
    raise typer.Exit(5)
"""


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Write a workshop module and register `train` and `phantom` of it on a new program."""

    def write(body: str = "pass") -> None:
        (tmp_path / "made_up_workshop.py").write_text(WORKSHOP_MODULE.format(body=body))
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "made_up_workshop", raising=False)
        fresh = typer.Typer(pretty_exceptions_enable=False)
        fresh.callback()(lambda: None)
        monkeypatch.setattr(main, "app", fresh)
        for name, attribute in (("train", "train"), ("phantom", "app")):
            workshops.register(fresh, name, workshops.Workshop("made_up_workshop", attribute, "train", "Help."))

    return write


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["train", "c.toml"], 0, "c.toml 0.1"),
        (["train", "c.toml", "--rate", "2"], 0, "c.toml 2.0"),
        (["train", "--rate", "2", "c.toml"], 0, "c.toml 2.0"),
        (["train", "--help"], 0, "bmd-edge train"),
        (["train"], 2, "Missing argument"),
        (["phantom", "make", "out", "--n", "4"], 0, "out 4"),
        (["phantom", "check"], 5, ""),
        (["phantom", "--help"], 0, "Check something."),
    ],
)
def test_a_workshop_command_gets_its_own_arguments(inside, workshop, arguments, code, said) -> None:
    workshop()
    found, out, err = inside(*arguments)
    assert found == code, err
    assert said in out + err


@pytest.mark.parametrize("where", ["import no_such_library", "from no_such_library.deep import x"])
def test_a_missing_extra_ends_with_2_and_names_it(inside, workshop, where: str) -> None:
    workshop(where)
    code, out, err = inside("train", "c.toml")
    assert (code, out) == (2, "")
    assert "no_such_library is not installed: pip install '.[train]' in a checkout" in err


def test_registered_workshops_exist() -> None:
    from importlib.util import find_spec

    for workshop in workshops.WORKSHOPS.values():
        assert find_spec(workshop.module), workshop


# -- others use the workshops' names too ----------------------------------------------------------------------------


def installed(root: Path) -> Path:
    """The workshops as pip installs them: folders side by side, and a RECORD of their files."""
    lines = []
    for name in workshops.PACKAGES:
        (root / name).mkdir(parents=True)
        (root / name / "__init__.py").write_text(f'"""The {name}."""\n')
        digest = urlsafe_b64encode(sha256((root / name / "__init__.py").read_bytes()).digest()).decode().rstrip("=")
        lines.append(f"{name}/__init__.py,sha256={digest},99")
    (root / "bmd_edge-9.dist-info").mkdir()
    (root / "bmd_edge-9.dist-info" / "RECORD").write_text("\n".join([*lines, "bmd_edge-9.dist-info/RECORD,,"]))
    return root


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process: none of the packages is imported yet."""
    for name in list(sys.modules):
        if name.partition(".")[0] in workshops.PACKAGES:
            monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("forgotten")
def test_the_packages_beside_this_one_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workshops.check_names()
    monkeypatch.syspath_prepend(installed(tmp_path))
    workshops.check_names(tmp_path)


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("name", workshops.PACKAGES)
@pytest.mark.parametrize("kind", ["package", "file"])
def test_another_of_the_name_is_said_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, kind: str
) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path / "ours"))
    theirs = tmp_path / "theirs" / (f"{name}/__init__.py" if kind == "package" else f"{name}.py")
    theirs.parent.mkdir(parents=True)
    theirs.write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(tmp_path / "theirs")
    with pytest.raises(UsageError, match=f"another '{name}' stands before bmd-edge's on the path"):
        workshops.check_names(tmp_path / "ours")


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("name", workshops.PACKAGES)
def test_one_that_was_installed_over_ours_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.syspath_prepend(installed(tmp_path))
    (tmp_path / name / "__init__.py").write_text("import coqpit\n")
    with pytest.raises(UsageError, match=f"another package has installed its '{name}' over bmd-edge's: install"):
        workshops.check_names(tmp_path)


def test_the_command_says_so_in_a_folder_with_a_file_of_the_name(tmp_path: Path) -> None:
    """`python -m bmd_edge` has the folder that it is called in first on its path."""
    (tmp_path / "trainer.py").write_text("print('imported')\n")
    root = Path(workshops.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "bmd_edge", "train", "mse", "--print-config"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "another 'trainer' stands before bmd-edge's" in done.stderr
