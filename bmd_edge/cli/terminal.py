"""What `screen` and `demo` show in the terminal: the hips with a number, then what got none and what to do about it."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from bmd_edge.cli.hips_shown import print_hips
from bmd_edge.cli.minutes import Minutes
from bmd_edge.errors import REFUSALS
from bmd_edge.report.copies import Copies, copies, marked
from bmd_edge.report.film_report import COPIES, COUNTED_ONCE, RESEARCH_USE, FilmReport, RunSummary, count
from bmd_edge.report.safe_text import visible
from bmd_edge.screen.ledger import Ledger

_NAMES_SHOWN = 6
_FILMS_SHOWN = 200
PIPED_WIDTH = 140


@contextmanager
def progress_bar(what: str = "films") -> Iterator[Callable[[int, int], None]]:
    """Progress on stderr, called with (done, total): a bar on a terminal, a line a minute in a file or pipe."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Minutes(what)
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None)
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


def of_film(out: Path, summary: RunSummary, film: str) -> RunSummary:
    """What a run says of the one film that was named; nothing of others that `out` knows."""
    with closing(Ledger(out, to_read=True)) as ledger:
        found = count(report for report in ledger.reports() if report.file == film)
        kinds = Counter(kind for kind, _ in _marks(ledger, summary, film).values())
    why = replace(summary, film_reasons=found["film_reasons"], hip_reasons=found["hip_reasons"], copies=dict(kinds))
    return replace(why, films=found["films"], hips=found["hips"], not_there=found["not_there"])


def print_results(out: Path, summary: RunSummary, film: str | None = None) -> None:
    """Print the results of a finished run to stdout, at the width of the terminal; or those of one `film`."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    with closing(Ledger(out, to_read=True)) as ledger:
        marks = _marks(ledger, summary, film)
        if summary.hips["read"]:
            with_number = (report for report in _counted(ledger, marks, film) if report.status == "read")
            print_hips(console, islice(with_number, _FILMS_SHOWN))
            if summary.films["read"] > _FILMS_SHOWN:
                console.print(f"  The first {_FILMS_SHOWN} films; all {summary.films['read']} stand in results.csv.\n")
        _print_without(console, _counted(ledger, marks, film))
    _print_copies(console, marks)
    console.print(_counts(summary))
    console.print(f"Bundle {visible(summary.bundle)}, {summary.signature_said}.", markup=False)
    console.print(f"{RESEARCH_USE} {visible(summary.notice)}", style="bold", markup=False)


def print_lines(out: Path, summary: RunSummary, film: str | None = None) -> None:
    """The lines of results.jsonl to stdout, or that of one `film`; to stderr what must stand beside numbers."""
    lines = (out / "results.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    sys.stdout.writelines(line for line in lines if film is None or json.loads(line)["file"] == film)
    sys.stderr.write(f"{RESEARCH_USE} {visible(summary.notice)}\n")


def _marks(ledger: Ledger, summary: RunSummary, film: str | None) -> Copies:
    """Which files show one image; a film that was named is told of though another file shows it too."""
    marks = copies(ledger.reports()) if summary.copies else {}
    if film is None:
        return marks
    return {key: mark for key, mark in marks.items() if key[0] == film and mark[0] not in COUNTED_ONCE}


def _counted(ledger: Ledger, marks: Copies, film: str | None) -> Iterator[FilmReport]:
    """The reports, less those of copies; or that of one film."""
    reports = (marked(report, marks) for report in ledger.reports() if film in (None, report.file))
    return (report for report in reports if report.copy not in COUNTED_ONCE)


def _counts(summary: RunSummary) -> str:
    films, hips = summary.films, summary.hips
    also = f", {films['left_out']} left out" * (films["left_out"] > 0)
    also += f", {summary.repeated} shown by another file" * (summary.repeated > 0)
    return (
        f"{_counted_as(summary.files, 'file')}: {films['read']} read, {films['refused']} refused, {films['failed']}"
        f" failed{also}. {_counted_as(hips['read'], 'hip')} with a number, {hips['refused']} refused."
    )


def _counted_as(n: int, kind: str) -> str:
    return f"{n} {kind}{'' if n == 1 else 's'}"


def _print_without(console: Console, reports: Iterable[FilmReport]) -> None:
    """What got no number, by reason: sentence, remedy, names; first films, then what is none."""
    names: dict[tuple[bool, str, str], list[str]] = {}
    for report in reports:
        file, left_out = visible(report.file or ""), report.status == "left_out"
        for hip in report.hips:
            if hip.reason:
                names.setdefault((left_out, hip.reason, "hip"), []).append(f"{file} ({hip.side or 'side unknown'})")
        if report.reason and not report.hips:
            names.setdefault((left_out, report.reason, "file"), []).append(file)
    for (left_out, reason, kind), files in sorted(names.items(), key=lambda one: (one[0][0], -len(one[1]), one[0])):
        what, style = ("left out", "") if left_out else ("without a number", "yellow")
        sentence = f"{_counted_as(len(files), kind)} {what}. {REFUSALS[reason].sentence}"
        _print_named(console, sentence, REFUSALS[reason].remedy, files, style)


def _print_copies(console: Console, marks: Copies) -> None:
    """Which files show one image, or claim to."""
    names: dict[str, list[str]] = {}
    for (file, _), (kind, other) in marks.items():
        names.setdefault(kind, []).append(f"{visible(file or '')} (see {visible(other or '')})")
    for kind, files in names.items():
        if kind in COUNTED_ONCE:
            what = "copy" if len(files) == 1 else "copies"
            _print_named(console, f"{len(files)} {what}. {COPIES[kind]}", "Counted once.", files, "")
        else:
            sentence = f"{len(files)} in conflict. {COPIES[kind]}"
            _print_named(console, sentence, "Each is counted; find out which is right.", files, "yellow")


def _print_named(console: Console, sentence: str, remedy: str, files: list[str], style: str) -> None:
    console.print(sentence, style=style, markup=False)
    console.print(Padding(Text(remedy), (0, 0, 0, 2)))
    more = [f"and {len(files) - _NAMES_SHOWN} more in results.csv"] if len(files) > _NAMES_SHOWN else []
    console.print(Padding(Text(", ".join(files[:_NAMES_SHOWN] + more), style="dim"), (0, 0, 1, 2)))
