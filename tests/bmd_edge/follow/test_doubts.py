"""What speaks against reading dots as bone: named where it is, and nowhere else."""

from datetime import date

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.doubts import (
    apart,
    films_apart,
    first_out,
    is_clear,
    jumps,
    other_hips,
    out_of_line,
    spoken_against,
    withheld,
)
from bmd_edge.follow.series import series_of
from tests.bmd_edge.follow.made_up import known, visited

TODAY = date(2026, 1, 1)


def followed(*bmd_gcm2, of=None, side="R", **facts):
    films = [visited(f"{2016 + 2 * n}-05-01", *one, side=side, **facts) for n, one in enumerate(bmd_gcm2)]
    ((one,), _) = series_of(films, TODAY)
    return follow(one, of or known())


@pytest.mark.parametrize(
    ("bmd_gcm2", "years"),
    [
        ((0.80, 0.62, 0.79), [2018]),
        ((0.80, 0.98, 0.79), [2018]),
        ((0.80, 0.79, 0.62), []),  # the last visit itself is judged
        ((0.80, 0.62, 0.61), []),  # and where it lies outside too, those before it agree
        ((0.80, 0.98, 0.61), [2018]),
        ((0.80, 0.79, 0.81), []),
        ((0.80, 0.62, 0.61, 0.79), [2018, 2020]),
    ],
)
def test_a_visit_in_the_middle_is_out_of_line_where_the_last_does_not_lie_out_too(bmd_gcm2, years):
    found = out_of_line(followed(*((one,) for one in bmd_gcm2)))
    assert [one.visit.taken.year for one in found] == years
    for one in found:
        size = bmd_gcm2[(one.visit.taken.year - 2016) // 2] - bmd_gcm2[0]
        assert one.change_gcm2 == {"femoral_neck": pytest.approx(size), "total_hip": pytest.approx(size)}


def test_only_the_site_that_lies_outside_is_named_and_nothing_without_a_band():
    (one,) = out_of_line(followed((0.8, 0.9), (0.62, 0.89), (0.79, 0.9)))
    assert list(one.change_gcm2) == ["femoral_neck"]
    assert out_of_line(followed((0.8,), (0.62,), (0.79,), bundle_digest="c")) == []


@pytest.mark.parametrize(
    ("bmd_gcm2", "out"),
    [
        ((0.95, 0.80, 0.81, 0.80), True),
        ((0.80, 0.95, 0.96, 0.95), True),
        ((0.80, 0.95, 0.96), False),  # two may agree by chance
        ((0.95, 0.80), False),  # nothing agrees
        ((0.95, 0.80, 0.65), False),  # a steady course
        ((0.95, 0.80, 0.75, 0.70), False),
        ((0.86, 0.80, 0.74, 0.66), False),
        ((0.95, 0.94, 0.80, 0.80), False),  # the second does not agree with the later ones
        ((0.95, 0.90, 0.91, 0.90), False),  # within chance
    ],
)
def test_the_first_visit_is_out_where_it_alone_makes_the_change(bmd_gcm2, out):
    found = followed(*((one,) for one in bmd_gcm2))
    assert [one.later for one in first_out(found)] == [len(bmd_gcm2) - 1] * out
    assert jumps(found) == [] or not out
    assert ("first_out" in spoken_against(found, found.changes[0], None)) == out
    assert first_out(followed(*((one,) for one in bmd_gcm2), of=known("phantom"))) == []


@pytest.mark.parametrize(
    ("later", "doubts", "clear"),
    [
        ((0.6, 0.6), [], True),
        ((0.7, 0.7), ["only_just"], False),
        ((0.68, 0.68), [], True),  # by a quarter of 0.088 or more
        ((0.6, 0.79), ["other_site"], False),
        ((0.7, 0.79), ["other_site", "only_just"], False),
        ((0.79, 0.6), [], False),  # is not stated
    ],
)
def test_what_speaks_against_a_change_makes_it_unclear(later, doubts, clear):
    found = follow(series_of([visited("2016-05-01", 0.8), visited("2022-05-01", *later)], TODAY)[0][0], known())
    assert spoken_against(found, found.changes[0], None) == doubts
    assert is_clear(found, found.changes[0], None) == clear


def test_what_is_hardly_bone_and_a_hip_that_goes_the_other_way_speak_against_a_change():
    found, other = followed((0.8,), (0.3,)), followed((0.32,), (0.82,), side="L")
    assert spoken_against(found, found.changes[0], other) == ["implausible", "other_hip"]
    assert spoken_against(other, other.changes[0], found) == ["implausible", "other_hip"]
    assert withheld(found, found.changes[0])


def test_a_jump_of_one_site_withholds_the_changes_of_both_and_is_told_of_the_one():
    found = followed((0.8, 1.3), (0.5, 1.18))
    assert [spoken_against(found, one, None) for one in found.changes] == [["implausible"], []]
    assert [withheld(found, one) for one in found.changes] == [True, True]
    assert [is_clear(found, one, None) for one in found.changes] == [False, False]
    assert [withheld(found, one) for one in followed((0.8, 0.9), (0.5, 0.89)).changes] == [True, False]


def test_a_jump_to_a_visit_that_is_out_of_line_is_not_told_twice():
    assert jumps(followed((0.80,), (0.50,), (0.79,))) == []
    (one,) = jumps(followed((0.80, 0.9), (0.79, 0.9), (0.50, 0.89)))
    assert (one.before.taken.year, one.after.taken.year, list(one.change_gcm2)) == (2018, 2020, ["femoral_neck"])


def test_sites_are_apart_where_one_lies_beyond_and_the_other_does_not():
    ((pair),) = apart(followed((0.8, 0.9), (0.6, 0.89)), None)
    assert (pair.one.site, pair.other.site, pair.other_way) == ("femoral_neck", "total_hip", False)
    assert [one.other_way for one in apart(followed((0.8, 0.9), (0.6, 1.1)), None)] == [True, True]
    assert apart(followed((0.8, 0.9), (0.6, 0.7)), None) == []
    assert apart(followed((0.8, 0.9), (0.79, 0.91)), None) == []


def test_hips_are_apart_where_one_lies_beyond_and_the_other_goes_the_other_way_in_that_time():
    right, left = followed((0.8,), (0.68,)), followed((0.74,), (0.77,), side="L")
    for one, other in ((right, left), (left, right)):
        assert [(pair.one.site, pair.of_other_hip) for pair in apart(one, other)] == [
            ("femoral_neck", True),
            ("total_hip", True),
        ]
    assert apart(right, followed((0.77,), (0.74,), side="L")) == []
    assert apart(followed((0.8,), (0.79,)), left) == []
    later = [visited("2020-05-01", 0.74, side="L"), visited("2022-05-01", 0.77, side="L")]
    ((one,), _) = series_of(later, TODAY)
    assert apart(right, follow(one, known())) == []


@pytest.mark.parametrize(
    ("left", "doubted"),
    [
        ((0.80, 0.82), False),  # exchanged, the right hip's last film would show this one's first: 0.80, not 0.66
        ((0.67, 0.70), False),  # and the left hip's last the right one's first
        ((0.80, 0.95), True),  # both beyond chance, whatever they are
        ((0.72, 0.78), True),
    ],
)
def test_a_hip_within_chance_speaks_against_the_other_only_where_an_exchange_of_sides_would_show_this(left, doubted):
    hips = {"R": (0.80, 0.66), "L": left}
    films = [visited(f"{2016 + 8 * n}-05-01", hips[side][n], side=side) for side in hips for n in (0, 1)]
    other, found = (follow(one, known()) for one in series_of(films, TODAY)[0])
    assert found.changes[0].stated
    assert spoken_against(found, found.changes[0], other) == ["other_hip"] * doubted
    assert is_clear(found, found.changes[0], other) == (not doubted)


@pytest.mark.parametrize(
    ("taken", "last", "jump"),
    [
        ("2022-05-22", 0.725, True),
        ("2022-11-01", 0.725, False),
        ("2022-11-01", 0.71, True),
        ("2022-05-22", 0.74, False),
    ],
)
def test_more_than_chance_and_bone_together_explain_in_so_short_a_time_is_hardly_bone(taken, last, jump):
    films = visited("2022-05-01", 0.8), visited(taken, last)
    for source in ("clinic", "phantom"):
        found = follow(series_of(films, TODAY)[0][0], known(source, high=0.019))
        assert bool(jumps(found)) == jump
    assert bool(jumps(follow(series_of(films, TODAY)[0][0], None))) == (last == 0.71)  # by more than a tenth


@pytest.mark.parametrize(
    ("second", "ranges"),
    [
        ((0.59, 0.74), {"femoral_neck": 0.2}),
        ((0.59, 0.59), {"femoral_neck": 0.2, "total_hip": 0.2}),
        ((0.75, 0.74), {}),
    ],
)
def test_films_of_one_date_that_differ_beyond_chance_speak_against_both_sites(second, ranges):
    films = visited("2020-05-01", 0.92), visited("2024-05-01", 0.79), visited("2024-05-01", *second)
    for of in (known(), known("phantom")):
        found = follow(series_of(films, TODAY)[0][0], of)
        assert [one.range_gcm2 for one in films_apart(found)] == [pytest.approx(ranges)] * bool(ranges)
    found = follow(series_of(films, TODAY)[0][0], known())
    for change in found.changes:
        assert ("films_apart" in spoken_against(found, change, None)) == bool(ranges)
        assert is_clear(found, change, None) == (not ranges)
    assert films_apart(follow(series_of(films, TODAY)[0][0], None)) == []


def test_a_film_that_is_off_in_the_middle_speaks_against_no_change_from_first_to_last():
    films = [visited(f"{year}-05-01", value) for year, value in ((2020, 0.8), (2022, 0.8), (2022, 0.68), (2024, 0.67))]
    found = follow(series_of(films, TODAY)[0][0], known())
    assert [one.visit.taken.year for one in films_apart(found)] == [2022]
    assert [spoken_against(found, one, None) for one in found.changes] == [[], []]


def test_the_other_hip_is_that_of_the_same_patient():
    right, left = followed((0.8,), (0.6,)), followed((0.8,), (0.6,), side="L")
    strange = followed((0.8,), (0.6,), side="L", patient_pseudonym="pt-b")
    others = other_hips([right, left, strange])
    assert others["pt-a", "R"] is left
    assert others["pt-a", "L"] is right
    assert ("pt-b", "L") not in others
