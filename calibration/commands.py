"""The calibration workshop's commands: `bmd-edge validate`, `world`, `calibrate` and `drift`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bmd_edge.cli.options import (
    BundleArgument,
    BundleOption,
    DeviceOption,
    FormerRecalibrationOption,
    JsonOption,
    RecalibrationOption,
    ThreadsOption,
    either_recalibration,
)

if TYPE_CHECKING:
    from calibration.validate.validate import Validation


KnownOption = Annotated[
    list[Path] | None,
    typer.Option(help="A film table or training run that the bundle has learned from; repeatable."),
]
AcceptOption = Annotated[
    list[str] | None, typer.Option(metavar="LIMIT", help="Limit to keep, such as rmse_gcm2<=0.07; repeatable.")
]
PlanOption = Annotated[Path | None, typer.Option(help="Plan of `study freeze`: every deviation is named.")]
PlanKeyOption = Annotated[Path | None, typer.Option(help="Public key that verifies the plan's signature, PEM.")]
SummaryOption = Annotated[
    Path | None, typer.Option(help="Write what may leave the clinic, for `study pool`: no patient's value.")
]
ReleaseOption = Annotated[
    bool, typer.Option("--release-table", help="Let --summary tell the 2x2 table of the primary aim.")
]


def validate(
    bundle: BundleArgument = None,
    table: Annotated[Path | None, typer.Option(help="Film table with DEXA; its films are whole DICOM films.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for page, figures and pairs.")] = Path(
        "bmd-edge-validation"
    ),
    split: Annotated[str, typer.Option(help="Rows to validate on; the others count as learned from.")] = "test",
    known: KnownOption = None,
    recalibration: RecalibrationOption = None,
    site: FormerRecalibrationOption = None,
    accept: AcceptOption = None,
    plan: PlanOption = None,
    plan_key: PlanKeyOption = None,
    summary: SummaryOption = None,
    release_table: ReleaseOption = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Measure a bundle against the DEXA of a film table, in every precision it holds.

    Writes validation.html, validation.json and pairs.csv into --out. Research use only, not for diagnosis.
    """
    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.cli.terminal import progress_bar
    from bmd_edge.errors import UsageError
    from calibration.study.deviations import against_plan
    from calibration.study.frozen import checked_plan, signature_of
    from calibration.study.summary import check_release, share
    from calibration.validate.acceptance import accept as judge
    from calibration.validate.acceptance import limit
    from calibration.validate.earlier_report import check_report
    from calibration.validate.validate import validate as measure

    if table is None:
        raise UsageError("validate needs --table TABLE, a film table with DEXA")
    line = either_recalibration(recalibration, site)
    check_report(out / "validation.json", verified := read_bundle(bundle), [table], split, line)
    limits, planned = [limit(text) for text in accept or ()], checked_plan(plan, plan_key)
    check_release(summary, planned, table, split, release_table=release_table)
    with progress_bar() as progress:
        made = measure(
            verified,
            table,
            split=split,
            known=known or (),
            recalibration=line,
            device=device,
            threads=threads,
            progress=progress,
        )
    judge(made.facts, limits)
    if plan and planned:
        signed, earlier = signature_of(plan).is_file(), out / "validation.json"
        against_plan(made, planned, table, split, verified=plan_key is not None, signed=signed, earlier=earlier)
    _write(made, out)
    _say(made.facts, out)
    if summary:
        share(summary, made, table, split, release_table=release_table)
    if any(finding["severity"] == "error" for finding in made.facts["findings"]):
        raise typer.Exit(3)


def _write(made: "Validation", out: Path) -> None:
    import json

    from bmd_edge.system.files import replace_file
    from calibration.pairs.pairs import write_pairs
    from calibration.validate.page import write_page

    out.mkdir(parents=True, exist_ok=True)
    with replace_file(out / "validation.json") as file:
        file.write(json.dumps(made.facts, indent=1, allow_nan=False) + "\n")
    write_pairs(out / "pairs.csv", made.pairs, made.left_out)
    write_page(out / "validation.html", made)


