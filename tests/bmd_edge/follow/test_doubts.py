"""What speaks against reading dots as bone: named where it is, and nowhere else."""

from datetime import date

import pytest

from bmd_edge.follow.change import follow
from bmd_edge.follow.doubts import apart, first_out, is_clear, jumps, other_hips, out_of_line, spoken_against, withheld
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
    found, other = followed((0.8,), (0.3,)), followed((0.8,), (0.82,), side="L")
    assert spoken_against(found, found.changes[0], other) == ["implausible", "other_hip"]
    assert spoken_against(other, other.changes[0], found) == ["other_hip"]
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
    right, left = followed((0.8,), (0.6,)), followed((0.8,), (0.82,), side="L")
    for one, other in ((right, left), (left, right)):
        assert [(pair.one.site, pair.of_other_hip) for pair in apart(one, other)] == [
            ("femoral_neck", True),
            ("total_hip", True),
        ]
    assert apart(right, followed((0.8,), (0.78,), side="L")) == []
    assert apart(followed((0.8,), (0.79,)), left) == []
    later = [visited("2020-05-01", 0.8, side="L"), visited("2022-05-01", 0.82, side="L")]
    ((one,), _) = series_of(later, TODAY)
    assert apart(right, follow(one, known())) == []


def test_the_other_hip_is_that_of_the_same_patient():
    right, left = followed((0.8,), (0.6,)), followed((0.8,), (0.6,), side="L")
    strange = followed((0.8,), (0.6,), side="L", patient_pseudonym="pt-b")
    others = other_hips([right, left, strange])
    assert others["pt-a", "R"] is left
    assert others["pt-a", "L"] is right
    assert ("pt-b", "L") not in others
