"""What shells complete beside the commands and options of the runtime: those of the workshops, and bundles."""

from collections.abc import Iterator
from contextlib import suppress
from glob import escape, iglob
from itertools import islice
from typing import Any

from typer.core import TyperGroup

from bmd_edge.bundle.layout import MANIFEST
from bmd_edge.cli.workshops import WORKSHOPS, loaded
from bmd_edge.errors import UsageError

_MOST = 100


class Program(TyperGroup):
    """The program's commands; where a shell completes, that of a workshop is loaded for its options."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Click's look-up of a command."""
        name, command, rest = super().resolve_command(ctx, args)
        if ctx.resilient_parsing and name in WORKSHOPS:
            with suppress(ImportError, UsageError):  # nothing to offer then
                command = loaded(WORKSHOPS[name])
        return name, command, rest


def bundles(incomplete: str) -> Iterator[str]:
    """Folders with a bundle whose path begins with what is typed, in this folder and one below."""
    for below in ("*/", "*/*/"):
        found = iglob(escape(incomplete) + below + MANIFEST)
        yield from sorted(path.removesuffix(f"/{MANIFEST}") for path in islice(found, _MOST))
