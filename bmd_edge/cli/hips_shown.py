"""The hips with a number as a terminal shows them: in a table, or one below the other where it is too narrow."""

import re
from collections.abc import Iterable, Iterator

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bmd_edge.errors import caution
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.headline import CUTS_TAKE
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.film_report import FILM_NOW, FilmReport, HipReport, flags_of
from bmd_edge.report.safe_text import visible
from bmd_edge.report.worklist import no_headline

LIST_BELOW, _ONE_LINE, _WIDE = 80, 120, 140
"""Columns of a terminal: from which on there is a table, intervals stand in one line, headlines in a column."""
_HEADLINES = {
    "low_suspected": ("low BMD suspected", "bold red"),
    "refer_for_dxa": ("refer for DXA", "bold yellow"),
    "not_suspected": ("not suspected; low BMD is not ruled out", ""),
}
_HEADLINE_WIDTH = 24


def print_hips(console: Console, reports: Iterable[FilmReport]) -> None:
    """Print every hip with a number beside its film, and what the letters beside it mean."""
    notes: dict[str, str] = {}
    show = _list if console.width < LIST_BELOW else _table
    console.print(show(list(reports), console.width, notes))
    for text, mark in notes.items():
        console.print(Padding(Text(f"{mark}  {text}"), (0, 0, 0, 2), expand=False))
    console.print()


def _table(reports: list[FilmReport], width: int, notes: dict[str, str]) -> Table:
    """One row per hip with a number. The headline is that of the film: in a column, or below the film's name."""
    one_line = width >= _ONE_LINE
    apart = width >= _WIDE and any(report.band for report in reports)
    number, notes_width, gap = 22 if one_line else 11, 5 if width < 100 else 9, 3 if width >= _WIDE else 2
    # Side, two numbers with their T, notes, gaps and edges: the rest is the name's.
    room = width - (4 + 2 * (number + 4) + notes_width + 6 * gap + 2) - (_HEADLINE_WIDTH + gap) * apart
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, gap - 2))  # and one that the box puts between
    table.add_column("File", overflow="fold", max_width=room)
    if apart:
        table.add_column("Headline", max_width=_HEADLINE_WIDTH)
    table.add_column("Side")
    for site in ("Neck", "Hip"):
        table.add_column(f"{site}, g/cm²{' ' if one_line else chr(10)}(90 %)", no_wrap=True)
        table.add_column("T", justify="right", no_wrap=True)
    table.add_column("Notes", max_width=notes_width)
    for report, hip, first in _rows(reports):
        name = Text(_in_lines(visible(report.file or ""), room))
        headline = _headline(report, apart) if first else Text()
        names = [name, headline] if apart else [Text("\n").join(filter(None, [name, headline]))]
        cells = [hip.side or "?"]
        for row in hip.estimates:
            cells += [_interval(row, one_line), _t_score(row.t_score)]
        table.add_row(*names, *map(Text, [*cells, _marks(report, hip, notes)]))
    return table


def _list(reports: list[FilmReport], width: int, notes: dict[str, str]) -> Group:
    """A few lines per hip: film and side, then the numbers."""
    lines: list[Text | Padding] = []
    for report, hip, first in _rows(reports):
        lines.append(Text(f"{_in_lines(visible(report.file or ''), width - 4)} ({hip.side or '?'})", "bold"))
        for site, row in zip(("neck", "hip "), hip.estimates, strict=True):
            lines.append(Text(f"  {site} {_interval(row, True)}  T {_t_score(row.t_score)}"))
        if first and report.band:
            lines.append(Padding(_headline(report, False), (0, 0, 0, 2)))
        lines.append(Text(f"  notes {_marks(report, hip, notes) or '-'}"))
    return Group(*lines, Text())


def _rows(reports: list[FilmReport]) -> Iterator[tuple[FilmReport, HipReport, bool]]:
    """Every hip with a number, with its film, and whether it is the film's first."""
    for report in reports:
        first = True
        for hip in report.hips:
            if hip.status == "read":
                yield report, hip, first
                first = False


def _headline(report: FilmReport, apart: bool) -> Text:
    """In a column of its own it has two lines, and a dash where there is none."""
    words, style = _HEADLINES[report.band] if report.band else ("-" * apart, "")
    return Text(words.replace("; ", ";\n") if apart else words, style)


def _marks(report: FilmReport, hip: HipReport, notes: dict[str, str]) -> str:
    """The letters of the notes of a hip; new ones are added to `notes`: text -> letter."""
    texts = [*filter(None, [FILM_NOW[report.film_now]]), *(caution(flag) for flag in flags_of(hip))]
    if withheld := hip.estimates[0].t_score_reason:
        texts.append(T_SCORE_REASONS[withheld])
    elif why := no_headline(report):
        texts.append(f"{why} They take {CUTS_TAKE}.")
    return " ".join(notes.setdefault(text, _mark(len(notes))) for text in texts)


def _in_lines(name: str, room: int) -> str:
    """A name in lines of `room` cells, broken behind a separator; what has none in so long is broken anywhere."""
    lines = [""]
    for part in re.findall(r"[^/_ -]+[/_ -]*|[/_ -]+", name):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > room:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _interval(estimate: Estimate, one_line: bool) -> str:
    bmd, low, high = (f"{value:.3f}" for value in (estimate.bmd_gcm2, estimate.low_gcm2, estimate.high_gcm2))
    return f"{bmd} ({low} to {high})" if one_line else f"{bmd}\n{low}-{high}"


def _t_score(t_score: float | None) -> str:
    return "-" if t_score is None else f"{t_score:+.1f}"


def _mark(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else str(index - 25)
