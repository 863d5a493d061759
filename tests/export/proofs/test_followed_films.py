"""The films of the proof: who is filmed how often, and what their headers say."""

from collections import Counter

from bmd_edge.film.read import read_film
from export.proofs.followed_films import AREAL_OF_LOSS, RATES, dated, plan
from tests.support.screening import hip_dicom


def test_subjects_are_filmed_two_to_six_times_at_every_rate():
    films = plan(400, 40, 40, 40)
    followed = [one for one in films if one.group == "followed"]
    per_subject = Counter(one.subject for one in followed)
    assert Counter(per_subject.values()) == dict.fromkeys((2, 3, 4, 5, 6), 80)
    rates = {one.subject: one.rate for one in followed}
    assert Counter(rates.values()) == {0.0: 100} | dict.fromkeys(RATES[1:], 60)
    assert len({one.spec.seed for one in films}) == len(films)
    last = max((one for one in followed if one.rate == 0.1), key=lambda one: one.year)
    assert abs(AREAL_OF_LOSS * last.spec.loss - (1 - 0.9**5)) < 1e-9
    assert all(one.spec.loss == 0 for one in films if one.rate == 0)


def test_only_the_group_of_other_units_changes_the_unit_halfway():
    for group in ("followed", "repeated", "other_unit", "both_hips"):
        some = [one for one in plan(10, 10, 10, 10) if one.group == group and one.subject == 3]
        assert len({one.spec.subject_seed for one in some}) == 1
        letters = [one.unit for one in some]
        assert len(set(letters)) == (2 if group == "other_unit" else 1)
        assert letters == [one.spec.style for one in some]


def test_a_film_is_dated_and_states_its_pixel_size_in_one_way():
    first, second = (one for one in plan(0, 1, 0, 0))
    films = [read_film(dated(one, hip_dicom("R")), patient_key=b"k") for one in (first, second)]
    assert [one.acquisition_date for one in films] == ["2015-07-01", "2016-07-01"]
    assert {one.spacing_source for one in films} == {"imager_assumed"}
    assert len({(one.patient_pseudonym, one.unit_pseudonym) for one in films}) == 1
