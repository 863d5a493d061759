"""A drawing says no more than its numbers: the band is the least significant change, and nothing joins the dots."""

from datetime import date
from itertools import pairwise

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.chart import HEIGHT, WIDTH, chart, letter_of
from bmd_edge.follow.series import series_of
from tests.bmd_edge.follow.made_up import HALF, known, visited


def drawn(*films, of=None):
    ((one,), _) = series_of(films, date(2026, 1, 1))
    followed = follow(one, known() if of is None else of)
    return followed, chart(followed, "total_hip")


def scale(picture):
    """g/cm2 of a height, from the lines of the grid."""
    (y0, b0), (y1, b1) = ((line["y"], float(line["text"])) for line in (picture["lines"][0], picture["lines"][-1]))
    return lambda y: b0 + (y - y0) * (b1 - b0) / (y1 - y0)


def test_dots_intervals_and_band_lie_where_their_numbers_are():
    followed, picture = drawn(visited("2020-05-01", 0.8), visited("2022-05-01", 0.7), visited("2024-05-01", 0.75))
    bmd = scale(picture)
    assert [bmd(dot["y"]) for dot in picture["dots"]] == pytest.approx([0.8, 0.7, 0.75], abs=1e-3)
    for dot in picture["dots"]:
        assert bmd(dot["y_low"]) - bmd(dot["y_high"]) == pytest.approx(-2 * HALF, abs=2e-3)
    (band,), least = picture["bands"], followed.changes[1].lsc_gcm2
    assert bmd(band["y"]) == pytest.approx(0.8 + least, abs=1e-3)
    assert bmd(band["y"] + band["height"]) == pytest.approx(0.8 - least, abs=1e-3)
    xs = [dot["x"] for dot in picture["dots"]]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=1)
    assert picture["dots"][0]["said"] == "2020-05-01: 0.800 (0.700 to 0.900) g/cm², 1 film"


def test_everything_lies_inside_the_drawing():
    films = [visited(f"20{year}-05-01", 0.9 - year / 40) for year in range(10, 26)]
    _, picture = drawn(*films)
    for dot in picture["dots"]:
        assert picture["left"] < dot["x"] < picture["right"] < WIDTH
        assert picture["top"] <= dot["y_high"] < dot["y_low"] <= picture["bottom"] < HEIGHT
    shown = [one["x"] for one in picture["dates"]]
    assert all(b - a >= 100 for a, b in pairwise(shown))
    assert picture["dates"][-1]["text"] == "2025-05-01"


def test_another_unit_is_a_line_between_visits_with_letters():
    films = [visited("2020-05-01", 0.8), visited("2022-05-01", 0.7, unit_pseudonym="un-b")]
    _, picture = drawn(*films)
    (at,) = picture["breaks"]
    assert picture["dots"][0]["x"] < at < picture["dots"][1]["x"]
    assert [dot["letter"] for dot in picture["dots"]] == ["A", "B"] == [letter_of(0), letter_of(1)]
    assert picture["bands"] == []


def test_without_a_precision_there_is_no_band():
    _, picture = drawn(visited("2020-05-01", 0.8, bundle_digest="c"), visited("2024-05-01", 0.5, bundle_digest="c"))
    assert picture["bands"] == [None]