def _say(facts: dict[str, Any], out: Path) -> None:
    """The few figures that everyone asks for first, on stdout; findings and places on stderr."""
    from bmd_edge.report.pages import SITE_NAMES
    from bmd_edge.report.safe_text import visible

    for precision, one in facts["precisions"].items():
        for site, found in one["sites"].items():
            figures = {
                name: _said(found["figures"][name]) for name in ("r", "rmse_gcm2", "bias_gcm2", "slope", "coverage")
            }
            typer.echo(f"{SITE_NAMES[site]}, {precision}: {found['hips']} hips of {found['subjects']} subjects")
            typer.echo(f"  r {figures['r']}, RMSE {figures['rmse_gcm2']}, bias {figures['bias_gcm2']} g/cm2,")
            typer.echo(f"  slope {figures['slope']}, 90 % interval covers {figures['coverage']}")
            for baseline in filter(None, facts["knowledge"][precision].get(site, {}).values()):
                typer.echo(f"  {baseline['sentence']}")
    typer.echo(f"{facts['use']} {visible(facts['notice'])}")
    for finding in facts["findings"]:
        hips = f" [{finding['hips']} hips]" if finding["hips"] else ""
        typer.echo(visible(f"{finding['severity']}: {finding['sentence']}{hips}"), err=True)
    typer.echo(f"Report: {out / 'validation.html'}; figures: {out / 'validation.json'}, pairs.csv", err=True)


def _said(figure: dict[str, Any]) -> str:
    ends = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return "-" if figure["value"] is None else f"{figure['value']:.3f}{ends}"


def world(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="WORLD[:NAME]=TABLE", help="Film tables, each synthetic, foreign or real: real:ours=films.csv."
        ),
    ] = None,
    bundle: BundleOption = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for page and figures.")] = Path("bmd-edge-world"),
    split: Annotated[str, typer.Option(help="Rows to score on; the others count as learned from.")] = "test",
    known: KnownOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Score a bundle on synthetic, foreign and real films side by side: refusals, landmarks, BMD, intervals, flags.

    Writes world.html and world.json into --out. What a table says beside DEXA stands in its columns x_status,
    x_<landmark>_x_px, x_<landmark>_y_px, x_mm_per_px and x_style. Research use only, not for diagnosis.
    """
    import json

    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.cli.terminal import progress_bar
    from bmd_edge.system.files import replace_file
    from calibration.validate.earlier_report import check_report
    from calibration.world.page import write_page
    from calibration.world.world import named_tables, score

    named = named_tables(tables or [])
    check_report(out / "world.json", verified := read_bundle(bundle), [table.path for table in named], split)
    with progress_bar() as progress:
        made = score(
            verified,
            named,
            split=split,
            known=known or (),
            device=device,
            threads=threads,
            progress=progress,
        )
    out.mkdir(parents=True, exist_ok=True)
    with replace_file(out / "world.json") as file:
        json.dump(made.facts, file, indent=1, allow_nan=False)
        file.write("\n")
    write_page(out / "world.html", made)
    _say_worlds(made.facts, out)
    if any(finding["severity"] == "error" for one in made.facts["worlds"] for finding in one["findings"]):
        raise typer.Exit(3)


def _say_worlds(facts: dict[str, Any], out: Path) -> None:
    """Of each world the few figures that everyone asks for first, on stdout; findings and places on stderr."""
    from bmd_edge.report.pages import SITE_NAMES
    from bmd_edge.report.safe_text import visible

    for one in facts["worlds"]:
        none = one["false_reads"]
        typer.echo(visible(f"{one['name']} ({one['world']}): {one['hips']} hips on {one['table']['films']} films"))
        if none["hips"]:
            typer.echo(f"  numbers where none may stand: {none['read']} of {none['hips']}")
        for whole in one["groups"][:1]:
            core = whole["landmarks"]["core"]
            typer.echo(
                f"  intact hips with a number: {whole['read']} of {whole['hips']}, {whole['flagged']} flagged;"
                f" landmarks {_said(core['median_mm'])} mm, 95th percentile {_said(core['p95_mm'])}"
            )
            for site, found in whole["sites"].items():
                if found["hips"]:
                    r, rmse, bias, slope, coverage = (
                        _said(found["figures"][name])
                        for name in ("r", "rmse_gcm2", "bias_gcm2", "slope_on_truth", "coverage")
                    )
                    typer.echo(f"  {SITE_NAMES[site]}, {found['hips']} hips: r {r}, RMSE {rmse}, bias {bias} g/cm2,")
                    typer.echo(f"    slope on DEXA {slope}, 90 % interval covers {coverage}")
        for finding in one["findings"]:
            hips = f" [{finding['hips']} hips]" if finding["hips"] else ""
            typer.echo(visible(f"{one['name']}: {finding['severity']}: {finding['sentence']}{hips}"), err=True)
    typer.echo(f"{facts['use']} {visible(facts['notice'])}")
    typer.echo(f"Report: {out / 'world.html'}; figures: {out / 'world.json'}", err=True)


def calibrate(
    bundle: BundleArgument = None,
    table: Annotated[Path | None, typer.Option(help="Film table; its split `calibrate` holds films with DEXA.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="File of the recalibration.")] = Path("recalibration.json"),
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Recalibrate a bundle with films and DEXA of one clinic; the bundle itself stays as it is.

    `bmd-edge screen --recalibration FILE` uses what this writes; leaving it out undoes it. Research use only.
    """
    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.cli.terminal import progress_bar
    from bmd_edge.errors import UsageError
    from bmd_edge.report.safe_text import visible
    from calibration.fit.recalibration import calibrate as fitted
    from calibration.fit.recalibration import check_file, write_recalibration
    from calibration.fit.words import said

    if table is None:
        raise UsageError("calibrate needs --table TABLE, a film table with DEXA")
    check_file(out, verified := read_bundle(bundle), table)
    with progress_bar() as progress:
        found = fitted(verified, table, device, threads, progress)
    write_recalibration(out, found.file)
    for line in said(found):
        typer.echo(line)
    for finding in found.findings:
        typer.echo(visible(f"{finding.severity}: {finding.sentence}"), err=True)
    typer.echo(f"Use it with: bmd-edge screen FOLDER --recalibration {out}; leaving it out undoes it.", err=True)


