"""Placeholders of every option, those of the workshops too."""

import re
from typing import Any

import pytest
import typer

from bmd_edge.cli.main import app
from bmd_edge.cli.placeholders import command_of
from bmd_edge.cli.workshops import WORKSHOPS
from trainer.phantom.commands import app as phantom


def placeholders(command: Any) -> dict[str, str]:
    """Option or argument -> what its help shows for the value."""
    found = {}
    context = command.context_class(command)
    for one in command.params:
        takes_one = one.param_type_name == "argument" or not one.is_flag
        if takes_one and (record := one.get_help_record(context)):
            words = record[0].replace(",", " ").split()
            found[f"{command.name} {one.name}"] = words[-1]
    for inner in getattr(command, "commands", {}).values():
        found |= placeholders(inner)
    return found


def test_a_placeholder_is_the_options_own_name_or_its_unit() -> None:
    found = placeholders(command_of(app))
    assert found["screen bundle"] == "BUNDLE"
    assert found["screen films"] == "FILMS"
    assert found["key action"] == "ACTION"
    assert found["screen out"] == "OUT"
    assert found["screen spacing_mm"] == "MM"
    assert found["screen memory_mb"].startswith("MB")
    assert len(found) > 10


def test_arguments_are_named_alike() -> None:
    commands = {**command_of(app).commands, **command_of(phantom).commands}
    named = {
        f"{name} {one.name}": one.metavar
        for name, command in commands.items()
        for one in command.params
        if one.param_type_name == "argument"
    }
    assert named.items() >= {"screen films": "FILMS", "info bundle": "BUNDLE", "make out": "OUT"}.items()
    assert [metavar for metavar in named.values() if not re.fullmatch("[A-Z]+", metavar)] == []


@pytest.mark.parametrize("name", sorted(set(WORKSHOPS) - {"train", "phantom", "table"}))  # these load torch
def test_no_placeholder_is_a_type(name: str) -> None:
    from importlib import import_module

    target = getattr(import_module(WORKSHOPS[name].module), WORKSHOPS[name].attribute)
    wrapped = target if isinstance(target, typer.Typer) else typer.Typer(add_completion=False)
    if wrapped is not target:
        wrapped.command()(target)
    found = placeholders(command_of(wrapped))
    assert found
    shown = {one: word for one, word in found.items() if not re.fullmatch(r"[\[\]A-Z_.:=]+(\[.*\])?", word)}
    assert shown == {}
    assert not {"TEXT", "PATH", "INTEGER", "FLOAT", "DIRECTORY", "FILENAME"} & set(found.values())
    assert "--install-completion" not in str(found)
