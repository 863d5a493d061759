"""The hips with a number as a terminal shows them: in a table, or one below the other where it is too narrow."""

import re
from collections.abc import Iterable, Iterator

from rich import box
from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from bmd_edge.language import ENGLISH, Language
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.headline import CUTS_TAKE
from bmd_edge.measure.t_score import T_SCORE_REASONS
from bmd_edge.report.film_report import FILM_NOW, FilmReport, HipReport, caution, flags_of
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


def print_hips(console: Console, reports: Iterable[FilmReport], language: Language = ENGLISH) -> None:
    """Print every hip with a number beside its film, and what the letters beside it mean."""
    notes: dict[str, str] = {}
    show = _list if console.width < LIST_BELOW else _table
    console.print(show(list(reports), console.width, notes, language))
    for text, mark in notes.items():
        console.print(Padding(Text(f"{mark}  {text}"), (0, 0, 0, 2), expand=False))
    console.print()


def _table(reports: list[FilmReport], width: int, notes: dict[str, str], language: Language) -> Table:
    """One row per hip with a number. The headline is that of the film: in a column, or below the film's name."""
    one_line = width >= _ONE_LINE
    apart = width >= _WIDE and any(report.band for report in reports)
    side, marks = language("Side"), language("Notes")
    sites = [
        f"{site}{' ' if one_line else chr(10)}(90 %)" for site in (language("Neck, g/cm²"), language("Hip, g/cm²"))
    ]
    numbers = _in_cells(0.0, 0.0, 0.0, one_line, language)
    number = max(cell_len(line) for text in (*sites, numbers) for line in text.splitlines())
    notes_width, gap = max(5, cell_len(marks)) if width < 100 else 9, 3 if width >= _WIDE else 2
    # Side, two numbers with their T, notes, gaps and edges: the rest is the name's.
    room = width - (cell_len(side) + 2 * (number + 4) + notes_width + 6 * gap + 2) - (_HEADLINE_WIDTH + gap) * apart
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, gap - 2))  # and one that the box puts between
    table.add_column(language("File"), overflow="fold", max_width=room)
    if apart:
        table.add_column(language("Headline"), max_width=_HEADLINE_WIDTH)
    table.add_column(side)
    for site in sites:
        table.add_column(site, no_wrap=True)
        table.add_column("T", justify="right", no_wrap=True)
    table.add_column(marks, max_width=notes_width)
    for report, hip, first in _rows(reports):
        name = Text(_in_lines(visible(report.file or ""), room))
        headline = _headline(report, apart, language) if first else Text()
        names = [name, headline] if apart else [Text("\n").join(filter(None, [name, headline]))]
        cells = [hip.side or "?"]
        for row in hip.estimates:
            cells += [_interval(row, one_line, language), _t_score(row.t_score)]
        table.add_row(*names, *map(Text, [*cells, _marks(report, hip, notes, language)]))
    return table


def _list(reports: list[FilmReport], width: int, notes: dict[str, str], language: Language) -> Group:
    """A few lines per hip: film and side, then the numbers."""
    lines: list[Text | Padding] = []
    sites = [language("neck"), language("hip")]
    longest = max(map(cell_len, sites))
    for report, hip, first in _rows(reports):
        lines.append(Text(f"{_in_lines(visible(report.file or ''), width - 4)} ({hip.side or '?'})", "bold"))
        for site, row in zip(sites, hip.estimates, strict=True):
            name, interval = set_cell_size(site, longest), _interval(row, True, language)
            lines.append(Text(f"  {name} {interval}  T {_t_score(row.t_score)}"))
        if first and report.band:
            lines.append(Padding(_headline(report, False, language), (0, 0, 0, 2)))
        lines.append(Text(f"  {language('notes')} {_marks(report, hip, notes, language) or '-'}"))
    return Group(*lines, Text())


def _rows(reports: list[FilmReport]) -> Iterator[tuple[FilmReport, HipReport, bool]]:
    """Every hip with a number, with its film, and whether it is the film's first."""
    for report in reports:
        first = True
        for hip in report.hips:
            if hip.status == "read":
                yield report, hip, first
                first = False


def _headline(report: FilmReport, apart: bool, language: Language) -> Text:
    """In a column of its own it has two lines, and a dash where there is none."""
    words, style = _HEADLINES[report.band] if report.band else ("-" * apart, "")
    words = language(words)
    return Text(words.replace("; ", ";\n") if apart else words, style)


def _marks(report: FilmReport, hip: HipReport, notes: dict[str, str], language: Language) -> str:
    """The letters of the notes of a hip; new ones are added to `notes`: text -> letter."""
    texts = [language(now)] if (now := FILM_NOW[report.film_now]) else []
    texts += [caution(flag, language) for flag in flags_of(hip)]
    if withheld := hip.estimates[0].t_score_reason:
        texts.append(language(T_SCORE_REASONS[withheld]))
    elif why := no_headline(report, language):
        texts.append(f"{why} {language(f'They take {CUTS_TAKE}.')}")
    return " ".join(notes.setdefault(text, _mark(len(notes))) for text in texts)


def _in_lines(name: str, room: int) -> str:
    """A name in lines of `room` cells, broken behind a separator; what has none in so long is broken anywhere."""
    lines = [""]
    for part in re.findall(r"[^/_ -]+[/_ -]*|[/_ -]+", name):
        if lines[-1] and cell_len(lines[-1] + part.rstrip()) > room:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _interval(estimate: Estimate, one_line: bool, language: Language) -> str:
    return _in_cells(estimate.bmd_gcm2, estimate.low_gcm2, estimate.high_gcm2, one_line, language)


def _in_cells(bmd: float, low: float, high: float, one_line: bool, language: Language) -> str:
    if not one_line:
        return f"{bmd:.3f}\n{low:.3f}-{high:.3f}"
    return language("{bmd} ({low} to {high})", bmd=f"{bmd:.3f}", low=f"{low:.3f}", high=f"{high:.3f}")


def _t_score(t_score: float | None) -> str:
    return "-" if t_score is None else f"{t_score:+.1f}"


def _mark(index: int) -> str:
    return chr(ord("a") + index) if index < 26 else str(index - 25)
