"""The program: every command is registered here, every error becomes one line and an exit code.

stdout carries results, everything else goes to stderr. Nothing heavy is imported before a command needs it.
"""

import errno
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from bmd_edge.cli import streams
from bmd_edge.cli.bundle import compile_engines, doctor, info, support
from bmd_edge.cli.completion import Program
from bmd_edge.cli.key import key
from bmd_edge.cli.placeholders import command_of
from bmd_edge.cli.screen import demo, schema, screen
from bmd_edge.cli.workshops import HELP, WORKSHOPS, register
from bmd_edge.errors import BmdEdgeError, EngineError, UsageError
from bmd_edge.follow.commands import follow
from bmd_edge.version import __version__

EXIT_CODES = {
    0: "all films and hips read",
    1: "unexpected error",
    2: "wrong usage, or a missing extra",
    3: "finished, but films or hips were refused or failed, files were changing or not there, or films have drifted",
    4: "bundle or engine missing, stale or invalid",
    130: "interrupted by Ctrl-C; the same command goes on where it stopped",
}
"""What the program's exit status means; `demo` ends with 0 when every film gets its expected outcome."""


_REMEDIES = {
    errno.ENOSPC: "free some space on the disk of --out",
    errno.EDQUOT: "free some space on the disk of --out",
    errno.EROFS: "give an --out that can be written",
    errno.EACCES: "check the permissions of --out",
    errno.EPERM: "check the permissions of --out",
    errno.EIO: "check the disk of --out and its free space",  # SQLite gives it for a full disk too
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENFILE: "close other programs",
}
app = typer.Typer(
    name="bmd-edge",
    help="Estimate hip bone mineral density from plain radiographs. Research use only, not for diagnosis.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
    cls=Program,
    context_settings={"help_option_names": HELP},
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bmd-edge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Before the command: show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Nothing to do before a command."""


COMMANDS: dict[str, Callable[..., None]] = {
    "screen": screen,
    "demo": demo,
    "info": info,
    "doctor": doctor,
    "support": support,
    "compile": compile_engines,
    "schema": schema,
    "key": key,
    "follow": follow,
}

for _name, _command in COMMANDS.items():
    app.command(_name)(_command)
for _name, _workshop in WORKSHOPS.items():
    register(app, _name, _workshop)


# -- the program --------------------------------------------------------------------------------------------------


def main() -> None:
    """Run the program; every error of this package becomes one line on stderr and its exit code."""
    streams.settle()
    debug = sys.argv[1:2] == ["--debug"]
    try:
        with _logged(), streams.drained():
            command_of(app)()
    except BmdEdgeError as error:
        if debug:
            raise
        sys.exit(_say(error, _exit_code(error)))
    except OSError as error:
        if debug:
            raise
        remedy = _REMEDIES.get(error.errno or 0, "check the files and folders that were named")
        what = f"{_named(error)}{error.strerror or type(error).__name__}"
        sys.exit(_say(f"{what}: {remedy}, then run the same command again", 1))
    except Exception as error:
        if debug:
            raise
        sys.exit(_say(f"unexpected {type(error).__name__}; `bmd-edge --debug ...` shows more", 1))


@contextmanager
def _logged() -> Iterator[None]:
    """What this package logs goes to stderr; not for longer, for its number may be another file's afterwards."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    # Not the root logger: what libraries log may quote a film's header.
    logger = logging.getLogger("bmd_edge")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def _named(error: OSError) -> str:
    """The word of the command line that led to the file; nothing more of a path, for below it may stand a name."""
    from bmd_edge.report.safe_text import visible

    where = (
        os.path.abspath(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else ""
    )
    said = [word for word in sys.argv[1:] if word and f"{where}/".startswith(f"{os.path.abspath(word)}/")]
    return f"{visible(max(said, key=len))}: " if said else ""


def _exit_code(error: BmdEdgeError) -> int:
    return 2 if isinstance(error, UsageError) else 4 if isinstance(error, EngineError) else 1


def _say(message: object, code: int) -> int:
    typer.echo(f"bmd-edge: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
