"""Cells of CSV files as spreadsheets take them: which they would run, and how a line is written so that none splits."""

import re
import unicodedata
from collections.abc import Iterable

_SIGNS = frozenset("=+-@\N{MINUS SIGN}")
_QUOTED = re.compile(r'[,;\t"\r\n]')


def is_formula(text: str) -> bool:
    """Whether a spreadsheet may run a cell; full-width signs count, as East Asian spreadsheets take them too."""
    return unicodedata.normalize("NFKC", text.lstrip()[:1]) in _SIGNS


def csv_line(cells: Iterable[object]) -> str:
    """A line of a CSV file with commas, None as an empty cell.

    Text that holds the separator of another language's spreadsheet, a semicolon or a tab, is quoted too.
    """
    return ",".join(map(_written, cells)) + "\n"


def _written(cell: object) -> str:
    text = "" if cell is None else str(cell)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
