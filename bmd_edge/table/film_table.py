"""The film table: one CSV row per hip, and the one reader used by every command that takes `--table`.

What spreadsheets make of CSV is read too (`bmd_edge.table.spreadsheet`).
Required columns: film, subject, side, age_years, sex, bmd_femoral_neck_gcm2, bmd_total_hip_gcm2, scale, split.
Optional: maker, bmi, pose, dxa_date, film_date; any further column must start with `x_`.
An empty BMD is an unlabelled hip; an empty age, sex or optional cell is unknown (None), never zero.
"""

import csv
import datetime
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from bmd_edge.errors import TableError, nearest, none_of
from bmd_edge.sites import SIDES, SITES
from bmd_edge.system.csv_cells import csv_line, is_formula
from bmd_edge.system.files import replace_file
from bmd_edge.system.own_files import mistaken
from bmd_edge.table.names import film_key, found_film, subject_key
from bmd_edge.table.spreadsheet import decimal, read_sheet

SEXES = ("F", "M")
SCALES = ("hologic", "lunar", "norland", "sbmd")
SPLITS = ("train", "val", "calibrate", "test", "unlabelled")
REQUIRED_COLUMNS = (
    "film", "subject", "side", "age_years", "sex", *(f"bmd_{site}_gcm2" for site in SITES), "scale", "split",
)  # fmt: skip
OPTIONAL_COLUMNS = ("maker", "bmi", "pose", "dxa_date", "film_date")
KNOWN_FURTHER = (
    "x_detector_spacing_mm", "x_dexa_maker", "x_hip_size_mm", "x_kvp", "x_mm_per_px", "x_status", "x_style",
    "x_taken_under", "x_unit", "x_weight_kg",
)  # fmt: skip
"""Further columns that some command reads; each says what it is where it is read."""

BMD_RANGE_GCM2 = (0.2, 2.0)
AGE_RANGE_YEARS = (0.0, 120.0)
BMI_RANGE = (8.0, 100.0)
_WORKBOOKS = (b"PK\3\4", b"\xd0\xcf\x11\xe0")
"""How files of spreadsheets begin: .xlsx and .ods, and .xls."""

_NAMED = 5  # columns that a message names; it counts the rest

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class HipRow:
    """One hip of one film.

    `film` is the posix path relative to the table's folder, `film_path` where it lies (`found_film`);
    `bmd_gcm2` maps each of `SITES` to areal BMD in g/cm2 on the DXA `scale` named beside it, None when unlabelled;
    `extra` holds the non-empty `x_` cells as text; `table_row` is the row's number in a spreadsheet, 0 outside of one.
    """

    film: str
    subject: str
    side: str
    split: str
    age_years: float | None = None
    sex: str | None = None
    bmd_gcm2: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(SITES))
    scale: str | None = None
    maker: str | None = None
    bmi: float | None = None
    pose: str | None = None
    dxa_date: datetime.date | None = None
    film_date: datetime.date | None = None
    extra: dict[str, str] = field(default_factory=dict)
    film_path: Path = field(default=Path(), compare=False)
    table_row: int = field(default=0, compare=False)


def read_table(path: str | os.PathLike[str]) -> list[HipRow]:
    """Read and check a film table.

    Rows are numbered as a spreadsheet shows them: the header is row 1. Raises `TableError` naming the file, and the row
    and the column of the first thing that breaks the contract; a table without rows breaks it.
    """
    path = Path(path)
    if said := mistaken(path, "table"):
        raise TableError(said)
    try:
        return _read(path)
    except TableError as error:
        raise TableError(f"{path.name}: {error}") from error


