"""The export's command: `bmd-edge export`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from export.bundle.finder import Finder

PHANTOM_NOTICE = "Trained and measured on films of a digital hip phantom, never on patients."


def export(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Run folder of the BMD network; of several, their ensemble is made."),
    ],
    table: Annotated[
        Path, typer.Option(help="Film table; its split `calibrate` gives ranges, error budget and interval.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the bundle; replaced if it is one.")],
    finder: Annotated[Path | None, typer.Option(help="Run folder of a finder trained anew.")] = None,
    finder_bundle: Annotated[
        Path | None, typer.Option(help="Bundle whose finder is taken over; default the embedded one.")
    ] = None,
    finder_table: Annotated[Path | None, typer.Option(help="With --finder: film table with whole films.")] = None,
    finder_split: Annotated[str, typer.Option(help="Its splits that the finder has not learned from.")] = (
        "val,calibrate"
    ),
    version: Annotated[str, typer.Option(help="Name of this bundle in every result.")] = "local",
    training_data: Annotated[
        str | None, typer.Option(help="What the BMD network was trained on; needed unless that is the phantom.")
    ] = None,
    notice: Annotated[str | None, typer.Option(help="Sentence shown with every output.")] = None,
    unproven: Annotated[
        str | None, typer.Option(metavar="REASON", help="Pack a network that is not shown to know anything.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8/--no-int8", help="An INT8 model too; refused outside its budget.")
    ] = True,
    stretch: Annotated[
        bool, typer.Option("--stretch", help="Estimates that spread as DEXA does: the lowest are not read too high.")
    ] = False,
    report_memory: Annotated[
        bool, typer.Option("--report-memory", help="Watch the memory of the range pass over 2,000 films.")
    ] = False,
) -> None:
    """Turn a training run into a bundle: ONNX, INT8 inside an error budget, interval, self-test, model card.

    What was measured and tried lies in the run folder as export_report.html and export_report.json.
    """
    import logging

    try:
        from export.make_bundle import Options, Statement, check_requirements, export_bundle
        from trainer.adapt.record import with_other_networks
    except ModuleNotFoundError as error:
        from bmd_edge.errors import MissingExtra

        raise MissingExtra(error.name or "torch", "export") from error

    say = partial(typer.echo, err=True)
    _check_folders(runs, finder, finder_bundle, out)
    check_requirements(table, training_data, int8)
    made, runs = _made(runs, table, finder, int8, stretch), with_other_networks(runs)
    training_data, notice = _stated(table, training_data, notice, runs)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns of packages that this export does not need
    part = _finder(finder, finder_table or table, finder_split, finder_bundle, say)
    statement = Statement(version=version, **made, training_data=training_data, notice=notice, unproven=unproven)
    options = Options(int8=int8, stretch=stretch, memory=report_memory)
    bundle = export_bundle(runs, table, out, statement, finder=part, options=options, progress=say)
    typer.echo(f"{out} {bundle.manifest.version} {bundle.digest}")


def _check_folders(runs: list[Path], finder: Path | None, finder_bundle: Path | None, out: Path) -> None:
    """UsageError if a folder is not what is asked for: said before any film is read."""
    from bmd_edge.errors import UsageError
    from export.bundle.pack import check_out
    from trainer.networks.build import check_run

    if finder is not None and finder_bundle is not None:
        raise UsageError("--finder trains one anew, --finder-bundle takes one over: give one of them")
    check_out(out)
    for run in runs:
        check_run(run)
    if finder is not None:
        check_run(finder, finder=True)


def _finder(run: Path | None, table: Path, splits: str, bundle: Path | None, say: Callable[[str], None]) -> "Finder":
    """The finder of a run, measured on these films, or that of a bundle."""
    from bmd_edge.bundle.bundle import read_bundle
    from export.bundle.finder import finder_from_bundle, finder_from_run

    if run is not None:
        say("finder: measuring what an intact hip looks like to it")
        return finder_from_run(run, table, splits.split(","))
    part = finder_from_bundle(read_bundle(bundle))
    say(f"finder: taken over from bundle {part.facts['bundle_digest'][:16]}")
    return part


def _made(runs: list[Path], table: Path, finder: Path | None, int8: bool, stretch: bool) -> dict[str, str]:
    """Date and command of a bundle: UTC, and names instead of paths, for its manifest travels."""
    import datetime

    options = (f" --finder {finder.name}" if finder else "") + ("" if int8 else " --no-int8")
    options += " --stretch" if stretch else ""
    return {
        "created": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": f"bmd-edge export {' '.join(run.name for run in runs)} --table {table.name}{options}",
    }


def _stated(table: Path, training_data: str | None, notice: str | None, runs: list[Path]) -> tuple[str, str]:
    """What outputs say of the training: the phantom's words for a table of the phantom, else what the user states and
    what the networks went on from.
    """
    from bmd_edge.bundle.bundle import read_bundle
    from bmd_edge.bundle.manifest import PHANTOM
    from bmd_edge.table.film_table import read_table
    from export.onnx_file.from_run import run_facts

    if training_data is None or all("x_scene" in row.extra for row in read_table(table)):
        return training_data or PHANTOM, notice or PHANTOM_NOTICE
    embedded = read_bundle().manifest
    known = {facts.get("checkpoint_sha256") for facts in embedded.provenance.runs.values()}
    before = dict[str, None]()
    for facts in map(run_facts, runs):
        if "init" in facts:
            of_embedded = facts["init_checkpoint_sha256"] in known
            what = f", of the bundle {embedded.version} ({embedded.validity.training_data})" if of_embedded else ""
            before[f"the network of the run {facts['init']}{what}"] = None
    went_on = f", going on from {' and '.join(before)}" if before else ""
    return training_data + went_on, notice or f"BMD network trained on {training_data}{went_on}."
