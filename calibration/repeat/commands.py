"""`bmd-edge precision`: how far films of one unchanged hip differ at a clinic."""

from pathlib import Path
from typing import Annotated

import typer

from bmd_edge.cli.options import BundleOption, DeviceOption, RecalibrationOption, ThreadsOption


def precision(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="Film table with several films of each hip.")],
    bundle: BundleOption = None,
    recalibration: RecalibrationOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the repeatability.")] = Path("repeatability.json"),
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Measure how far estimates of one unchanged hip differ, from films that were taken anyway or under an approval.

    The column x_taken_under says which: `routine`, or the approval. `bmd-edge follow --repeatability FILE` uses what
    this writes; it changes no estimate. Research use only.
    """
    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.cli.terminal import progress_bar
    from bmd_edge.report.film_report import RESEARCH_USE
    from bmd_edge.report.safe_text import visible
    from calibration.repeat.precision import check_file, measure, said, write_repeatability

    check_file(out)
    with progress_bar() as progress:
        found = measure(read_bundle(bundle), table, recalibration, device, threads, progress)
    write_repeatability(out, found.file)
    for line in said(found):
        typer.echo(visible(line))
    typer.echo(RESEARCH_USE)
    for finding in found.findings:
        typer.echo(visible(f"{finding.severity}: {finding.sentence}"), err=True)
    typer.echo(f"Use it with: bmd-edge follow RESULTS --repeatability {out}", err=True)
