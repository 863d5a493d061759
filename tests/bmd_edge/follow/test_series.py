"""Films of one patient and side become visits; what cannot be compared is not, and what cannot be right is told."""

from dataclasses import replace
from datetime import date

import pytest

from bmd_edge.follow.series import CONDITIONS, LEFT_OUT, SIZES_APART, series_of
from tests.bmd_edge.follow.made_up import HALF, LANDMARKS, visited

TODAY = date(2026, 1, 1)


def codes(*reports):
    series, findings = series_of(reports, TODAY)
    return [(one.patient, one.side, len(one.visits)) for one in series], [one.code for one in findings]


def test_films_of_a_patient_and_side_stand_in_the_order_of_their_dates():
    films = [visited("2024-05-01", 0.7), visited("2020-05-01", 0.8), visited("2022-05-01", 0.7, side="L")]
    (left, right), findings = (
        series_of([*films, visited("2021-01-01", 0.6, patient_pseudonym="pt-0")], TODAY)[0][1:],
        [],
    )
    assert (left.side, right.side, findings) == ("L", "R", [])
    assert [visit.taken.year for visit in right.visits] == [2020, 2024]
    assert right.breaks == []
    assert len(right.parts) == 1


def test_two_films_of_a_date_are_one_visit_whose_interval_narrows_by_what_repeated_films_show():
    """Of two films only the part of the error that repeats differently becomes smaller: not the square root of two."""
    ((one,), _) = series_of([visited("2024-05-01", 0.70), visited("2024-05-01", 0.74)], TODAY)
    (visit,) = one.visits
    assert visit.mean_gcm2("total_hip") == pytest.approx(0.72)
    sd = 0.03
    variance = (HALF / 1.644854) ** 2
    correlation = 1 - sd**2 / variance  # of the errors of two films of a hip
    assert visit.half_gcm2("total_hip", sd) == pytest.approx(HALF * ((1 + correlation) / 2) ** 0.5)
    assert visit.half_gcm2("total_hip", None) == pytest.approx(HALF)
    assert visit.half_gcm2("total_hip", 1.0) == pytest.approx(HALF / 2**0.5)  # never narrower than without correlation


@pytest.mark.parametrize("name", CONDITIONS)
def test_what_may_not_be_compared_is_a_break_with_its_name(name):
    films = [
        visited("2020-05-01", 0.8),
        replace(visited("2022-05-01", 0.7), **{name: "other"}),
        visited("2024-05-01", 0.7),
    ]
    ((one,), _) = series_of(films, TODAY)
    assert [(found.after.taken, found.changed) for found in one.breaks] == [
        (date(2022, 5, 1), [CONDITIONS[name]]),
        (date(2024, 5, 1), [CONDITIONS[name]]),
    ]
    assert [[visit.taken.year for visit in part] for part in one.parts] == [[2020, 2024], [2022]]


def test_two_patients_under_one_id_are_told_and_are_in_no_series():
    woman, man = visited("2020-05-01", 0.8, sex="F"), visited("2022-05-01", 0.7, sex="M")
    assert codes(woman, man) == ([], ["two_patients"] * 2)
    young, old = visited("2020-05-01", 0.8, age_years=60.0), visited("2022-05-01", 0.7, age_years=71.0)
    assert codes(young, old) == ([], ["two_patients"] * 2)
    same = visited("2022-05-01", 0.7, age_years=62.0)
    assert codes(young, same) == ([("pt-a", "R", 2)], [])
    assert codes(young, replace(old, patient_pseudonym="pt-b"))[1] == []


def test_hips_of_two_sizes_are_told():
    def other(factor):
        return visited("2022-05-01", 0.7, landmarks_px=LANDMARKS | {"lesser_trochanter": (100.0, 100 + 120 / factor)})

    assert codes(visited("2020-05-01", 0.8), other(SIZES_APART + 0.01))[1] == ["two_sizes"] * 2
    assert codes(visited("2020-05-01", 0.8), other(SIZES_APART - 0.01))[1] == []


def test_a_neck_that_a_turned_leg_foreshortens_is_no_other_size():
    turned = visited("2022-05-01", 0.7, landmarks_px=LANDMARKS | {"head_center": (100.0, 130.0)})
    assert codes(visited("2020-05-01", 0.8, landmarks_px=LANDMARKS | {"head_center": (100.0, 100.0)}), turned)[1] == []


@pytest.mark.parametrize(
    ("film", "code"),
    [
        (visited("2022-05-01", 0.7, flags=("side_contradiction",)), "side_exchanged"),
        (visited("2022-05-01", 0.7, side=None), "side_unknown"),
        (visited(None, 0.7), "no_date"),
        (visited("2026-01-02", 0.7), "future_date"),
        (visited("2022-05-01", 0.7, patient_pseudonym=None), "no_patient"),
        (visited("2022-05-01", 0.7, copy="other_patient"), "in_conflict"),
    ],
)
def test_a_film_that_cannot_stand_in_a_series_is_told(film, code):
    series, found = codes(visited("2020-05-01", 0.8), film)
    assert series == [("pt-a", "R", 1)]
    assert found == [code]


def test_every_reason_has_a_sentence_and_a_remedy():
    assert all(sentence.endswith(".") and remedy.endswith(".") for sentence, remedy in LEFT_OUT.values())


def test_refused_films_and_copies_stand_nowhere():
    refused = replace(visited("2022-05-01", 0.7), status="refused", reason="implant", hips=())
    assert codes(visited("2020-05-01", 0.8), refused, visited("2020-05-01", 0.8, copy="duplicate")) == (
        [("pt-a", "R", 1)],
        [],
    )
