"""The clinic box's commands, `bmd-edge clinic ...`: their options, and no work."""

import typer

app = typer.Typer(
    help="Run a clinic box: films in, results out, nothing lost. Research use only, not for diagnosis.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