def drift(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Folders of `bmd-edge screen`, oldest first.")
    ] = None,
    bundle: BundleOption = None,
    baseline: Annotated[
        list[Path] | None,
        typer.Option(help="Run of a time known to be good: the charts start from its means; repeatable."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether the films of screening runs have drifted from those the bundle was calibrated with, and what moved.

    Exit code 3 if a chart is in alarm. Films are taken run by run, sorted by path; those of one study count once.
    """
    import json

    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.errors import UsageError
    from calibration.drift.watch import reports_of, watch

    opened = read_bundle(bundle)
    if not runs:
        raise UsageError("drift needs the --out folder of a screening run")
    kept = [[report for run in some for report in reports_of(run, opened)] for some in (runs, baseline or [])]
    charts, studies = watch(kept[0], opened, kept[1])
    drifted = any(chart.alarm_at for chart in charts.values())
    if as_json:
        from dataclasses import asdict

        facts = {"bundle_digest": opened.digest, "studies": studies, "drifted": drifted}
        typer.echo(json.dumps(facts | {"charts": {name: asdict(one) for name, one in charts.items()}}, indent=1))
    else:
        _say_drift(charts, studies, {report.film_id: report.file for report in kept[0]})
        if drifted and not baseline:
            typer.echo(
                "A clinic with one X-ray unit may lie off a bundle of many from its first film on: --baseline RUN, a"
                " run of a time known to be good, starts from its own means."
            )
    raise typer.Exit(3 if drifted else 0)


def _say_drift(charts: dict[str, Any], studies: int, files: dict[str | None, str | None]) -> None:
    from bmd_edge.report.safe_text import visible
    from calibration.drift.watch import sentence
    from calibration.drift.watched_features import MIN_STUDIES

    few = f": few, a shift is seen within tens of them; from {MIN_STUDIES} on a run may be a --baseline"
    typer.echo(f"{studies} {'study' if studies == 1 else 'studies'}{few if studies < MIN_STUDIES else ''}")
    typer.echo("limits for less than one false alarm in 10,000 studies")
    for name, chart in charts.items():
        if not chart.alarm_at:
            typer.echo(
                f"{name:<10} in control: T2 {chart.last:.1f}, highest {chart.highest:.1f}, limit {chart.limit:.1f}"
            )
            continue
        film = f"{visible(files.get(chart.film_id) or 'no file')}, film {chart.film_id}"
        now = "still in alarm" if chart.last > chart.limit else "back below the limit"
        typer.echo(
            f"{name:<10} DRIFT from study {chart.alarm_at} ({film}), {now}: T2 {chart.last:.1f},"
            f" limit {chart.limit:.1f}"
        )
        for moved in chart.moved:
            typer.echo(f"{'':<10}   {sentence(moved)}")
    if any(chart.alarm_at for chart in charts.values()):
        typer.echo("Find out what changed; then `bmd-edge calibrate` with films of now, or have a bundle made anew.")
