"""Tables as spreadsheets, data frames and their languages save them read as the plain table does."""

import csv
import io
from pathlib import Path

import pytest

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import read_table
from bmd_edge.table.spreadsheet import decimal, read_sheet

COLUMNS = [
    "film", "subject", "side", "age_years", "sex", "bmd_femoral_neck_gcm2", "bmd_total_hip_gcm2", "scale", "split",
    "dxa_date", "x_note",
]  # fmt: skip
ROWS = [
    ["a/1.dcm", "S1", "R", "71.5", "F", "0.612", "0.734", "hologic", "train", "2024-01-31", "one; two, three"],
    ["2.dcm", "S2", "L", "", "", "", "", "", "unlabelled", "", ""],
]


def text(separator: str = ",", columns: list[str] = COLUMNS, rows: list[list[str]] = ROWS) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=separator).writerows([columns, *rows])
    return out.getvalue()


def german(cell: str) -> str:
    return {"71.5": "71,5", "0.612": "0,612", "0.734": "0,734", "2024-01-31": "31.01.2024"}.get(cell, cell)


def indexed(numbers: list[str], name: str = "") -> str:
    return text(columns=[name, *COLUMNS], rows=[[n, *row] for n, row in zip(numbers, ROWS, strict=True)])


IN_GERMAN = [[german(cell) for cell in row] for row in ROWS]
SAVED = {
    "commas": text().encode(),
    "German Excel": text(";", rows=IN_GERMAN).encode("utf-8-sig"),
    "sep=": b"sep=;\r\n" + text(";").encode(),
    "sep= behind a mark": b"\xef\xbb\xbfsep=\t\n" + text("\t").encode(),
    "tabs": text("\t").encode(),
    "Unicode text of Excel": text("\t", rows=IN_GERMAN).encode("utf-16"),
    "decimal commas in quotes": text(rows=IN_GERMAN).encode(),
    "two empty columns behind": text(columns=[*COLUMNS, "", ""], rows=[[*row, "", ""] for row in ROWS]).encode(),
    "empty cells behind": text(rows=[[*row, "", "", ""] for row in ROWS]).encode(),
    "an empty column between": text(
        columns=[*COLUMNS[:4], "", *COLUMNS[4:]], rows=[[*row[:4], " ", *row[4:]] for row in ROWS]
    ).encode(),
    "the index of pandas": indexed(["0", "1"]).encode(),
    "an index that was read and written again": indexed(["17", "4"], "Unnamed: 0").encode(),
    "names with spaces": text(columns=[f" {name} " for name in COLUMNS]).encode(),
    "dates of a data frame": text().replace("2024-01-31", "2024-01-31 00:00:00").encode(),
}


@pytest.mark.parametrize("saved", SAVED)
def test_every_way_of_saving_reads_equal(tmp_path: Path, saved: str) -> None:
    plain, other = tmp_path / "plain.csv", tmp_path / "other.csv"
    plain.write_bytes(SAVED["commas"])
    other.write_bytes(SAVED[saved])
    assert read_table(other) == read_table(plain)
    assert [row.table_row for row in read_table(other)] == [2, 3]


@pytest.mark.parametrize("saved", SAVED)
def test_a_wrong_cell_is_named_whatever_the_way(tmp_path: Path, saved: str) -> None:
    kind = "utf-16" if saved.startswith("Unicode") else "utf-8"
    raw = SAVED[saved].decode(kind).replace("unlabelled", "else").encode(kind)
    (tmp_path / "films.csv").write_bytes(raw)
    with pytest.raises(TableError, match=r"^films\.csv: row 3, column split: 'else' is not one of"):
        read_table(tmp_path / "films.csv")


def test_a_column_without_a_name_that_holds_something_is_not_dropped() -> None:
    with pytest.raises(
        TableError, match=r"row 1, column 3: without a name, but row 2 holds '61' there: name the column"
    ):
        read_sheet(b"film,subject,,side\n1.dcm,S1,61,R\n")
    with pytest.raises(TableError, match=r"row 1, column 1: without a name, but row 3 holds 'b'"):
        read_sheet(b",film\n,1.dcm\nb,2.dcm\n")


def test_a_row_of_another_length_says_what_may_be_wrong() -> None:
    with pytest.raises(TableError, match=r"row 2: 3 cells where the header names 2 columns \(a decimal comma"):
        read_sheet(b"film,age_years\n1.dcm,71,5\n")


@pytest.mark.parametrize(("cell", "value"), [("0.5", 0.5), ("0,5", 0.5), (",5", 0.5), ("-1,25", -1.25), ("7", 7.0)])
def test_both_decimal_signs_are_read(cell: str, value: float) -> None:
    assert decimal(cell) == value


@pytest.mark.parametrize("cell", ["1,234.5", "1.234,5", "0,5,1", "0,", "half", ""])
def test_what_may_be_two_numbers_is_none(cell: str) -> None:
    with pytest.raises(ValueError, match="could not convert"):
        decimal(cell)
