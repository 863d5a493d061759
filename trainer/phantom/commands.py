"""`bmd-edge phantom OUT ...` makes a cohort; `bmd-edge phantom check` measures the phantom against its targets."""

import signal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from bmd_edge.cli.options import BundleArgument, JsonOption, PrecisionOption

if TYPE_CHECKING:
    from trainer.phantom.cohort.plan import CohortConfig


class DefaultGroup(TyperGroup):
    """A group whose first argument may be a folder: anything that is not a sub-command goes to `make`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `make` in front of arguments that name no sub-command."""
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=DefaultGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="The digital hip phantom: `phantom OUT` makes a cohort in the folder OUT (see `phantom make --help`).",
)


@app.callback()
def _group() -> None:
    """The digital hip phantom: `phantom OUT` makes a cohort in the folder OUT (see `phantom make --help`)."""


@app.command()
def make(
    out: Annotated[
        Path | None,
        typer.Argument(help="Folder of the cohort, finished if interrupted; left out: in the user's cache folder."),
    ] = None,
    labelled: Annotated[
        int, typer.Option(help="Labelled hips, split by subject 440 train : 150 val : 500 test.")
    ] = 1090,
    calibrate: Annotated[int, typer.Option(help="Labelled hips of the split calibrate.")] = 2000,
    unlabelled: Annotated[int, typer.Option(help="Hips without a label.")] = 8219,
    pelves: Annotated[
        int, typer.Option(help="Whole AP pelvis views; half as many single hips in wide poses come with them.")
    ] = 0,
    refusals: Annotated[
        int, typer.Option(help="Whole views to refuse: implant, fracture, wrong view, immature, cut off, not a hip.")
    ] = 0,
    dicom: Annotated[int, typer.Option(help="Whole films as DICOM, five transfer syntaxes in turn.")] = 0,
    poses: Annotated[
        int, typer.Option(help="Films of each labelled hip, and of one DICOM film in ten, each in another pose.")
    ] = 1,
    makers: Annotated[
        str, typer.Option(help="Styles that `--style named` draws from: makers' (A to H), or sites' (S1, S2 ...).")
    ] = "A,B,C,D,E",
    style: Annotated[str, typer.Option(help="named, random, wide (beyond what makers do) or mixed.")] = "named",
    seed: Annotated[int, typer.Option(help="Seed of the whole cohort.")] = 0,
    unseen: Annotated[bool, typer.Option("--unseen", help="Test films once more by the makers held out.")] = False,
    learn: Annotated[
        int, typer.Option(help="Subjects to learn from, most with wide anatomies: both hips of pelvis films, true BMD.")
    ] = 0,
    films: Annotated[
        int, typer.Option(help="Films of each subject to learn from and of each whole view: same bones, all else anew.")
    ] = 1,
    population: Annotated[
        str, typer.Option(help="Anatomies of all other subjects: screening, wide, or both mixed.")
    ] = "screening",
    split: Annotated[str, typer.Option(help="Split of every second --dicom subject: test or calibrate.")] = "test",
    workers: Annotated[int, typer.Option(help="Processes, one thread each.")] = 2,
) -> None:
    """Make a cohort: film table, regions and films; can be interrupted and run again."""
    from rich.console import Console

    from trainer.phantom.cohort.plan import CohortConfig, cohort_path

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a stopped run ends as tidily as an interrupted one
    names = tuple(name.strip().upper() for name in makers.split(",") if name.strip())
    console = Console(stderr=True)
    try:
        config = CohortConfig(
            labelled, calibrate, unlabelled, pelves, refusals, dicom, poses, names, style, seed, unseen, learn, films,
            population,
        )  # fmt: skip
        table = with_progress(config, out or cohort_path(config), workers, split)
    except KeyboardInterrupt:
        console.print("Interrupted; the same command goes on from here.")
        raise typer.Exit(1) from None
    typer.echo(table)


@app.command("check")
def check_command(
    hips: Annotated[int, typer.Option(help="Regions for the rows that read films (kept in the cache folder).")] = 300,
    people: Annotated[int, typer.Option(help="Subjects for the rows on the population.")] = 400,
    workers: Annotated[int, typer.Option(help="Processes, one thread each.")] = 2,
    table: Annotated[
        Path | None, typer.Option(help="Film table of a labelled cohort to read instead of making one.")
    ] = None,
) -> None:
    """Judge the phantom: its hips and films against targets.

    Mass, population, landmarks, gray levels, texture and speed are measured; no network is asked. Exit code 1 if a
    target is missed.
    """
    from rich.console import Console
    from rich.table import Table

    from trainer.phantom.judge.check import check

    console = Console(stderr=True)
    findings = []
    with console.status("Measuring the phantom") as status:
        for finding in check(hips, people, workers, table, lambda done, total: status.update(f"Films {done}/{total}")):
            findings.append(finding)
    shown = Table("check", "target", "value", "", title="What the digital hip phantom has to show (synthetic)")
    for f in findings:
        shown.add_row(f.name, f.target, f.value, {True: "pass", False: "FAIL", None: ""}[f.ok])
    Console().print(shown)
    if any(f.ok is not None and not f.ok for f in findings):
        raise typer.Exit(1)


