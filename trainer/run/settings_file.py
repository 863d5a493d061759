"""Settings to TOML and back: files and recipes are read, unknown keys are errors.

The settings as used lie in the run folder as `config.toml`.
"""

import ast
import dataclasses
import inspect
import json
import tomllib
import types
import typing
from pathlib import Path
from typing import Any

from bmd_edge.errors import UsageError, nearest
from bmd_edge.system.own_files import mistaken
from trainer.run.settings import ADDED, TASKS, Config, bounds, check_values, task_name

RECIPES = Path(__file__).parents[1] / "recipes"


def read_config(path: str | Path, changes: dict[str, str] | None = None) -> Config:
    """Read settings from a TOML file, or from the recipe of that name.

    Args:
        path: a file, or "finder", "bmd" or another name in `RECIPES`.
        changes: settings to replace, each as TOML text.

    Raises:
        UsageError: no such file, not TOML, an unknown key, a value of the wrong type, a missing or unknown task.
    """
    path = Path(path)
    recipe = RECIPES / f"{path}.toml"
    if not path.is_file() and path.name == str(path) and recipe.is_file():
        path = recipe
    if said := mistaken(path, "settings"):
        raise UsageError(said)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        near, names = nearest(path.name, recipes()), ", ".join(recipes())
        raise UsageError(f"{path.name}: no such file, and no recipe of this name{near}; there are {names}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path.name}: not TOML: {error}") from error
    for key, text in (changes or {}).items():
        values[key] = _toml_value(key, text)
    return _from_values(values, path.name)


def recipes() -> dict[str, str]:
    """What each recipe is, by its name: the first line of its file."""
    files = sorted(RECIPES.glob("*.toml"))
    return {file.stem: file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ") for file in files}


def to_toml(config: Config, explained: bool = False) -> str:
    """Settings as TOML that `read_config` reads back equal; `explained` puts explanation and bound above each."""
    docs = explanations(type(config)) if explained else {}
    limits = bounds(type(config))
    lines = [f'task = "{task_name(config)}"']
    for field in dataclasses.fields(config):
        if field.name in docs:
            lines += ["", f"# {docs[field.name]}"]
            if field.name in limits:
                lines.append(f"# Must be {limits[field.name]}.")
        value = getattr(config, field.name)
        if field.name in ADDED and value == field.default and not explained:
            continue
        lines.append(f"{field.name} = {json.dumps(value)}")  # TOML writes numbers, text, booleans, lists as JSON does
    return "\n".join(lines) + "\n"


def explanations(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass and of its bases."""
    docs: dict[str, str] = {}
    for cls in reversed(kind.__mro__[:-1]):
        body = ast.parse(inspect.getsource(cls)).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                docs[field.target.id] = ast.literal_eval(text.value)
    return docs


def _toml_value(key: str, text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        try:
            return tomllib.loads(f"value = {json.dumps(text)}")["value"]  # a bare word is text
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{key}: {text!r} is no TOML value") from error


def _from_values(values: dict[str, Any], where: str) -> Config:
    task = values.pop("task", None)
    if task not in TASKS:
        raise UsageError(f"{where}: task must be one of {', '.join(TASKS)}{nearest(str(task), TASKS)}")
    kind = TASKS[task]
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            said = f"{where}: unknown setting {key!r}{nearest(key, hints)}"
            raise UsageError(f"{said}; `bmd-edge train {task} --print-config` lists them")
    config = kind(**{key: _typed(key, value, hints[key], where) for key, value in values.items()})
    check_values(config, where)
    return config


def _typed(key: str, value: Any, hint: Any, where: str) -> Any:
    if isinstance(hint, types.GenericAlias) and isinstance(value, list):
        item = hint.__args__[0]
        return tuple(_typed(key, one, item, where) for one in value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        name = hint.__name__ if isinstance(hint, type) else str(hint)
        raise UsageError(f"{where}: {key} = {value!r} is not of the type {name}")
    return value
