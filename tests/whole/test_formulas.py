"""Text from headers, file names and tables never becomes a formula where somebody opens a CSV file in a spreadsheet."""

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.files import write_csv as write_follow
from bmd_edge.follow.series import series_of
from bmd_edge.report.results import write_csv
from bmd_edge.system.csv_cells import is_formula
from bmd_edge.table.film_table import HipRow
from calibration.pairs.pairs import pair, write_pairs
from tests.bmd_edge.follow.made_up import visited
from tests.support.cohorts import cohort
from tests.support.screening import drawn_screener, hip_dicom
from trainer.images.cut_rois import CutOutcome, write_left_out

STARTS = ("=", "+", "-", "@", "\t=", "\r=", "\n=", "＝", "＋", "－", "＠", "\x1b=", "\u202e=")


def results(path: Path, text: str) -> None:
    with drawn_screener() as screener:
        report = screener.read(hip_dicom("R"))
    write_csv(path, [replace(report, file=text, maker=text, model=text, view=text, sop_instance_uid=text)])


def followed(path: Path, text: str) -> None:
    facts = {"patient_pseudonym": text, "maker": text, "bundle": text, "unit_pseudonym": text}
    series, _ = series_of([visited("2020-05-01", 0.8, **facts)], date(2026, 1, 1))
    write_follow(path, [follow(one, None) for one in series], None)


def pairs(path: Path, text: str) -> None:
    rows, films = cohort(3)
    (first, *_) = pair(rows, films)
    answers = {name: replace(answer, reason=text) for name, answer in first.answers.items()}
    texts = dict.fromkeys(("film", "subject", "maker", "spacing_source"), text)
    write_pairs(path, [replace(first, **texts, answers=answers)], {(text, first.side): text})


def left_out(path: Path, text: str) -> None:
    row = HipRow(film=text, subject=text, side="R", split="train")
    write_left_out(path, [CutOutcome(row, None, "implant")])


@pytest.mark.parametrize("start", STARTS, ids=ascii)
@pytest.mark.parametrize("write", [results, followed, pairs, left_out])
def test_no_cell_starts_a_formula(write: Callable[[Path, str], None], start: str, tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    write(path, f"{start}1+1|' /C calc'!A0")
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == 1
    texts = [cell for row in rows for cell in row if "calc" in cell]
    assert len(texts) >= 2
    for cell in texts:
        assert cell[0] not in "=+-@\t\r\n＝＋－＠"
        assert cell.isprintable()
    assert len(header) == len(rows[0])


@pytest.mark.parametrize("write", [results, followed, pairs])
def test_numbers_stay_numbers(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    write(path, "a.dcm")
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    numbers = {name: cell for name, cell in row.items() if name.endswith("_gcm2") and cell}
    assert len(numbers) >= 6
    assert all(float(cell) > 0 for cell in numbers.values())


@pytest.mark.parametrize("write", [results, followed, pairs, left_out])
def test_no_separator_of_another_spreadsheet_stands_bare(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    """A spreadsheet that splits at semicolons finds none outside of quotes, and no formula behind those inside."""
    path, name = tmp_path / "people.csv", "a; =1+1;b\t;＝calc.dcm"
    write(path, name)
    text = path.read_text(encoding="utf-8")
    assert not set("".join(text.split('"')[::2])) & set(";\t")
    assert "'" + name.split(";")[1] in text
    assert not any(is_formula(part) for part in text.splitlines()[1].split(";"))


def test_every_csv_file_is_known_here() -> None:
    """Whoever writes another one adds it above, or says why nobody opens it in a spreadsheet."""
    root = Path(__file__).parents[2]
    packages = [root / name for name in ("bmd_edge", "calibration", "export", "trainer")]
    sources = {path: path.read_text() for one in packages for path in one.rglob("*.py")}
    assert not [path for path, text in sources.items() if "csv.writer(" in text or "csv.DictWriter(" in text]
    writers = [text for path, text in sources.items() if "csv_line(" in text and path.name != "csv_cells.py"]
    functions = ("def write_csv(", "def write_pairs(", "def write_left_out(")
    tables = (
        "def write_table("  # reads back equal, so what starts a formula has an apostrophe that the reader takes off
    )
    assert len(writers) == 5
    assert all(any(one in text for one in (*functions, tables)) for text in writers)
