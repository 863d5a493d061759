"""Arguments and options that several commands share, each explained once."""

from pathlib import Path
from typing import Annotated

import typer

from bmd_edge.cli.completion import bundles
from bmd_edge.errors import UsageError
from bmd_edge.language import LANGUAGES

BundleArgument = Annotated[
    Path | None,
    typer.Argument(metavar="BUNDLE", help="Bundle folder; default the embedded one.", autocompletion=bundles),
]
BundleOption = Annotated[
    Path | None, typer.Option(help="Bundle folder; default the embedded one.", autocompletion=bundles)
]
DeviceOption = Annotated[
    str, typer.Option(help="auto, cpu, cuda or tensorrt.", autocompletion=lambda: ["auto", "cpu", "cuda", "tensorrt"])
]
PrecisionOption = Annotated[
    str, typer.Option(help="auto, fp32 or int8.", autocompletion=lambda: ["auto", "fp32", "int8"])
]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="Films at a time; default one per CPU.")]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the results; a rerun resumes there.")]
LanguageOption = Annotated[
    str | None,
    typer.Option(help="Of report and table: en, de, es or ja; default the locale's.", autocompletion=lambda: LANGUAGES),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
RecalibrationOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A clinic's own line toward DEXA, from `bmd-edge calibrate`.")
]
FormerRecalibrationOption = Annotated[Path | None, typer.Option("--site", hidden=True)]
"""The name that --recalibration had before."""


def either_recalibration(recalibration: Path | None, former: Path | None) -> Path | None:
    """The file of --recalibration, or of its former name, which is told of; UsageError if both are given."""
    if recalibration and former:
        raise UsageError("--site is the former name of --recalibration: give --recalibration only")
    if former:
        typer.echo("--site goes with the next version: it is --recalibration.", err=True)
    return recalibration or former
