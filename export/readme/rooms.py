"""The map of a package: one line a room, in the order in which the rooms build on each other."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def rooms(package: str) -> list[str]:
    """The rooms of a package (dotted name), lowest first, as the import contract in `pyproject.toml` orders them.

    A room has an `__init__.py`; what the contract's layers name beside them are single files. A room that holds rooms
    stands before them.
    """
    layers: list[str] = next((one["layers"] for one in _contracts() if one.get("containers") == [package]), [])
    names = [f"{package}.{name}" for layer in reversed(layers) for name in re.findall(r"\w+", layer)]
    return [one for name in names if _init(name).is_file() for one in (name, *rooms(name))]


def title(room: str) -> str:
    """What the docstring of a package or a room says first: its first paragraph, one sentence."""
    docstring = ast.get_docstring(ast.parse(_init(room).read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split())


def text(package: str) -> str:
    """The map as a Markdown list; each room uses only those above it."""
    names = {room: room.removeprefix(f"{package}.").replace(".", "/") for room in rooms(package)}
    return "\n".join(f"* `{name}/` {title(room)}" for room, name in names.items())


def packages() -> str:
    """The map of the packages as a Markdown list; each uses only those above it."""
    names = next(one["layers"] for one in _contracts() if "containers" not in one and one["type"] == "layers")
    return "\n".join(f"* `{name}/` {title(name)}" for name in reversed(names))


def _contracts() -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, Any]] = project["tool"]["importlinter"]["contracts"]
    return contracts


def _init(room: str) -> Path:
    return ROOT / room.replace(".", "/") / "__init__.py"
