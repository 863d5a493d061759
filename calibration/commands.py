"""The calibration workshop's command: `bmd-edge validate`."""

from pathlib import Path
from typing import Annotated

import typer


def validate(
    bundle: Annotated[
        Path | None, typer.Argument(metavar="[BUNDLE]", help="Bundle folder; default the embedded one.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Film table with DEXA; its films are whole DICOM films.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for page, figures and pairs.")] = Path(
        "bmd-edge-validation"
    ),
    split: Annotated[str, typer.Option(help="Rows to validate on; the others count as learned from.")] = "test",
    known: Annotated[
        list[Path] | None,
        typer.Option(help="A film table or training run that the bundle has learned from; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or tensorrt.")] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Worker processes; default one per CPU.")] = None,
) -> None:
    """Measure a bundle against the DEXA of a film table, in every precision it holds.

    Writes validation.html, validation.json and pairs.csv into --out. Research use only, not for diagnosis.
    """
    import json

    from bmd_edge.bundle import open_bundle
    from bmd_edge.errors import UsageError
    from bmd_edge.table import replace_file
    from bmd_edge.terminal import progress_bar
    from calibration.pairs import write_pairs
    from calibration.report import write_page
    from calibration.validate import validate as measure

    if table is None:
        raise UsageError("validate needs --table TABLE, a film table with DEXA")
    if out.resolve() == table.resolve().parent:
        raise UsageError("--out is the folder of the table: choose another")
    with progress_bar() as progress:
        made = measure(
            open_bundle(bundle),
            table,
            split=split,
            known=known or (),
            device=device,
            threads=threads,
            progress=progress,
        )
    out.mkdir(parents=True, exist_ok=True)
    with replace_file(out / "validation.json") as file:
        json.dump(made.facts, file, indent=1, allow_nan=False)
        file.write("\n")
    write_pairs(out / "pairs.csv", made.pairs, made.left_out)
    write_page(out / "validation.html", made)
    _say(made.facts, out)
    if any(finding["severity"] == "error" for finding in made.facts["findings"]):
        raise typer.Exit(3)


def _say(facts: dict, out: Path) -> None:
    """The few figures that everyone asks for first, on stdout; findings and places on stderr."""
    from bmd_edge.report import visible
    from bmd_edge.report_html import SITE_NAMES

    for precision, one in facts["precisions"].items():
        for site, found in one["sites"].items():
            figures = {
                name: _said(found["figures"][name]) for name in ("r", "rmse_gcm2", "bias_gcm2", "slope", "coverage")
            }
            typer.echo(f"{SITE_NAMES[site]}, {precision}: {found['hips']} hips of {found['subjects']} subjects")
            typer.echo(
                f"  r {figures['r']}, RMSE {figures['rmse_gcm2']}, bias {figures['bias_gcm2']} g/cm2,\n"
                f"  slope {figures['slope']}, 90 % interval covers {figures['coverage']}"
            )
    typer.echo(f"{facts['use']} {visible(facts['notice'])}")
    for finding in facts["findings"]:
        hips = f" [{finding['hips']} hips]" if finding["hips"] else ""
        typer.echo(f"{finding['severity']}: {finding['sentence']}{hips}", err=True)
    typer.echo(f"Report: {out / 'validation.html'}; figures: {out / 'validation.json'}, pairs.csv", err=True)


def _said(figure: dict) -> str:
    if figure["value"] is None:
        return "-"
    ends = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{ends}"
