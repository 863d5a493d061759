"""The films of the proof: who is filmed how often, and what their headers say."""

from collections import Counter

from bmd_edge.film.read import read_film
from export.proofs.followed_films import AREAL_OF_LOSS, RATES, dated, plan
from tests.support.screening import hip_dicom


def test_subjects_are_filmed_two_to_six_times_and_three_fifths_of_them_with_a_loss():
    films = plan(400, 40, 40, 40)
    followed = [one for one in films if one.group == "followed"]
    unchanged = Counter(one.subject for one in followed if one.rate == 0)
    assert Counter(unchanged.values()) == dict.fromkeys((2, 3, 4, 5, 6), 80)
    losing = {one.subject: one.rate for one in followed if one.rate > 0}
    assert Counter(losing.values()) == dict.fromkeys(RATES[1:], 48)
    assert Counter(one.year for one in followed if one.rate > 0) == dict.fromkeys((1, 2, 3, 4, 5), 240)
    assert len({one.spec.seed for one in films}) == len(films)
    last = max((one for one in followed if one.rate == 0.1), key=lambda one: one.year)
    assert abs(AREAL_OF_LOSS * last.spec.loss - (1 - 0.9**5)) < 1e-9
    assert all(one.spec.loss == 0 for one in films if one.rate == 0)


def test_only_the_films_of_other_units_change_the_unit_of_a_subject():
    films = plan(10, 10, 10, 10)
    people = {}
    for one in films:
        people.setdefault(one.spec.subject_seed, []).append(one)
    assert len(people) == 30
    for some in people.values():
        units = {one.group: one.unit for one in some}
        assert len(set(units.values())) == len(units)
        assert set(units) in ({"followed", "other_unit"}, {"repeated"}, {"both_hips"})
    assert all(one.unit == one.spec.style for one in films)


def test_a_film_is_dated_and_states_its_pixel_size_in_one_way():
    first, second = (one for one in plan(0, 1, 0, 0))
    films = [read_film(dated(one, hip_dicom("R")), patient_key=b"k") for one in (first, second)]
    assert [one.acquisition_date for one in films] == ["2015-07-01", "2016-07-01"]
    assert {one.spacing_source for one in films} == {"imager_assumed"}
    assert len({(one.patient_pseudonym, one.unit_pseudonym) for one in films}) == 1
