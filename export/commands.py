"""The export's command: `bmd-edge export`."""

from pathlib import Path
from typing import Annotated

import typer

TRAINING_DATA = "digital hip phantom"
NOTICE = "Trained and measured on films of a digital hip phantom, never on patients."


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of the BMD network.")],
    finder: Annotated[Path, typer.Option(help="Run folder of the finder.")],
    table: Annotated[Path, typer.Option(help="Film table; its split `calibrate` gives ranges, guard and interval.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; replaced if it is one.")],
    finder_table: Annotated[Path | None, typer.Option(help="Film table with whole films, if not the same.")] = None,
    finder_split: Annotated[str, typer.Option(help="Its splits that the finder has not learned from.")] = (
        "val,calibrate"
    ),
    version: Annotated[str, typer.Option(help="Name of this bundle in every result.")] = "local",
    training_data: Annotated[str, typer.Option(help="What the networks were trained on.")] = TRAINING_DATA,
    notice: Annotated[str, typer.Option(help="Sentence shown with every output.")] = NOTICE,
    int8: Annotated[
        bool, typer.Option("--int8/--no-int8", help="An INT8 model too; refused outside its budget.")
    ] = True,
) -> None:
    """Turn training runs into a bundle: ONNX, INT8 inside an error budget, interval, self-test, model card."""
    import datetime
    import logging

    try:
        from export.line import Statement, export_bundle, finder_plausibility
    except ModuleNotFoundError as error:
        from bmd_edge.errors import MissingExtra

        raise MissingExtra(error.name or "torch", "export") from error

    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that this export does not need
    typer.echo("finder: measuring what an intact hip looks like to it", err=True)
    numbers = finder_plausibility(finder, finder_table or table, finder_split.split(","))
    # UTC, and names instead of paths: the manifest travels
    created = datetime.datetime.now(datetime.UTC).date().isoformat()
    command = f"bmd-edge export {run.name} --finder {finder.name} --table {table.name}" + ("" if int8 else " --no-int8")
    statement = Statement(version=version, created=created, command=command, training_data=training_data, notice=notice)
    bundle = export_bundle(
        run,
        finder,
        table,
        out,
        statement,
        finder_numbers=numbers,
        int8=int8,
        progress=lambda line: typer.echo(line, err=True),
    )
    typer.echo(f"{out} {bundle.manifest.version} {bundle.digest}")
