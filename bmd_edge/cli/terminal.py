"""What `screen` and `demo` show in the terminal: the hips with a number, then what got none and what to do about it."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.film_report import FILM_NOW, RESEARCH_USE, FilmReport, RunSummary, flags_of
from bmd_edge.report.safe_text import visible
from bmd_edge.screen.ledger import Ledger

_NAMES_SHOWN = 6
_FILMS_SHOWN = 200
_BANDS = {
    "low_suspected": Text("low BMD suspected", "bold red"),
    "refer_for_dxa": Text("refer for DXA", "bold yellow"),
    "not_suspected": Text("not suspected;\nlow BMD is not ruled out"),
    None: Text("-"),
}
PIPED_WIDTH = 140
_WIDE = 110


@contextmanager
def progress_bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, or nothing where stderr is no terminal; call it with (done, total)."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Films", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def status() -> Iterator[Callable[[str], None]]:
    """One line on stderr that says what is being done; call it with the text."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None  # noqa: ARG005
        return
    with console.status("") as line:
        yield lambda text: line.update(text)


@contextmanager
def build_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Progress of a build on stderr; call it with (phase, steps done, steps). Piped, each phase is said once."""
    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}")
    seen: set[str] = set()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Starting", total=None)

        def show(phase: str, done: int, total: int) -> None:
            bar.update(task, description=phase, completed=done, total=total)
            if not console.is_terminal and phase not in seen:
                console.print(f"{phase} ...", highlight=False, markup=False)
            seen.add(phase)

        yield show


def print_results(out: Path, summary: RunSummary) -> None:
    """Print the results of a finished run to stdout, at the width of the terminal."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    with closing(Ledger(out, to_read=True)) as ledger:
        if summary.hips["read"]:
            with_number = (report for report in ledger.reports() if report.status == "read")
            table, notes = _hip_table(islice(with_number, _FILMS_SHOWN), wide=console.width >= _WIDE)
            console.print(table)
            if summary.films["read"] > _FILMS_SHOWN:
                console.print(f"  The first {_FILMS_SHOWN} films; all {summary.films['read']} stand in results.csv.\n")
            for text, mark in notes.items():
                console.print(f"  {mark}  {text}", markup=False)
            console.print()
        _print_refusals(console, ledger.reports())
    films, hips = summary.films, summary.hips
    console.print(
        f"{sum(films.values())} files: {films['read']} read, {films['refused']} refused, {films['failed']} failed. "
        f"{hips['read']} hips with a number, {hips['refused']} refused."
    )
    console.print(f"{RESEARCH_USE} {visible(summary.notice)}", style="bold", markup=False)


def _hip_table(reports: Iterable[FilmReport], wide: bool) -> tuple[Table, dict[str, str]]:
    """One row per hip with a number, and the notes below it: text -> mark. The headline is that of the film."""
    notes: dict[str, str] = {}
    reports = list(reports)
    headlines = any(report.band for report in reports)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    interval = " (90 %)" if wide else "\n90 % interval"
    table.add_column("File", overflow="fold", ratio=1)
    if headlines and wide:
        table.add_column("Headline")
    table.add_column("Side")
    for site in ("Neck", "Hip"):
        table.add_column(f"{site}, g/cm²{interval}", no_wrap=True)
        table.add_column("T", justify="right", no_wrap=True)
    table.add_column("Notes", overflow="fold")
    for report in reports:
        headline = _BANDS[report.band] if headlines else None
        for hip in report.hips:
            if hip.status == "read":
                cells = [hip.side or "?"]
                texts = [*filter(None, [FILM_NOW[report.film_now]]), *(FLAGS[flag] for flag in flags_of(hip))]
                for row in hip.estimates:
                    cells += [_interval(row, wide), _t_score(row.t_score)]
                texts += [T_SCORE_REASONS[row.t_score_reason] for row in hip.estimates[:1] if row.t_score_reason]
                marks = [notes.setdefault(text, _mark(len(notes))) for text in texts]
                table.add_row(*_names(report, headline, wide), *map(Text, [*cells, " ".join(marks)]))
                headline = headline and Text("")  # beside the film's first hip only
    return table, notes


def _names(report: FilmReport, headline: Text | None, wide: bool) -> list[Text]:
    """The file's name and, if there is one, the headline: beside it, or below it where the terminal is narrow."""
    file = Text(visible(report.file or ""))
    if headline is None:
        return [file]
    return [file, headline] if wide else [Text("\n").join(filter(None, [file, headline]))]


def _interval(estimate: Estimate, wide: bool) -> str:
    bmd, low, high = (f"{value:.3f}" for value in (estimate.bmd_gcm2, estimate.low_gcm2, estimate.high_gcm2))
    return f"{bmd} ({low} to {high})" if wide else f"{bmd}\n{low}-{high}"


def _t_score(t_score: float | None) -> str:
    return "-" if t_score is None else f"{t_score:+.1f}"


def _mark(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else str(index - 25)


def _print_refusals(console: Console, reports: Iterable[FilmReport]) -> None:
    """What got no number, by reason: sentence, remedy, names."""
    names: dict[str, list[str]] = {}
    for report in reports:
        file = visible(report.file or "")
        for hip in report.hips:
            if hip.reason:
                names.setdefault(hip.reason, []).append(f"{file} ({hip.side or 'side unknown'})")
        if report.reason and not report.hips:
            names.setdefault(report.reason, []).append(file)
    for reason, files in sorted(names.items(), key=lambda item: (-len(item[1]), item[0])):
        console.print(f"{len(files)} without a number. {REFUSALS[reason].sentence}", style="yellow", markup=False)
        console.print(Padding(Text(REFUSALS[reason].remedy), (0, 0, 0, 2)))
        more = [f"and {len(files) - _NAMES_SHOWN} more in results.csv"] if len(files) > _NAMES_SHOWN else []
        console.print(Padding(Text(", ".join(files[:_NAMES_SHOWN] + more), style="dim"), (0, 0, 1, 2)))