def _read(path: Path) -> list[HipRow]:
    try:
        raw = path.read_bytes()
        if raw.startswith(_WORKBOOKS):
            raise TableError("a spreadsheet's own file; save the table as CSV UTF-8")
        sheet = read_sheet(raw)
    except FileNotFoundError as error:
        raise TableError("there is no such film table: check its name") from error
    except IsADirectoryError as error:
        raise TableError("a folder, where a film table is wanted: give its CSV file") from error
    except OSError as error:
        raise TableError(f"the film table cannot be read ({error.strerror}): check its permissions") from error
    except UnicodeDecodeError as error:
        raise TableError("not UTF-8 text; save the table as CSV UTF-8") from error
    except csv.Error as error:
        raise TableError(f"not a CSV table ({error})") from error
    if not any(sheet.columns):
        raise TableError(f"the file is empty; a film table begins with the columns {', '.join(REQUIRED_COLUMNS)}")
    _check_columns(sheet.columns)
    rows = [
        _hip_row(number, dict(zip(sheet.columns, map(_as_written, cells), strict=True)), path.parent)
        for number, cells in sheet.rows
    ]
    if not rows:
        raise TableError("there is a header and no row below it; each hip on a film is one row")
    _check_across_rows(rows)
    return rows


def write_table(path: str | os.PathLike[str], rows: Iterable[HipRow]) -> None:
    """Write a film table atomically: either it reads back equal, or `TableError` is raised and nothing changes."""
    path, rows = Path(path), list(rows)
    with replace_file(path) as file:
        optional = [name for name in OPTIONAL_COLUMNS if any(getattr(row, name) is not None for row in rows)]
        extra = list(dict.fromkeys(name for row in rows for name in row.extra))
        columns = [*REQUIRED_COLUMNS, *optional, *extra]
        _check_columns(columns)
        file.write(csv_line(columns))
        file.writelines(csv_line(_text(row, name) for name in columns) for row in rows)
        file.flush()
        for number, (written, row) in enumerate(zip(_read(Path(file.name)), rows, strict=True), start=2):
            if written != row:
                raise TableError(f"row {number}: the row cannot be stored without changing it")


def spelled_otherwise(column: str, rows: Iterable[HipRow]) -> str:
    """What a message adds where rows lack a further column: those of theirs that are nearly it, which are not read."""
    others = {name for row in rows for name in row.extra} - {column}
    near = sorted(name for name in others if nearest(name, [column]))
    return f" (not read: {', '.join(near)}; is {column} meant?)" if near else ""


def _check_columns(columns: Sequence[str]) -> None:
    if repeated := sorted({name for name in columns if columns.count(name) > 1}):
        raise TableError(f"row 1, column {repeated[0]}: named twice")
    known = REQUIRED_COLUMNS + OPTIONAL_COLUMNS
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    unknown = [name for name in columns if name not in known and not name.startswith("x_")]
    if unknown:
        free = [*missing, *(name for name in OPTIONAL_COLUMNS + KNOWN_FURTHER if name not in columns)]
        named = ", ".join(_quote(name) + nearest(name, free) for name in unknown[:_NAMED])
        named += f" and {len(unknown) - _NAMED} more" * (len(unknown) > _NAMED)
        also = f"; missing: {', '.join(missing)}" if missing else ""
        what = "unknown column" if len(unknown) == 1 else "unknown columns"
        raise TableError(f"row 1: {what} {named}; a column of your own starts with x_{also}")
    if missing:
        raise TableError(f"row 1: missing {'column' if len(missing) == 1 else 'columns'} {', '.join(missing)}")


def _hip_row(number: int, cells: Mapping[str, str], folder: Path) -> HipRow:
    def get(column: str, parse: Callable[[str], T]) -> T | None:
        text = cells.get(column, "")
        try:
            return parse(text) if text else None
        except ValueError as error:
            raise TableError(f"row {number}, column {column}: {error}") from error

    def need(column: str, parse: Callable[[str], str]) -> str:
        value = get(column, parse)
        if value is None:
            raise TableError(f"row {number}, column {column}: empty")
        return value

    film = need("film", _relative)
    bmd_gcm2 = {site: get(f"bmd_{site}_gcm2", _number("g/cm2", *BMD_RANGE_GCM2)) for site in SITES}
    scale = get("scale", _one_of(SCALES))
    if scale is None and any(value is not None for value in bmd_gcm2.values()):
        raise TableError(f"row {number}, column scale: empty beside a BMD; name one of {', '.join(SCALES)}")
    return HipRow(
        film=film,
        film_path=found_film(folder, film),
        table_row=number,
        subject=need("subject", _whole_name),
        side=need("side", _one_of(SIDES)),
        split=need("split", _one_of(SPLITS)),
        age_years=get("age_years", _number("years", *AGE_RANGE_YEARS)),
        sex=get("sex", _one_of(SEXES)),
        bmd_gcm2=bmd_gcm2,
        scale=scale,
        maker=get("maker", str),
        bmi=get("bmi", _number("kg/m2", *BMI_RANGE)),
        pose=get("pose", str),
        dxa_date=get("dxa_date", _date),
        film_date=get("film_date", _date),
        extra={name: text for name, text in cells.items() if name.startswith("x_") and text},
    )


