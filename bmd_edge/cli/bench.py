"""The command bench."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bmd_edge.cli.options import BundleOption, JsonOption
from bmd_edge.errors import UsageError


def bench(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Films to measure with; default films made for it.")
    ] = None,
    bundle: BundleOption = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Films at a time; default one per CPU.")] = None,
    distinct: Annotated[int, typer.Option(min=1, help="Films made per transfer syntax, 9 Mpx each.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="How often stages and whole take turns.")] = 3,
    against: Annotated[
        str | None, typer.Option(help="plain: also the loop one would write with pydicom and torch (extra dev).")
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Measure the start instead: help, import, first result.")
    ] = False,
    day: Annotated[int | None, typer.Option(min=1, help="Screen so many films instead, and watch the memory.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast this machine screens: each stage alone, the whole, and the floor that the stages set."""
    from bmd_edge import bench as measure
    from bmd_edge.cli.terminal import print_bench, status

    if against not in (None, "plain"):
        raise UsageError("--against knows `plain` only")
    with status() as say:
        if cold:
            found: dict[str, Any] = measure.cold(bundle, say)
        elif day:
            found = measure.day(day, bundle, threads, min(distinct * 20, day), say)
        else:
            turns = measure.Turns(threads, distinct, rounds, plain=against is not None)
            found = measure.bench(folder, bundle, turns, say)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        print_bench(found)
