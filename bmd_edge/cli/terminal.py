"""What `screen` and `demo` show in the terminal: the hips with a number, then what got none and what to do about it."""

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
from bmd_edge.errors import AT_ONCE, REFUSALS, remedy
from bmd_edge.language import ENGLISH, Language
from bmd_edge.report.copies import Copies, copies, count_copies, marked
from bmd_edge.report.film_report import (
    COPIES,
    COPIES_TO_DO,
    COUNTED_ONCE,
    EARLIER_FILMS,
    RESEARCH_USE,
    FilmReport,
    RunSummary,
    count,
)
from bmd_edge.report.in_words import some
from bmd_edge.report.results import json_line
from bmd_edge.report.safe_text import visible
from bmd_edge.screen.folder_plan import named
from bmd_edge.screen.ledger import Ledger

_FILMS_SHOWN = 200
_IN_CSV = " in results.csv"
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


def say(text: str) -> None:
    """Sentences to stderr; a terminal's lines end between words."""
    console = Console(stderr=True, highlight=False)
    if console.is_terminal:
        console.print(Text(text))
    else:
        sys.stderr.write(f"{text}\n")


def of_named(out: Path, summary: RunSummary, films: Path) -> RunSummary:
    """What a run says of the folder or the film that was named; nothing of others that `out` knows."""
    with _told(out, films) as ledger:
        if not ledger.per_folder(others=True):
            return summary
        marks = _marks(ledger, summary)
        found = count(marked(report, marks) for report in ledger.reports(named=True))
    return replace(summary, copies=count_copies(marks), **found)


