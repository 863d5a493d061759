"""One style of placeholders in every command's help: what is to be given, in capitals, by the option's own name."""

from typing import Any

import typer

_UNITS = ("mm", "mb")


def command_of(app: typer.Typer) -> Any:
    """The click command of `app`; what takes a value names it: `--spacing-mm MM`, `--bundle BUNDLE`, an argument `OUT`.

    Whether it is needed, and how often it may be given, is for Typer to say.
    """
    command = typer.main.get_command(app)
    _name(command)
    return command


def _name(command: Any) -> None:
    for parameter in command.params:
        takes_one = parameter.param_type_name == "argument" or not (parameter.is_flag or parameter.count)
        if takes_one and parameter.metavar is None:
            words = str(parameter.name).split("_")
            parameter.metavar = (words[-1] if words[-1] in _UNITS else "_".join(words)).upper()
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda **_: None  # else Typer adds the Python type: RUN <list[Path]>
    for inner in getattr(command, "commands", {}).values():
        _name(inner)
