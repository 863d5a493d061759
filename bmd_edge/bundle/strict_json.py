"""The strict reader of JSON, and of the dataclasses that are made from it.

Unknown keys, missing keys that have no default, keys written twice and values of another type are refused, naming the
place.
"""

import json
import math
import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from bmd_edge.errors import BundleError

T = TypeVar("T")


def parse(kind: type[T], value: Any, where: str) -> T:
    """Turn parsed JSON into a dataclass (or NamedTuple), checking every key and type; BundleError names the place."""
    result: T = _parse(kind, value, where)
    return result


def parse_version(kind: type[T], raw: bytes, name: str, schema: int, otherwise: str) -> T:
    """Read a file of one schema, which is looked at before the keys: another one has others.

    BundleError says of what is no such file `otherwise`, and names the place of what breaks the contract.
    """
    data = read_json(raw, name)
    if not isinstance(data, dict) or data.get("schema") != schema:
        raise BundleError(f"{name} {otherwise}")
    return parse(kind, data, name)


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is types.UnionType:  # X | None
        return None if value is None else _parse(args[0], value, where)
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return _parse_fields(kind, value, where)
    if origin is dict and isinstance(value, dict):
        return {key: _parse(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is tuple and isinstance(value, list):
        return tuple(_parse(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if kind in (str, bool) and isinstance(value, kind):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BundleError(f"{where}: {type(value).__name__} where {getattr(kind, '__name__', kind)} belongs")


def _parse_fields(kind: Any, value: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(value, dict):
        raise BundleError(f"{where}: {type(value).__name__} where an object belongs")
    if unknown := sorted(set(value) - set(hints)):
        raise BundleError(f"{where}: unknown key {unknown[0]!r}; the bundle may need a newer bmd-edge")
    defaults = {f.name for f in fields(kind) if f.default is not MISSING} if is_dataclass(kind) else set()
    if missing := sorted(set(hints) - set(value) - defaults):
        raise BundleError(f"{where}: key {missing[0]!r} is missing")
    return kind(**{name: _parse(hint, value[name], f"{where}.{name}") for name, hint in hints.items() if name in value})


def read_json(raw: bytes, name: str) -> Any:
    """Parse UTF-8 JSON; BundleError for anything odd: a key written twice, NaN, infinity, text that is no JSON."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise BundleError(f"{name} holds a key twice")
        return dict(pairs)

    def float_constant(text: str) -> float:
        raise BundleError(f"{name} holds {text}, which is no number")

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=float_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not valid JSON: {error}") from error