def print_results(out: Path, summary: RunSummary, films: Path, language: Language = ENGLISH) -> None:
    """Print what a finished run says of the folder or film that was named to stdout, at the width of the terminal."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    with _told(out, films) as ledger:
        marks = _marks(ledger, summary)
        without = _without(_counted(ledger, marks), language)
        _print_without(console, without, language, at_once=True)
        if summary.hips["read"]:
            with_number = (report for report in _counted(ledger, marks) if report.status == "read")
            print_hips(console, islice(with_number, _FILMS_SHOWN), language)
            if (n := summary.films["read"]) > _FILMS_SHOWN:
                of_all = "The first {shown} films; all {n} stand in results.csv."
                console.print(f"  {language(of_all, shown=_FILMS_SHOWN, n=n)}\n")
        _print_without(console, without, language, at_once=False)
        now = _of_films_there(ledger, summary, marks)
    _print_copies(console, marks, language)
    console.print(_counts(now, language))
    signature = summary.signature_said(language)
    networks = language("Networks: bundle {bundle}, {signature}.", bundle=visible(summary.bundle), signature=signature)
    console.print(networks, markup=False)
    console.print(_notice(summary, language), style="bold", markup=False)


def _notice(summary: RunSummary, language: Language) -> str:
    """What must stand beside numbers."""
    return f"{language(RESEARCH_USE)} {visible(language(summary.notice))}"


def print_lines(out: Path, summary: RunSummary, films: Path, language: Language = ENGLISH) -> None:
    """The lines of results.jsonl on what was named, to stdout; to stderr what must stand beside numbers."""
    with _told(out, films) as ledger:
        marks = copies(ledger.reports()) if summary.copies else {}
        sys.stdout.writelines(json_line(marked(report, marks)) + "\n" for report in ledger.reports(named=True))
    sys.stderr.write(f"{_notice(summary, language)}\n")


def besides(out: Path, films: Path) -> dict[str, int]:
    """How many results `out` holds besides those of what was named, by folder."""
    with _told(out, films) as ledger:
        return ledger.per_folder(others=True)


@contextmanager
def _told(out: Path, films: Path) -> Iterator[Ledger]:
    """The ledger in `out`, which speaks of what was named."""
    with closing(Ledger(out, to_read=True)) as ledger:
        ledger.enter(*named(films))
        yield ledger


def _marks(ledger: Ledger, summary: RunSummary) -> Copies:
    """Which files show one image; what was named is told of though files besides show it too."""
    if not summary.copies:
        return {}
    names = {report.file for report in ledger.reports(named=True)}
    doubts = ((key, mark) for key, mark in copies(ledger.reports()).items() if mark[0] not in COUNTED_ONCE)
    return copies(ledger.reports(named=True)) | {key: mark for key, mark in doubts if key[0] in names}


def _counted(ledger: Ledger, marks: Copies) -> Iterator[FilmReport]:
    """The reports on what was named, less those of copies."""
    reports = (marked(report, marks) for report in ledger.reports(named=True))
    return (report for report in reports if report.copy not in COUNTED_ONCE)


def _of_films_there(ledger: Ledger, summary: RunSummary, marks: Copies) -> RunSummary:
    """The same without the results of earlier films, which are missing now or whose names others have."""
    if not summary.not_there:
        return summary

    def there() -> Iterator[FilmReport]:
        named = (marked(report, marks) for report in ledger.reports(named=True))
        return (report for report in named if report.film_now not in EARLIER_FILMS)

    repeated = Counter(report.copy for report in there() if report.copy)
    return replace(summary, copies=dict(repeated), **count(there()))


def _counts(summary: RunSummary, language: Language) -> str:
    films, hips = summary.films, summary.hips
    said = language.counted(summary.files, "{n} file", "{n} files") + language(
        ": {read} read, {refused} refused, {failed} failed",
        read=films["read"], refused=films["refused"], failed=films["failed"],
    )  # fmt: skip
    if films["left_out"]:
        said += language(", {n} left out", n=films["left_out"])
    if summary.repeated:
        said += language(", {n} shown by another file", n=summary.repeated)
    numbers = language.counted(hips["read"], "{n} hip", "{n} hips")
    return said + language(". {hips} with a number, {refused} refused.", hips=numbers, refused=hips["refused"])


_Without = dict[tuple[bool, str, str], list[str]]
"""Names of what got no number, by (left out, reason, "hip" or "file")."""
_WITHOUT_SAID = {
    (True, "file"): ("{n} file left out.", "{n} files left out."),
    (False, "file"): ("{n} file without a number.", "{n} files without a number."),
    (False, "hip"): ("{n} hip without a number.", "{n} hips without a number."),
}
"""By (left out, "hip" or "file"): of one, and of more."""


def _without(reports: Iterable[FilmReport], language: Language) -> _Without:
    """What got no number."""
    names: _Without = {}
    unknown = language("side unknown")
    for report in reports:
        earlier = f" [{language(report.film_now)}]" * (report.film_now in EARLIER_FILMS)
        file, left_out = visible(report.file or "") + earlier, report.status == "left_out"
        for hip in report.hips:
            if hip.reason:
                names.setdefault((left_out, hip.reason, "hip"), []).append(f"{file} ({hip.side or unknown})")
        if report.reason and not report.hips:
            names.setdefault((left_out, report.reason, "file"), []).append(file)
    return names


def _print_without(console: Console, names: _Without, language: Language, *, at_once: bool) -> None:
    """By reason sentence, remedy, names: all of what somebody must read at once; of the rest the first names, first
    films, then what is none.
    """
    for (left_out, reason, kind), files in sorted(names.items(), key=lambda one: (one[0][0], -len(one[1]), one[0])):
        if (reason in AT_ONCE) != at_once:
            continue
        style, status = ("", "left_out") if left_out else ("yellow", "refused")
        what = language.counted(len(files), *_WITHOUT_SAID[left_out, kind])
        sentence = f"{what} {language(REFUSALS[reason].sentence)}"
        shown = ", ".join(files) if at_once else some(files, _IN_CSV, language)
        _print_named(console, sentence, language(remedy(reason, status)), shown, "bold red" if at_once else style)


def _print_copies(console: Console, marks: Copies, language: Language) -> None:
    """Which files show one image, or claim to."""
    names: dict[str, list[str]] = {}
    for (file, _), (kind, other) in marks.items():
        see = language("{file} (see {other})", file=visible(file or ""), other=visible(other or ""))
        names.setdefault(kind, []).append(see)
    for kind, files in names.items():
        if kind in COUNTED_ONCE:
            what, to_do, style = language.counted(len(files), "{n} copy.", "{n} copies."), "Counted once.", ""
        else:
            what = language.counted(len(files), "{n} file in conflict.", "{n} files in conflict.")
            to_do, style = COPIES_TO_DO[kind], "yellow"
        sentence = f"{what} {language(COPIES[kind])}"
        _print_named(console, sentence, language(to_do), some(files, _IN_CSV, language), style)


def _print_named(console: Console, sentence: str, to_do: str, files: str, style: str) -> None:
    console.print(sentence, style=style, markup=False)
    for text in (Text(to_do), Text(files, style="dim")):
        console.print(Padding(text, (0, 0, 0, 2), expand=False))
    console.print()
