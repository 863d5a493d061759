"""TOML as loaded -> dataclasses: every key known, every value of its field's type, or an error with the file's line.

Standard library only: the guard inside Orthanc reads settings too.
"""

import re
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_args, get_origin

from bmd_edge.errors import UsageError


class Lines:
    """Says in which line of a file of settings a key stands; `name` is the file's."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._lines = text.splitlines()

    def error(self, key: str, what: str, *, at: str | None = None) -> UsageError:
        """An error of a dotted key, with the line where it stands, or `at` stands: the first behind its tables."""
        found = -1
        for name in (key if at is None else at).split("."):
            word = re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
            lines = range(max(found, 0), len(self._lines))
            found = next((n for n in lines if name and word.search(self._lines[n])), found)
        where = f" line {found + 1}" if found >= 0 else ""
        return UsageError(f"{self._name}{where}: {key}: {what}")

    def missing(self, key: str) -> UsageError:
        """An error of a key that is not there, with the line of its table."""
        return self.error(key, "is missing", at=key.rpartition(".")[0])


_T = TypeVar("_T")


def built(kind: type[_T], found: dict[str, Any], key: str, lines: Lines, given: dict[str, Any]) -> _T:
    """A dataclass of a TOML table: every key known, every value of its field's type."""
    values = dict(given)
    known = {one.name: one for one in fields(kind) if one.name not in given}  # type: ignore[arg-type]
    for name, value in found.items():
        dotted = f"{key}.{name}" if key else name
        if name not in known:
            raise lines.error(dotted, f"unknown; known here: {', '.join(known)}")
        values[name] = _value(known[name].type, value, dotted, lines)
    for name, one in known.items():
        if name not in values and one.default is MISSING and one.default_factory is MISSING:
            raise lines.missing(f"{key}.{name}" if key else name)
    return kind(**values)


def _value(kind: Any, value: Any, key: str, lines: Lines) -> Any:
    if hasattr(kind, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise lines.error(key, "must be a table")
        return built(kind, value, key, lines, {})
    if get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise lines.error(key, "must be a table of tables")
        return {name: _value(get_args(kind)[1], one, f"{key}.{name}", lines) for name, one in value.items()}
    if get_origin(kind) is tuple:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise lines.error(key, "must be a list of texts")
        return tuple(value)
    wanted = (float, int) if kind == float | None else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        words = {str: "a text", int: "a whole number", bool: "true or false"}
        raise lines.error(key, f"must be {words.get(kind, 'a number')}")
    return value
