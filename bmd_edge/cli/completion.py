"""What shells complete beside the commands and options of the runtime: those of the workshops, and bundles."""

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any

from typer import _completion_shared
from typer.core import TyperGroup

from bmd_edge.bundle.layout import MANIFEST
from bmd_edge.cli.workshops import WORKSHOPS, loaded
from bmd_edge.errors import UsageError

_MOST = 100
_PLAIN = re.compile(r"[\w ./+,:=@~^\[\](){}#-]*")
"""Paths that are offered: what Typer hands zsh is evaluated there, and it leaves a backslash as it is."""

_AT_ONCE = 'if [[ $zsh_eval_context[-1] == loadautofunc ]]; then %(complete_func)s "$@"; fi'
"""zsh runs an installed script at the first Tab of a session; Typer's only says there what will complete."""


class Program(TyperGroup):
    """The program's commands; where a shell completes, that of a workshop is loaded for its options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Click's look at the words; among them may be the order to install completion."""
        scripts = getattr(_completion_shared, "_completion_scripts", {})
        if "zsh" in scripts and _AT_ONCE not in scripts["zsh"]:
            scripts["zsh"] = f"{scripts['zsh'].rstrip()}\n{_AT_ONCE}\n"
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Click's look-up of a command."""
        name, command, rest = super().resolve_command(ctx, args)
        if ctx.resilient_parsing and name in WORKSHOPS:
            with suppress(ImportError, UsageError):  # nothing to offer then
                command = loaded(WORKSHOPS[name])
        return name, command, rest


def bundles(incomplete: str) -> Iterator[str]:
    """Folders with a bundle whose path begins with what is typed, in this folder and one below."""
    from glob import escape, iglob

    for below in ("*/", "*/*/"):
        found = iglob(escape(incomplete) + below + MANIFEST)
        paths = (path.removesuffix(f"/{MANIFEST}") for path in islice(found, _MOST))
        yield from sorted(path for path in paths if _PLAIN.fullmatch(path))
