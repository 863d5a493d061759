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


def test_a_part_that_goes_on_after_another_has_no_line_between_and_its_band():
    """What is compared is never called not compared."""
    other = {"spacing_source": "imager_assumed"}
    films = [visited("2020-05-01", 0.8), visited("2022-05-01", 0.7, **other), visited("2024-05-01", 0.78)]
    _, picture = drawn(*films)
    assert picture["breaks"] == []
    assert [dot["letter"] for dot in picture["dots"]] == ["A", "B", "A"]
    (band,) = picture["bands"]
    assert band["x"] < picture["dots"][0]["x"] < picture["dots"][2]["x"] < band["x"] + band["width"]
    assert " ".join(line["text"] for line in band["words"]) == "A: 95 of 100 unchanged hips end in here"
    _, picture = drawn(*films, visited("2025-05-01", 0.7, unit_pseudonym="un-b"))
    assert len(picture["breaks"]) == 1


def test_dots_of_one_day_and_of_one_week_stand_side_by_side_so_that_their_letters_can_be_read():
    films = [
        visited(taken, 0.8, spacing_source=source)
        for taken in ("2020-05-01", "2020-05-04", "2025-05-01")
        for source in ("imager_ermf", "imager_assumed", "given")
    ]
    _, picture = drawn(*films)
    xs = [dot["x"] for dot in picture["dots"]]
    assert min(b - a for a, b in pairwise(xs)) >= 18.9
    assert picture["left"] < xs[0] < xs[-1] < picture["right"]
    assert picture["dates"][-1]["x"] == pytest.approx(xs[-2], abs=0.1)


@pytest.mark.parametrize("later", ["2020-05-20", "2024-05-01"])
def test_the_words_at_a_band_stay_beside_its_dots_and_inside_the_drawing(later):
    _, picture = drawn(visited("2020-05-01", 0.8), visited(later, 0.7), visited("2025-05-01", 0.7, maker="B", model=""))
    (band,) = picture["bands"]
    for line in band["words"]:
        assert band["x"] + 23 + 6 * len(line["text"]) < WIDTH
        assert band["y"] <= line["y"] - 12
        assert line["y"] <= band["y"] + band["height"]


@pytest.mark.parametrize(("of", "judges"), [(known(), 1), (known("phantom"), 0)])
def test_only_the_precision_of_the_films_own_unit_draws_a_band(of, judges):
    for maker, does in (("Drawn", judges), ("Other", 0)):
        _, picture = drawn(visited("2020-05-01", 0.8, maker=maker), visited("2024-05-01", 0.7, maker=maker), of=of)
        assert len(picture["bands"]) == does


def test_without_a_precision_there_is_no_band():
    _, picture = drawn(visited("2020-05-01", 0.8, bundle_digest="c"), visited("2024-05-01", 0.5, bundle_digest="c"))
    assert picture["bands"] == []


def test_bands_of_one_time_do_not_cover_each_other_and_that_of_the_stated_change_is_drawn():
    other = {"spacing_source": "imager_assumed"}
    films = [visited(taken, bmd) for taken, bmd in (("2020-05-01", 0.8), ("2024-05-01", 0.66))]
    same_days = [visited(taken, 0.8, **other) for taken in ("2020-04-01", "2024-06-01")]
    _, picture = drawn(*films, *same_days)
    (band,) = picture["bands"]
    assert band["words"][0]["text"].startswith("B: ")
    later = [visited(taken, 0.8, unit_pseudonym="un-b") for taken in ("2024-07-01", "2025-05-01")]
    assert len(drawn(*films, *later)[1]["bands"]) == 2


@pytest.mark.parametrize(
    ("bmd_gcm2", "bands"),
    [((0.95, 0.8, 0.81, 0.8), 0), ((0.95, 0.86, 0.77, 0.68), 1), ((0.95, 0.5), 0), ((0.95, 0.86), 1)],
)
def test_no_band_is_drawn_whose_word_is_withheld(bmd_gcm2, bands):
    """Where the first visit alone is out of line, and where the films may be another person's."""
    _, picture = drawn(*(visited(f"{2019 + 2 * n}-05-01", one) for n, one in enumerate(bmd_gcm2)))
    assert len(picture["bands"]) == bands
