"""The command about several visits: `bmd-edge follow`."""

from pathlib import Path
from typing import Annotated

import typer

_SHOWN = 40
_PIPED_WIDTH = 140


def follow(
    results: Annotated[
        list[Path], typer.Argument(metavar="RESULTS", help="Folders of `bmd-edge screen`; the later counts.")
    ],
    repeatability: Annotated[
        Path | None, typer.Option(metavar="FILE", help="This clinic's precision, from `bmd-edge precision`.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for page, table and figures.")] = Path(
        "bmd-edge-follow"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Say of every hip with films of several visits whether its estimate has changed, or whether that cannot be told.

    Writes follow.html, follow.csv and follow.json into --out. Exit code 3 if films are in no series. Research use only.
    """
    import shutil
    from datetime import date

    from bmd_edge.errors import UsageError
    from bmd_edge.follow.beside import beside, without_number
    from bmd_edge.follow.change import follow as compared
    from bmd_edge.follow.files import write_csv, write_json
    from bmd_edge.follow.page import write_page
    from bmd_edge.follow.repeatability import RepeatabilityFile, open_repeatability, phantoms
    from bmd_edge.follow.results_files import page_facts, reports_in
    from bmd_edge.follow.series import series_of
    from bmd_edge.follow.terminal import filled, summary
    from bmd_edge.report.film_report import RESEARCH_USE
    from bmd_edge.report.safe_text import visible

    if out.exists() and not out.is_dir():
        raise UsageError(f"{visible(str(out))}: --out is a file: give a folder")
    known: RepeatabilityFile | None = open_repeatability(repeatability) if repeatability else phantoms()
    reports = reports_in(results)
    series, findings = series_of(reports, date.today())
    also = beside([*findings, *without_number(reports)])
    every = [compared(one, known, also.get(one.patient, "")) for one in series]
    hips = [one for one in every if len(one.series.visits) > 1]
    changes = [one for hip in hips for one in hip.changes]
    if changes and not any(one.lsc_gcm2 for one in changes):
        if repeatability:
            raise UsageError("--repeatability was measured with another bundle or recalibration than these films")
        known = None
    out.mkdir(parents=True, exist_ok=True)
    file = repeatability.name if repeatability else ""
    write_page(out / "follow.html", every, findings, known, page_facts(results, reports))
    write_csv(out / "follow.csv", hips, known)
    write_json(out / "follow.json", hips, findings, known)
    width = shutil.get_terminal_size((_PIPED_WIDTH, 0)).columns
    if as_json:
        typer.echo((out / "follow.json").read_text(encoding="utf-8"), nl=False)
    else:
        for line in summary(hips, len(every) - len(hips), findings, known, file, _SHOWN, width):
            typer.echo(line)
    typer.echo(filled(RESEARCH_USE, width), err=as_json)
    typer.echo(f"Report: {out / 'follow.html'}; figures: {out / 'follow.csv'}, follow.json", err=True)
    raise typer.Exit(3 if findings else 0)