@app.command("score")
def score_command(
    bundle: BundleArgument = None,
    n: Annotated[int, typer.Option(help="Fresh films to read, or subjects with --poses.")] = 2000,
    seed: Annotated[int, typer.Option(help="Seed of the films; no cohort shares one.")] = 7,
    poses: Annotated[
        int, typer.Option(help="Above 1: n subjects in so many poses each, and how far their estimates differ.")
    ] = 1,
    precision: PrecisionOption = "auto",
    workers: Annotated[int, typer.Option(help="Processes, one thread each.")] = 2,
    as_json: JsonOption = False,
) -> None:
    """Judge a bundle: fresh phantom films against the truth.

    Hips found and refused, landmarks and estimates are compared. Figures are synthetic. Research use only, not for
    diagnosis.
    """
    import json
    from functools import partial

    from bmd_edge.cli.terminal import progress_bar
    from trainer.phantom.judge.repeatability import repeatability
    from trainer.phantom.judge.score import score

    with progress_bar("phantom films scored") as tell:
        done = count(1)
        read = partial(repeatability, poses=poses) if poses > 1 else score
        figures = read(
            bundle, n, seed=seed, precision=precision, workers=workers, progress=lambda: tell(next(done), n * poses)
        )
    if as_json:
        typer.echo(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        if not isinstance(value, dict):
            typer.echo(f"{name.replace('_', ' '):34} {value}")
    for site, agreement in figures["bmd"].items():
        typer.echo(f"{site.replace('_', ' '):34} " + ", ".join(f"{key} {value}" for key, value in agreement.items()))
    typer.echo("Synthetic figures. Research use only, not for diagnosis.")


@app.command("reduced")
def reduced_command(
    bundle: BundleArgument = None,
    n: Annotated[int, typer.Option(help="Films, one intact hip each.")] = 120,
    seed: Annotated[int, typer.Option(help="Seed of the films; no cohort or score shares one.")] = 7,
    pixel_mm: Annotated[float, typer.Option(help="Pixel size at the detector.")] = 0.1,
    precision: PrecisionOption = "auto",
    workers: Annotated[int, typer.Option(help="Processes, one thread each.")] = 2,
) -> None:
    """How far reduced decoding moves the estimates of phantom films; prints JSON. Figures are synthetic."""
    import json

    from bmd_edge.cli.terminal import progress_bar
    from trainer.phantom.judge.reduced_decoding import compare

    with progress_bar("phantom films read whole and reduced") as tell:
        done = count(1)
        figures = compare(
            bundle, n, seed, pixel_mm, precision=precision, workers=workers, progress=lambda: tell(next(done), n)
        )
    typer.echo(json.dumps(figures, indent=1))


@app.command("shifted")
def shifted_command(
    n: Annotated[int, typer.Option(help="Hips, each in control and under every planted shift.")] = 250,
    workers: Annotated[int, typer.Option(help="Processes, one thread each.")] = 2,
) -> None:
    """Make regions of hips under planted shifts, for `python -m export.proofs.drift_delay`; prints the table."""
    from bmd_edge.cli.terminal import progress_bar
    from trainer.phantom.cohort.shifted import make_shifted

    with progress_bar("phantom films") as tell:
        typer.echo(make_shifted(n, workers, tell))


@app.command("demo")
def demo_command(data: Annotated[Path, typer.Argument(help="Folder that gets demo/ and demo.json.")]) -> None:
    """Make the films that `bmd-edge demo` screens, with the outcome each must have."""
    from trainer.phantom.cohort.demo import write_demo

    write_demo(data)


def with_progress(config: "CohortConfig", out: Path, workers: int, split: str = "test") -> Path:
    """Make or finish a cohort and tell how far it is; returns its film table, whose DICOM films `split` shares out."""
    from bmd_edge.cli.terminal import progress_bar
    from trainer.phantom.cohort.make import make_cohort
    from trainer.phantom.cohort.practice import check_split, share_out

    check_split(split)
    with progress_bar("phantom films") as tell:
        table = make_cohort(config, out, workers, tell)
    share_out(table, split)
    return table


if __name__ == "__main__":
    app()
