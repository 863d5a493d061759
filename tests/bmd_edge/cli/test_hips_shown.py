"""Hips on terminals of every width: each number beside its film and side, no name broken inside a word."""

import io
import re
from collections import Counter
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from bmd_edge.cli.hips_shown import print_hips
from bmd_edge.language import ENGLISH, LANGUAGES, Language, language
from bmd_edge.measure.headline import CUTS_TAKE
from bmd_edge.report.film_report import FilmReport
from bmd_edge.report.pages import SITE_NAMES
from tests.support.screening import drawn_screener, hip_dicom

DISC = "PT000000/ST000000/SE000000/IM000000"
NAMES = ("right.dcm", DISC, "EXPORT/hip_2021-09-14_other.dcm")

with drawn_screener() as _screener:
    READ = _screener.read(hip_dicom("R"), file="right.dcm")
    BOTH = _screener.read(hip_dicom("RL", PatientAge="044Y"), file=DISC)


def shown(width: int, *reports: FilmReport, language: Language = ENGLISH) -> str:
    file = io.StringIO()
    print_hips(Console(file=file, width=width, highlight=False), reports, language)
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


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("width", [40, 60, 79, 80, 100, 120, 140, 160])
def test_every_language_keeps_to_the_width_and_shows_the_same_numbers(code: str, width: int) -> None:
    text, english = shown(width, *films(), language=language(code)), shown(width, *films())
    assert max(map(cell_len, text.splitlines())) <= width
    assert Counter(re.findall(r"[-+]?\d\.\d+", text)) == Counter(re.findall(r"[-+]?\d\.\d+", english))
    names = {"en": ("neck", "hip"), "ja": ("大腿骨頸部", "近位部全体")}.get(code) or map(
        language(code), SITE_NAMES.values()
    )
    headline = language(code)("not suspected; low BMD is not ruled out")
    for word in " ".join([*names, headline]).split():
        assert word.lower() in text.lower()


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("width", [80, 100, 120, 140, 160])
def test_columns_of_every_language_stand_below_each_other(code: str, width: int) -> None:
    """Wide letters take two cells: every T of a column ends in the cell where its heading ends."""
    lines = shown(width, *films(), language=language(code)).splitlines()
    rule = next(n for n, line in enumerate(lines) if set(line.strip()) == {"\u2500"})
    heading = next(line for line in lines[:rule] if re.search(r"\bT\b.*\bT\b", line))
    ends = {cell_len(heading[: found.end()]) for found in re.finditer(r"\bT\b", heading)}
    rows = lines[rule + 1 : lines.index("", rule) if "" in lines[rule:] else None]
    found = {cell_len(row[: one.end()]) for row in rows for one in re.finditer(r"[-+]\d\.\d(?!\d)", row)}
    assert len(ends) == 2
    assert found == ends
