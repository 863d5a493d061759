"""What a terminal shows of series: the sentences of the page in lines that fit, and how to measure what is lacking."""

from datetime import date

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.series import series_of
from bmd_edge.follow.terminal import summary
from tests.bmd_edge.follow.made_up import known, visited

TODAY = date(2026, 1, 1)
FIRST, SAME = visited("2020-05-01", 0.8), visited("2024-05-01", 0.79)


def test_the_terminal_says_of_every_hip_that_nothing_can_be_said_in_lines_that_fit():
    films = [
        film for side in "RL" for film in (visited("2020-05-01", 0.8, side=side), visited("2024-05-01", 0.7, side=side))
    ]
    series, findings = series_of(films, TODAY)
    hips = [follow(one, known("phantom")) for one in series]
    for width in (60, 80, 120):
        text = "\n".join(summary(hips, 0, findings, known("phantom"), "", 9, width))
        assert text.count("Whether it changed cannot be") == 2
        assert width - 20 < max(map(len, text.splitlines())) <= width
        assert text.count("UNCLEAR: Whether") == text.count("2020-05-01") == 2


def test_the_terminal_shows_stated_changes_first_and_what_is_missing():
    films = [
        FIRST,
        SAME,
        visited("2020-05-01", 0.8, side="L"),
        visited("2024-05-01", 0.6, side="L"),
        visited(None, 0.5),
    ]
    series, findings = series_of(films, TODAY)
    lines = list(summary([follow(one, known()) for one in series[::-1]], 3, findings, known(), "clinic.json", 1, 110))
    assert lines[0] == "pt-a, left hip: 2 visits, 2020-05-01 to 2024-05-01"
    text = " ".join("\n".join(lines).split())
    assert "Precision: this clinic's, measured on Drawn One (by maker and model): 40 hips with repeated films." in text
    assert "File: clinic.json." in text
    assert "--repeatability" not in text
    assert any("The first 1 hips; all 2" in line for line in lines)
    assert "1 film in no series. The film has no date." in "\n".join(lines)


@pytest.mark.parametrize(("of", "model", "remedy"), [
    (known("phantom"), "One", "give its file with --repeatability"),
    (None, "One", "give its file with --repeatability"),
    (known(), "Two", "measures the precision of further X-ray units"),
])  # fmt: skip
def test_the_terminal_says_once_how_to_measure_what_is_lacking(of, model, remedy):
    films = [visited(taken, 0.8, side=side, model=model) for side in "RL" for taken in ("2020-05-01", "2024-05-01")]
    series, findings = series_of(films, TODAY)
    lines = list(summary([follow(one, of) for one in series], 0, findings, of, "", 9, 200))
    assert sum("`bmd-edge precision`" in line and remedy in line for line in lines) == 1
