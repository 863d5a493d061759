"""The key says what stands there, and of a band whose precision draws it."""

from dataclasses import replace
from datetime import date

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.key import HIGHER, LOWER, UNCLEAR, marks, rests_on
from bmd_edge.follow.series import series_of
from tests.bmd_edge.follow.made_up import known, visited


def hips(*films, of):
    return [follow(one, of) for one in series_of(films, date(2026, 1, 1))[0]]


TWO = visited("2020-05-01", 0.8), visited("2024-05-01", 0.68)
FOREIGN = tuple(replace(one, model="Two") for one in TWO)


@pytest.mark.parametrize(
    ("films", "of", "judges"),
    [
        (TWO, known(), True),
        (FOREIGN, known(), False),
        (TWO, known("phantom"), False),
        (TWO, None, False),
    ],
)
def test_the_key_tells_of_the_marks_that_are_drawn_and_of_no_others(films, of, judges):
    text = " ".join(marks(hips(*films, of=of), {LOWER} if judges else {UNCLEAR}))
    assert "They do not judge change" in text
    assert ("gray band judges change" in text) == ("LOWER: a change beyond chance" in text) == judges
    assert ("95 have" in text) == ("among many patients there are some" in text) == judges
    assert ("Where no band is drawn" in text) == ("UNCLEAR: " in text) == (not judges)
    assert "HIGHER" not in text
    assert "dashed" not in text
    assert "letter" not in text


@pytest.mark.parametrize(("dates", "cut"), [(("2020", "2022", "2024"), True), (("2020", "2024", "2022"), False)])
def test_the_key_tells_of_letters_and_of_lines_where_nothing_is_compared_across(dates, cut):
    films = [visited(f"{year}-05-01", 0.8) for year in dates]
    text = " ".join(marks(hips(*films[:2], replace(films[2], unit_pseudonym="un-b"), of=known()), [UNCLEAR]))
    assert "Dots of one letter" in text
    assert ("upright dashed line" in text) == cut


def test_the_precision_is_told_with_where_it_was_measured_how_many_hips_and_no_number_that_judges_no_hip():
    (line,) = rests_on(hips(*TWO, of=known()), known())
    assert line.startswith("Precision: this clinic's, measured on Drawn One (by maker and model): 40 hips")
    assert "0.0" not in line  # the number that judges stands on each card
    (line,) = rests_on(hips(*FOREIGN, of=known()), known())
    assert "measured on Drawn One (by maker and model), not on Drawn Two, of whose films no change can be told:" in line
    (line,) = rests_on(hips(*TWO, of=known("phantom")), known("phantom"))
    assert line == "Precision: this clinic's has not been measured, so no change can be told, however the dots lie."


def test_the_key_tells_of_the_labels_that_stand_there_and_of_bands_that_are_missing():
    assert "LOWER and HIGHER: a change" in " ".join(marks(hips(*TWO, of=known()), {HIGHER, LOWER, ""}))
    odd = [visited(f"{2019 + 2 * n}-05-01", one, 0.8) for n, one in enumerate((0.95, 0.8, 0.81, 0.8))]
    text = " ".join(marks(hips(*odd, of=known()), {UNCLEAR}))
    assert "gray band judges" in text
    assert "Where no band is drawn, none judges: the words of the card say why." in text
    assert "edge" not in text


def test_nothing_rests_on_a_precision_where_none_is_known_or_nothing_is_compared():
    other = [replace(one, bundle_digest="c") for one in TWO]
    assert rests_on(hips(*other, of=known()), known()) == []
    assert rests_on(hips(*TWO, of=None), None) == []
    assert rests_on(hips(TWO[0], of=known()), known()) == []
