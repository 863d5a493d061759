"""`bmd-edge table`: trains the units of the standard experiment that are missing, and makes the table."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from trainer.paper_table.units import TableSize, Unit
    from trainer.run.settings import BmdConfig


def table(
    out: Annotated[Path, typer.Option(help="Folder of the results; finished units in it are not run again.")],
    budget: Annotated[
        float,
        typer.Option(
            help="Share of films and of training steps; 200 labelled hips at least. Below 1 no figure is the table's."
        ),
    ] = 1.0,
    recipes: Annotated[str, typer.Option(help="Rows to make, with commas between them; all of them if empty.")] = "",
    seeds: Annotated[int, typer.Option(help="Trainings of each row.")] = 3,
    workers: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 2,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Make the table of the units that are there, and stop.")
    ] = False,
) -> None:
    """Reproduce the paper's table and two rows more, several seeds each, on phantom films. Figures are synthetic."""
    try:
        from trainer.paper_table.page import in_short, write_report
        from trainer.paper_table.units import RECIPES, TableSize, check_units
    except ModuleNotFoundError as error:
        from bmd_edge.errors import MissingExtra

        raise MissingExtra(error.name or "torch", "train") from error
    names = tuple(name.strip() for name in recipes.split(",") if name.strip())
    size = TableSize(budget, seeds, names or RECIPES)
    check_units(out / "units", size)
    if not report_only:
        make_missing(size, out, workers)
    command = f"bmd-edge table --budget {budget:g} --seeds {seeds}"
    command += "" if size.whole else f" --recipes {','.join(size.recipes)}"
    place = write_report(out, size, command)
    for line in in_short(json.loads(place.read_text(encoding="utf-8"))):
        typer.echo(line, err=True)
    typer.echo(place)
    typer.echo(f"To read: {out / 'table.md'} and table.png", err=True)


def make_missing(size: "TableSize", out: Path, workers: int) -> None:
    """Make the cohorts, then run the units that have no result yet, the table's first seeds first.

    Raises:
        UsageError: a unit in OUT was trained otherwise.
    """
    from trainer.commands import check_device
    from trainer.paper_table.effort import work
    from trainer.paper_table.units import check_units, chosen, settings, trials, units, write_films
    from trainer.phantom.cohort.plan import cohort_path
    from trainer.phantom.commands import with_progress

    folder, first = out / "units", trials(size.recipes)
    if not _missing(first, folder) and not _missing(units(size, chosen(folder, size.recipes)), folder):
        return
    check_device(settings(first[0], size))
    for line in work(size, folder, workers):
        typer.echo(line, err=True)
    for config in (size.cohort, size.second_cohort):
        with_progress(config, cohort_path(config), workers)
    write_films(size, folder)
    _train(_missing(first, folder), size, folder, workers)
    check_units(folder, size)  # now it is known which settings the others must have
    _train(_missing(units(size, chosen(folder, size.recipes)), folder), size, folder, workers)


def _missing(wanted: "list[Unit]", folder: Path) -> "list[Unit]":
    return [unit for unit in wanted if not (folder / f"{unit.name}.json").is_file()]


def _train(missing: "list[Unit]", size: "TableSize", folder: Path, workers: int) -> None:
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import active_children, get_context

    from trainer.paper_table.units import settings

    with ProcessPoolExecutor(workers, get_context("spawn"), _settle) as pool:
        # All settings are read now: a recipe that is edited meanwhile changes nothing.
        running = [pool.submit(_run, unit, settings(unit, size), size, folder) for unit in missing]
        try:
            for number, done in enumerate(as_completed(running), 1):
                typer.echo(f"{done.result()} ({number} of {len(missing)})", err=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in active_children():  # a unit goes on where it stopped, so nobody has to wait for its end
                worker.terminate()
            raise


def _settle() -> None:
    """A worker trains with one thread, and is as modest as one that makes films."""
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # read when numpy is imported, below
    from trainer.phantom.cohort.make import settle_worker

    settle_worker()


def _run(unit: "Unit", config: "BmdConfig", size: "TableSize", out: Path) -> str:
    from trainer.paper_table.units import run_unit

    run_unit(unit, config, size, out, lambda line: typer.echo(line, err=True))
    return unit.name