def _check_across_rows(rows: Iterable[HipRow]) -> None:
    hips: dict[tuple[str, str], HipRow] = {}
    subjects: dict[str, HipRow] = {}
    for row in rows:
        first = hips.setdefault((film_key(row.film), row.side), row)
        if first is not row:
            raise TableError(f"row {row.table_row}, column film: the same film and side as row {first.table_row}")
        first = subjects.setdefault(subject_key(row.subject), row)
        if first.subject != row.subject:
            raise TableError(
                f"row {row.table_row}, column subject: {_quote(row.subject)}, but row {first.table_row} has"
                f" {_quote(first.subject)}: one subject in two spellings? spell it in one way, or name two persons so"
                " that they differ in more"
            )
        if first.split != row.split:
            raise TableError(
                f"row {row.table_row}, column split: {row.split}, but row {first.table_row} puts the same subject in"
                f" {first.split}; a subject belongs to one split"
            )


def _relative(text: str) -> str:
    """A posix path that stays below the table's folder and has one spelling."""
    path = PurePosixPath(text)
    if "\\" in text:
        wrong = "has backslashes: write the path from the table's folder on, with forward slashes"
    elif path.is_absolute():
        wrong = "begins at the root of the disk: write the path from the table's folder on"
    elif ".." in path.parts:
        wrong = (
            "leads out of the table's folder, and no table reads there: put the table into a folder above all of its"
            " films, and write the paths from there on"
        )
    elif not path.parts or not text.isprintable():
        wrong = "is no file's name: write the path from the table's folder on, in signs that can be printed"
    else:
        return str(path)
    raise ValueError(f"{_quote(text)} {wrong}")


def _whole_name(text: str) -> str:
    """The name of a subject, all of it: of a long number a spreadsheet keeps the first digits, the same for many."""
    if re.fullmatch(r"\d[.,]\d+E\+\d+", text):
        raise ValueError(
            f"{_quote(text)} is a number that a spreadsheet has shortened: make the column text there, and put the"
            " subjects in again"
        )
    return text


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(none_of(text, choices))
        return text

    return parse


def _number(unit: str, low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = decimal(text)
        except ValueError:
            raise ValueError(f"{_quote(text)} is not a number") from None
        if not low <= value <= high:  # also catches NaN
            raise ValueError(f"{_quote(text)} lies outside {low:g}-{high:g} {unit}")
        return value

    return parse


def _date(text: str) -> datetime.date:
    """YYYY-MM-DD, with a midnight behind it as data frames write it, or DD.MM.YYYY as European spreadsheets do."""
    dotted = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", text)
    try:
        if dotted:
            day, month, year = map(int, dotted.groups())
            return datetime.date(year, month, day)
        return datetime.date.fromisoformat(re.sub(r"[ T]00:00(:00(\.0+)?)?$", "", text))
    except ValueError:
        raise ValueError(f"{_quote(text)} is not a date written YYYY-MM-DD") from None


def _text(row: HipRow, column: str) -> str:
    if column.startswith("x_"):
        value: object = row.extra.get(column, "")
    elif column.startswith("bmd_"):
        value = row.bmd_gcm2.get(column.removeprefix("bmd_").removesuffix("_gcm2"))
    else:
        value = getattr(row, column)
    text = "" if value is None else str(value)  # str(float) is the shortest text that reads back equal
    return f"'{text}" if is_formula(text) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        decimal(text)
    except ValueError:
        return False
    return True


def _as_written(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell.startswith("'") and is_formula(cell[1:]) else cell


def _quote(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
