"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

BundleArgument = Annotated[
    Path | None, typer.Argument(metavar="[BUNDLE]", help="Bundle folder; default the embedded one.")
]
BundleOption = Annotated[Path | None, typer.Option(help="Bundle folder; default the embedded one.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; a rerun resumes there.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
