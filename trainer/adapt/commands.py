"""`bmd-edge adapt`: a network gets to know a clinic's films without DEXA."""

from pathlib import Path
from typing import Annotated

import typer

LABELLED, CALIBRATE, SEED = 600, 200, 38
"""Phantom hips that keep the network to what it knew: to learn from or choose by, and to judge by."""


def adapt(
    parent: Annotated[
        Path, typer.Argument(help="Bundle or run folder to adapt; `embedded` is the bundle of this installation.")
    ],
    films: Annotated[Path, typer.Argument(help="Folder of the clinic's films, of one maker, without DEXA.")],
    out: Annotated[Path, typer.Option(help="Run folder of the adapted network; one that was killed goes on.")],
    table: Annotated[
        Path | None,
        typer.Option(help="Film table of regions with BMD to keep to; left out: phantom films, made once."),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="Settings: a TOML file, or the name of a recipe that adapts.")
    ] = "statistics",
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one setting; repeatable.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make phantom films.")] = 2,
) -> None:
    """Adapt a network to a clinic's films without DEXA.

    Films are cut as in use, refused ones are listed in the run folder. `bmd-edge export` makes a bundle of the run,
    whose interval is on average never narrower than the parent's. Research use only, not for diagnosis.
    """
    try:
        from trainer.adapt.adapt import adapt as adapted
        from trainer.adapt.adapt import begin, check_same, check_start
        from trainer.adapt.clinic import refused_films, regions
        from trainer.adapt.parent import EMBEDDED
        from trainer.adapt.record import LEFT_OUT
        from trainer.phantom.cohort.plan import CohortConfig, cohort_path
        from trainer.phantom.commands import with_progress
    except ModuleNotFoundError as error:
        from bmd_edge.errors import MissingExtra

        raise MissingExtra(error.name or "torch", "train") from error
    from bmd_edge.cli.terminal import progress_bar
    from trainer.commands import changes
    from trainer.images.cut_rois import left_out_said

    network, settings = None if str(parent) == EMBEDDED else parent, changes(change or [])
    check_start(network, table, recipe, settings)
    begun = check_same(out, str(parent.resolve()), str(films.resolve()), str(table and table.resolve()))
    with progress_bar("hips found") as tell:
        hips, outcomes = regions(films, out / LEFT_OUT, tell)
    begin(out, begun)
    if refused := refused_films(outcomes):
        typer.echo(f"{left_out_said(refused, 'film')}. {out / LEFT_OUT} lists them.", err=True)
    if table is None:
        config = CohortConfig(LABELLED, CALIBRATE, 0, style="mixed", population="both", seed=SEED)
        table = with_progress(config, cohort_path(config), workers)

    def say(line: str) -> None:
        typer.echo(line, err=True)

    said = adapted(network, hips, table, out, recipe, settings, say)
    typer.echo(
        f"{out}: adapted without DEXA on {said['adapted_without_dexa_on_films']} films. Research use only, not for"
        " diagnosis."
    )
