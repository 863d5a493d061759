"""Hips on terminals of every width: each number beside its film and side, no name broken inside a word."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from bmd_edge.cli.hips_shown import print_hips
from bmd_edge.measure.headline import CUTS_TAKE
from bmd_edge.report.film_report import FilmReport
from tests.support.screening import drawn_screener, hip_dicom

DISC = "PT000000/ST000000/SE000000/IM000000"
NAMES = ("right.dcm", DISC, "EXPORT/hip_2021-09-14_other.dcm")

with drawn_screener() as _screener:
    READ = _screener.read(hip_dicom("R"), file="right.dcm")
    BOTH = _screener.read(hip_dicom("RL", PatientAge="044Y"), file=DISC)


def shown(width: int, *reports: FilmReport) -> str:
    file = io.StringIO()
    print_hips(Console(file=file, width=width, highlight=False), reports)
    return file.getvalue()


def films(band: str | None = "not_suspected") -> list[FilmReport]:
    return [replace(READ, band=band), BOTH, replace(READ, file=NAMES[2], band=band)]


def names_in(text: str) -> list[str]:
    """The names of a table, as they stand in its first column, line by line."""
    return [line.split("  ")[0].strip() for line in text.splitlines()]


@pytest.mark.parametrize("width", [80, 100, 120, 140, 160])
def test_a_table_keeps_to_its_width_and_breaks_names_behind_separators_only(width: int) -> None:
    text = shown(width, *films())
    assert max(map(len, text.splitlines())) <= width
    for name in NAMES:
        parts = re.split(r"(?<=[/_ -])", name)
        cuts = {"".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1)}
        found = [line for line in names_in(text) if line in cuts]
        assert "".join(found).startswith(name)


@pytest.mark.parametrize("width", [100, 120, 140, 160])
def test_a_film_of_one_hip_takes_two_lines(width: int) -> None:
    lines = [line.strip() for line in shown(width, films()[0]).splitlines()]
    first = next(n for n, line in enumerate(lines) if set(line) == {"\u2500"}) + 1
    assert lines.index("", first) - first == 2


@pytest.mark.parametrize("width", [79, 60, 50, 40])
def test_below_that_each_number_stands_below_its_film_and_side(width: int) -> None:
    text = shown(width, *films())
    assert max(map(len, text.splitlines())) <= width
    whole = re.sub(r"(?<=[/_-])\n(?! )", "", text)
    for report in films():
        for hip in report.hips:
            block = whole.split(f"{report.file} ({hip.side})\n", 1)[1].split(".dcm", 1)[0]
            for site, row in zip(("neck", "hip"), hip.estimates, strict=True):
                line = next(line for line in block.splitlines() if line.split()[:1] == [site])
                assert f"{row.bmd_gcm2:.3f} ({row.low_gcm2:.3f} to {row.high_gcm2:.3f})" in line
                assert line.endswith("T -" if row.t_score is None else f"T {row.t_score:+.1f}")
    assert "not suspected; low BMD is not ruled out" in " ".join(text.split())
    assert "No T-score: under 50 years." in " ".join(text.split())


@pytest.mark.parametrize("width", [40, 80, 120, 160])
def test_without_headlines_nothing_stands_in_their_place(width: int) -> None:
    text = shown(width, *films(None))
    assert "suspected" not in text
    assert "Headline" not in text
    said = " ".join(text.split())
    assert said.count(f"No headline. The bundle has no cuts for it. They take {CUTS_TAKE}.") == 1
    local = " ".join(shown(width, replace(READ, band=None, recalibration="0" * 64)).split())
    assert "No headline. The recalibration has no cuts for it." in local


def test_a_hip_with_a_headline_or_without_a_t_score_has_no_such_note() -> None:
    assert "No headline" not in shown(120, *films())
