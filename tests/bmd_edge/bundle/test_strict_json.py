"""JSON of a bundle is taken as it is meant, or refused with the place that is wrong."""

from dataclasses import dataclass
from typing import Any

import pytest

from bmd_edge.bundle.strict_json import parse, read_json
from bmd_edge.errors import BundleError


@dataclass(frozen=True)
class Part:
    name: str
    size: float


@dataclass(frozen=True)
class Whole:
    parts: dict[str, Part]
    steps: tuple[int, ...]
    note: str | None
    on: bool


def sound() -> dict[str, Any]:
    return {"parts": {"a": {"name": "A", "size": 2}}, "steps": [1, 2], "note": None, "on": True}


def test_what_is_sound_becomes_the_dataclass() -> None:
    assert parse(Whole, sound(), "whole") == Whole({"a": Part("A", 2.0)}, (1, 2), None, True)
    assert parse(Whole, sound() | {"note": "n"}, "whole").note == "n"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"more": 1}, "whole: unknown key 'more'; the bundle may need a newer bmd-edge"),
        ({"on": 1}, "whole.on: int where bool belongs"),
        ({"steps": [1, True]}, r"whole.steps\[1\]: bool where int belongs"),
        ({"steps": [1, 2.0]}, r"whole.steps\[1\]: float where int belongs"),
        ({"note": 3}, "whole.note: int where str belongs"),
        ({"parts": [1]}, "whole.parts: list where"),
        ({"parts": {"a": []}}, "whole.parts.a: list where an object belongs"),
        ({"parts": {"a": {"name": "A"}}}, "whole.parts.a: key 'size' is missing"),
        ({"parts": {"a": {"name": "A", "size": True}}}, "whole.parts.a.size: bool where float belongs"),
        ({"parts": {"a": {"name": "A", "size": float("inf")}}}, "whole.parts.a.size: float where float belongs"),
    ],
)
def test_what_is_odd_is_refused_with_its_place(change: dict[str, Any], says: str) -> None:
    with pytest.raises(BundleError, match=says):
        parse(Whole, sound() | change, "whole")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b'{"a": 1, "a": 1}', "x.json holds a key twice"),
        (b'{"a": {"b": 1, "b": 2}}', "x.json holds a key twice"),
        (b"[NaN]", "x.json holds NaN, which is no number"),
        (b"[-Infinity]", "x.json holds -Infinity, which is no number"),
        (b"{", "x.json is not valid JSON"),
        (b'"\xff"', "x.json is not valid JSON"),
        (b"[" * 200_000, "x.json is not valid JSON"),
    ],
)
def test_odd_json_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(BundleError, match=says):
        read_json(raw, "x.json")
    assert read_json(b'{"a": [1, 2.5]}', "x.json") == {"a": [1, 2.5]}
