"""Tables become dataclasses; what does not fit is told with its line. clinic.toml itself: test_config.py."""

import tomllib
from dataclasses import dataclass, field

import pytest

from bmd_edge.clinic.toml_tables import Lines, built
from bmd_edge.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Inner:
    name: str
    size: float | None = None
    on: bool = False


@dataclass(frozen=True, kw_only=True)
class Outer:
    n: int = 3
    kinds: tuple[str, ...] = ()
    one: Inner = field(default_factory=lambda: Inner(name="default"))
    many: dict[str, Inner] = field(default_factory=dict)
    given: str = ""


def read(text: str) -> Outer:
    return built(Outer, tomllib.loads(text), "", Lines("some.toml", text), {"given": "from elsewhere"})


def test_every_kind_of_value_is_read() -> None:
    text = 'n = 4\nkinds = ["a", "b"]\none = { name = "x", size = 2, on = true }\nmany.y = { name = "z" }\n'
    inner = Inner(name="x", size=2, on=True)
    assert read(text) == Outer(n=4, kinds=("a", "b"), one=inner, many={"y": Inner(name="z")}, given="from elsewhere")
    assert read("") == Outer(given="from elsewhere")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m = 1", "some.toml line 1: m: unknown; known here: n, kinds, one, many"),
        ('given = "x"', "some.toml line 1: given: unknown"),  # it is no key of the file
        ("n = 1.5", "line 1: n: must be a whole number"),
        ("n = true", "line 1: n: must be a whole number"),
        ('\none = { name = "x", on = 1 }', "line 2: one.on: must be true or false"),
        ('one = { name = "x", size = "2" }', "line 1: one.size: must be a number"),
        ("one = 3", "one: must be a table"),
        ("n = 1\none = { on = true }", "line 2: one.name: is missing"),
        ("many = 3", "many: must be a table of tables"),
        ('kinds = "a"', "kinds: must be a list of texts"),
        ("kinds = [1]", "kinds: must be a list of texts"),
    ],
)
def test_what_does_not_fit_is_told_with_its_line(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(text)
    assert said in str(caught.value)
