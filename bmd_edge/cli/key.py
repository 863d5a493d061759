"""The command about the key of the patients' pseudonyms: key."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class KeyAction(StrEnum):
    """What is done with the key."""

    EXPORT = "export"
    IMPORT = "import"


def key(
    action: Annotated[KeyAction, typer.Argument(help="export this user's key to FILE, or import the one in it.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file for its owner's eyes alone.")],
    replace: Annotated[bool, typer.Option("--replace", help="Import it in place of another key.")] = False,
) -> None:
    """Share the key of the patients' pseudonyms with another machine.

    With one key a patient has one pseudonym on all of them. Who has the key can find out whom a pseudonym stands for.
    """
    from bmd_edge.system.patient_key import export_key, fingerprint, import_key, kept_key

    if action is KeyAction.EXPORT:
        name = fingerprint(export_key(file))
        typer.echo(
            f"Key {name} is exported. Who has it can find out whom a pseudonym stands for: delete the file later."
        )
    else:
        before = kept_key()
        key = import_key(file, replace=replace)
        imported = "is imported. The next run reads all films again, for their pseudonyms."
        said = "is this user's already: nothing has changed." if key == before else imported
        typer.echo(f"Key {fingerprint(key)} {said}")
