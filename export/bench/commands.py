"""The command `bench`; it needs the runtime only."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from bmd_edge.cli.options import BundleOption, JsonOption, ThreadsOption
from bmd_edge.cli.terminal import PIPED_WIDTH
from bmd_edge.errors import UsageError


def bench(
    folder: Annotated[
        Path | None, typer.Argument(metavar="FOLDER", help="Films to measure with; default films made for it.")
    ] = None,
    bundle: BundleOption = None,
    threads: ThreadsOption = None,
    distinct: Annotated[int, typer.Option(min=1, help="Films made per transfer syntax, 9 Mpx each.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="How often stages and whole take turns.")] = 3,
    against: Annotated[
        str | None,
        typer.Option(
            help="plain: also the loop one would write with pydicom and torch (extra dev). A checkout's folder: that"
            " build instead, in turns."
        ),
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Measure the start instead: help, import, first result.")
    ] = False,
    day: Annotated[int | None, typer.Option(min=1, help="Screen so many films instead, and watch the memory.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast this machine screens: each stage alone, the whole, and the floor that the stages set."""
    from bmd_edge.cli.terminal import status
    from export.bench import against as builds
    from export.bench import stages as measure

    with status() as say:
        if cold:
            found: dict[str, Any] = measure.cold(bundle, say)
        elif against not in (None, "plain"):
            if bundle or threads:
                raise UsageError("--against CHECKOUT measures each build with one worker and its own bundle")
            found = builds.compare(Path(against), folder, distinct, rounds, say)
        elif day:
            found = measure.day(day, bundle, threads, min(distinct * 20, day), say)
        else:
            turns = measure.Turns(threads, distinct, rounds, plain=against is not None)
            found = measure.bench(folder, bundle, turns, say)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    else:
        print_bench(found)


def print_bench(found: dict[str, Any]) -> None:
    """What `bench` measured, to stdout."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    if "sets" in found:
        _print_builds(found, console)
        return
    if "series" in found or "help_s" in found:
        for name, value in found.items():
            if name != "series":
                console.print(f"{name:<16} {value}", markup=False)
        return
    stages = list(next(iter(found["films"].values()))["stages"])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    for name in ("Films", "n", "films/s", "floor", "ratio", "plain", "times", "MB", *stages):
        table.add_column(name, justify="left" if name == "Films" else "right", no_wrap=True)
    for name, row in found["films"].items():
        plain = ("-", "-") if row["plain_films_per_s"] is None else (row["plain_films_per_s"], row["ratio_to_plain"])
        cells = (row["n"], row["films_per_s"], row["floor_films_per_s"], row["ratio_to_floor"], *plain)
        spent = [f"{1000 * row['stages'][stage]:.1f}" for stage in stages]
        table.add_row(name, *map(str, cells), str(row["peak_rss_mb"]), *spent)
    console.print(table)
    console.print(f"{found['threads']} workers on {found['cpus']} CPUs, bundle {found['bundle_digest'][:16]}.")
    console.print("Floor: CPUs over the CPU seconds of all stages. Stages in CPU milliseconds per film, alone.")
    if found["synthetic"]:
        console.print("The films are synthetic: embedded ones enlarged to 9 Mpx, 12 bits, with fresh noise.")


def _print_builds(found: dict[str, Any], console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    pairs = ("CPU, ms", "s", "faults", "MB")
    for name in (
        "Films",
        "n",
        *(f"{what}: other" if one else "this" for what in pairs for one in (1, 0)),
        "ratio",
        "95 %",
    ):
        table.add_column(name, justify="left" if name == "Films" else "right", no_wrap=True)
    for name, row in found["sets"].items():
        cells = [name, str(row["n"])]
        for key, factor, digits in (("cpu_s", 1000, 1), ("seconds", 1, 3), ("faults", 1, 0), ("peak_mb", 1, 0)):
            cells += [f"{factor * row[build][key]:.{digits}f}" for build in ("other", "this")]
        table.add_row(*cells, f"{row['ratio']:.3f}", "{:.3f} to {:.3f}".format(*row["interval"]))
    console.print(table)
    for build in ("other", "this"):
        facts = found[build]
        console.print(
            f"{build}: commit {facts['commit'] or 'unknown'}, bundle {facts['bundle_digest'][:16]}.", markup=False
        )
    console.print("Means per film of one worker; MB is its peak. Ratio: CPU time of this build over that of the other.")
