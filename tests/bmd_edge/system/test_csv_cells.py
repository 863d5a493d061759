"""Cells that spreadsheets would run, and lines that none splits."""

import csv
import io
import random

import pytest

from bmd_edge.system.csv_cells import csv_line, is_formula


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-x", "@sum(a1)", "＝1", "－x", "﹦1", "\N{MINUS SIGN}x", " =1", "\t=1", "\r=1", "\u3000＠x"]
)
def test_what_a_spreadsheet_may_run(text: str) -> None:
    assert is_formula(text)


@pytest.mark.parametrize("text", ["", "a=b", "1-2", "'=1", "Ä@b", "(=1)"])
def test_what_it_does_not_run(text: str) -> None:
    assert not is_formula(text)


def test_a_line_reads_back_equal_and_no_separator_stands_bare() -> None:
    rng = random.Random(5)
    for _ in range(500):
        cells = ["".join(rng.choices('ab ,;\t"\r\n=é', k=rng.randrange(6))) for _ in range(4)] + [str(rng.random())]
        line = csv_line(cells)
        assert next(csv.reader(io.StringIO(line, newline=""), strict=True)) == cells
        outside = "".join(line.split('"')[::2])  # a doubled quote only splits what is quoted into two parts
        assert not set(outside.rstrip("\n")) & set(";\t\r\n")
    assert csv_line([None, 0.1, 3, "x"]) == ",0.1,3,x\n"
