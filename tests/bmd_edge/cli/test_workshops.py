"""Commands of the workshops get their own arguments, or name the extra that is missing."""

import sys
from pathlib import Path

import pytest
import typer

from bmd_edge.cli import main, workshops

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
