"""Text of a table as spreadsheets and data frames save it -> columns and numbered rows of cells.

Beside plain CSV UTF-8 with commas it may hold semicolons or tabs between its cells, a first line `sep=;`, UTF-16, empty
columns and cells at the end, and an unnamed column of row numbers in front, as pandas writes its index.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from bmd_edge.errors import TableError

DELIMITERS = ",;\t"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_SEP_LINE = re.compile(r'"?sep=(.)"?[,;\t]*\r?\n', re.IGNORECASE)
_QUOTED = re.compile(r'"[^"]*"')
_NAMELESS = re.compile(r"(Unnamed: [\d.]+)?")


@dataclass(frozen=True, slots=True)
class Sheet:
    """Names of the columns, and the rows that hold any text, each as (row number, cells without space around them).

    Rows are numbered as a spreadsheet shows them: the header is row 1. Every row has a cell for each column.
    """

    columns: list[str]
    rows: list[tuple[int, list[str]]]


def read_sheet(raw: bytes) -> Sheet:
    """Read the bytes of a table; the header says what stands between its cells.

    Raises:
        UnicodeDecodeError, csv.Error: neither text nor CSV.
        TableError: a row of another length than the header, or a column without a name.
    """
    text = raw.decode("utf-16" if raw.startswith(_UTF_16) else "utf-8-sig")
    named = _SEP_LINE.match(text)
    text = text[named.end() :] if named else text
    separator = named[1] if named else _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns = [name.strip() for name in next(reader, [])]
    rows = []
    for number, read in enumerate(reader, start=2):
        cells = [cell.strip() for cell in read]
        if any(cells):
            rows.append((number, _fitted(number, cells, len(columns))))
    return _named_only(columns, rows)


def decimal(text: str) -> float:
    """The number that a cell states, with a decimal point or a decimal comma; ValueError if it is none."""
    return float(text.replace(",", ".") if re.fullmatch(r"[+-]?\d*,\d+", text) else text)


def _delimiter(text: str) -> str:
    """The sign that stands most often between the names of the header."""
    header = _QUOTED.sub("", text.partition("\n")[0])
    return max(DELIMITERS, key=header.count)


def _fitted(number: int, cells: list[str], count: int) -> list[str]:
    """A row as long as the header; what is empty at its end may go."""
    kept = cells[:count] if not any(cells[count:]) else cells
    if len(kept) != count:
        hint = " (a decimal comma or a comma in a name? put it in quotes)" if len(kept) > count else ""
        raise TableError(f"row {number}: {len(kept)} cells where the header names {count} columns{hint}")
    return kept


def _named_only(columns: Sequence[str], rows: list[tuple[int, list[str]]]) -> Sheet:
    """Leave out columns without a name that are empty, and those in front that number the rows."""
    kept, front = [], True
    for index, name in enumerate(columns):
        nameless = _NAMELESS.fullmatch(name) is not None
        front = front and nameless
        texts = [(number, cells[index]) for number, cells in rows if cells[index]] if nameless else []
        if texts and not (front and all(text.isdecimal() for _, text in texts)):
            number, text = texts[0]
            raise TableError(
                f"row 1, column {index + 1}: without a name, but row {number} holds {text[:40]!r} there: name the"
                " column, or delete it"
            )
        if not nameless:
            kept.append(index)
    return Sheet([columns[k] for k in kept], [(number, [cells[k] for k in kept]) for number, cells in rows])
