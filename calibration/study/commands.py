"""`bmd-edge study`: plan, freeze and pool studies of the agreement with DEXA."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bmd_edge.cli.options import BundleOption

app = typer.Typer(
    help="Plan a study against DEXA, freeze the plan, pool the studies of several clinics. Research use only.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def plan(
    aim: Annotated[
        list[str] | None,
        typer.Option(
            "--aim",
            metavar="AIM",
            help="What is to be shown, the primary one first; repeatable: bias_gcm2<=0.02, rmse_gcm2<=0.07,"
            " loa_gcm2=+-0.02, coverage=0.85..1, sensitivity=0.90+-0.08, specificity=0.90+-0.05, sensitivity>=0.95-0.10"
            " (0.95 expected, 0.85 or more to be shown), auroc>=age-0.05, auroc>=ost-0.05, int8_rmse_change<=0.02.",
        ),
    ] = None,
    bundle: BundleOption = None,
    pilot: Annotated[Path | None, typer.Option(help="validation.json of earlier films of the clinic.")] = None,
    assume: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="What is known better, such as prevalence=0.25.")
    ] = None,
    subgroup: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SHARE", help="A part to look at, such as men=0.2; repeatable.")
    ] = None,
    power: Annotated[float, typer.Option(help="Probability of showing each aim.")] = 0.9,
    out: Annotated[Path, typer.Option("--out", "-o", help="Draft of the plan, for `study freeze`.")] = Path(
        "study-draft.json"
    ),
) -> None:
    """Say how many subjects and films a study needs, and what smaller ones could still show."""
    from dataclasses import asdict

    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.errors import UsageError
    from calibration.study import assumptions
    from calibration.study.aims import aims, check_aims
    from calibration.study.frozen import CUTS, write_draft
    from calibration.study.plan_page import said
    from calibration.study.sizes import planned
    from calibration.validate.validate import primary_of, rounded

    if not 0.5 <= power <= 0.99:
        raise UsageError("--power lies between 0.5 and 0.99")
    parts = assumptions.shares(subgroup or ())
    wanted = [one for text in aim or () for one in aims(text)]
    opened = read_bundle(bundle)
    precision = primary_of("cpu", opened.precisions("bmd"))
    points = opened.calibration[precision].operating_points
    check_aims(wanted, headline=points is not None, int8="int8" in opened.precisions("bmd"))
    known, other = assumptions.of_pilot(pilot, opened) if pilot else assumptions.of_bundle(opened, precision)
    known, other = assumptions.assumed(known, assume or ()), assumptions.given(other, assume or ())
    draft = {
        "bundle": opened.manifest.version,
        "bundle_digest": opened.digest,
        "precision": precision,
        "cuts": points and {name: getattr(points, name) for name in CUTS},
        "assumptions": asdict(known),
        "sizes": rounded(planned(wanted, known, parts, power, other)),
    }
    write_draft(out, draft)
    for line in said(draft):
        typer.echo(line)
    freezing = f"bmd-edge study freeze {out} --days DAYS --scale SCALE --dexa-maker NAME"
    typer.echo(f"Draft: {out}. Freeze it before the first result is seen: {freezing}", err=True)


@app.command()
def freeze(
    draft: Annotated[Path | None, typer.Argument(metavar="DRAFT", help="What `study plan` has written.")] = None,
    days: Annotated[int | None, typer.Option(help="Most days between film and DEXA.")] = None,
    scale: Annotated[str | None, typer.Option(help="Scale of the DEXA: hologic, lunar, norland or sbmd.")] = None,
    dexa_maker: Annotated[str | None, typer.Option(help="Maker and model of the DEXA.")] = None,
    subgroup: Annotated[
        list[str] | None,
        typer.Option(metavar="DIVISION", help="sex, age, BMI, maker, spacing or side; repeatable."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="WHOM", help="Whom the study leaves out; repeatable.")
    ] = None,
    refusals: Annotated[
        str, typer.Option(help="Films without a number: against (wrong answers) or left_out.")
    ] = "against",
    screened: Annotated[
        list[Path] | None,
        typer.Option(metavar="RUN", help="Folder of a screening run from before the plan; repeatable."),
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Private key to sign with, PEM.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The plan; its page lies beside it.")] = Path(
        "study-plan.json"
    ),
) -> None:
    """Freeze a plan before its results: one JSON file with time and digest, signed with --key, and a page to print."""
    from datetime import UTC, datetime

    from calibration.study import frozen
    from calibration.study.plan_page import write_page

    path, fields = _fields(
        draft, days=days, scale=scale, dexa_maker=dexa_maker, subgroups=subgroup or (), refusals=refusals
    )
    frozen.check_place(out)
    sign = frozen.signer(key) if key else None
    made = frozen.frozen(
        frozen.read_draft(path),
        datetime.now(UTC),
        exclusions=tuple(exclude or ()),
        screened=frozen.screened_films(screened or ()),
        **fields,
    )
    frozen.write_plan(out, made)
    write_page(out.with_suffix(".html"), made)
    if sign:
        frozen.sign_plan(out, sign)
    if other := frozen.another_scale(made):
        typer.echo(f"warning: {other}", err=True)
    typer.echo(f"Frozen {made.made}, digest {made.digest}{'' if sign else ', not signed'}.")
    then = f"bmd-edge validate --table TABLE --plan {out} --out validation"
    typer.echo(f"Plan: {out}; to print: {out.with_suffix('.html')}. When the films are there: {then}", err=True)


def _fields(
    draft: Path | None,
    *,
    days: int | None,
    scale: str | None,
    dexa_maker: str | None,
    subgroups: Sequence[str],
    refusals: str,
) -> tuple[Path, dict[str, Any]]:
    """The draft, and the fields of the plan; UsageError names every one that is missing, or the one that is wrong."""
    from bmd_edge.errors import UsageError, none_of
    from bmd_edge.table.film_table import SCALES
    from calibration.study.frozen import MAX_DAYS, REFUSALS
    from calibration.validate.subgroups import PARTS

    scale, dexa_maker = (scale or "").strip().casefold(), (dexa_maker or "").strip()
    needed = {"DRAFT": draft, "--days": days, f"--scale ({', '.join(SCALES)})": scale, "--dexa-maker": dexa_maker}
    missing = [name for name, value in needed.items() if value in (None, "")]
    if draft is None or days is None or missing:
        raise UsageError(f"freeze needs {', '.join(missing)}")
    if scale not in SCALES:
        raise UsageError(f"--scale: {none_of(scale, SCALES)}")
    if not 0 <= days <= MAX_DAYS:
        raise UsageError(f"--days {days}: lies in 0-{MAX_DAYS}")
    if refusals not in REFUSALS:
        raise UsageError(f"--refusals: {none_of(refusals, REFUSALS)}")
    divisions = {name.casefold(): name for name in PARTS}
    if unknown := [name for name in subgroups if name.casefold() not in divisions]:
        raise UsageError(f"--subgroup: validate divides by none such, {none_of(unknown[0], PARTS)}")
    named = tuple(dict.fromkeys(divisions[name.casefold()] for name in subgroups))
    return draft, {
        "days": days, "scale": scale, "dexa_maker": dexa_maker, "subgroups": named, "refusals": refusals,
    }  # fmt: skip


@app.command()
def pool(
    summaries: Annotated[
        list[Path] | None, typer.Argument(metavar="SUMMARY", help="What `validate --summary` wrote in each clinic.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for page and figures.")] = Path("bmd-edge-pool"),
) -> None:
    """Combine the summaries of several clinics: fixed and random effects, heterogeneity, what a new clinic may expect.

    Writes pool.html and pool.json into --out. No film and no patient's value leaves a clinic for it.
    """
    from bmd_edge.errors import UsageError
    from bmd_edge.report.safe_text import visible
    from calibration.study.pool import pooled
    from calibration.study.pool_page import said, write_pool
    from calibration.study.summary import read_summary

    files = summaries or []
    names = [path.stem for path in files]
    if len(set(names)) < len(names):
        raise UsageError("two summaries have one name: each file's name stands for its clinic")
    facts = pooled({path.stem: read_summary(path) for path in files})
    write_pool(out, facts)
    for line in said(facts):
        typer.echo(line)
    for finding in facts["findings"]:
        typer.echo(visible(f"note: {finding}"), err=True)
    typer.echo(f"Report: {out / 'pool.html'}; figures: {out / 'pool.json'}", err=True)
