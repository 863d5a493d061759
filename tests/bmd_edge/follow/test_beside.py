"""Each card says what else there is of its patient: without it a gap in a chart looks like nothing."""

from dataclasses import replace
from datetime import date

from bmd_edge.errors import REFUSALS
from bmd_edge.follow.beside import beside, without_number
from bmd_edge.follow.series import LEFT_OUT, series_of
from tests.bmd_edge.follow.made_up import visited


def refused(taken: str | None, reason: str, side: str | None = "R", **facts):
    """A film with one hip that no number stands on; without a side a film on which no hip was found."""
    film = visited(taken, 0.7, side=side, **facts)
    (hip,) = film.hips
    hips = (replace(hip, status="refused", reason=reason, estimates=()),) if side else ()
    return replace(film, status="refused", reason=reason, hips=hips)


def said(*reports):
    _, findings = series_of(reports, date(2026, 1, 1))
    return beside([*findings, *without_number(reports)])


def test_what_is_in_no_series_is_said_with_side_date_and_reason():
    films = [
        visited("2020-05-01", 0.8), visited("2024-05-01", 0.7),
        visited(None, 0.7), visited("2022-01-02", 0.6, side=None), refused("2021-03-04", "implant", "L"),
        refused("2021-03-05", "implant", "L"), refused("2019-01-01", "not_a_hip", None), refused(None, "cut_off", None),
    ]  # fmt: skip
    text = said(*films)["pt-a"]
    assert text.startswith("Also of this patient, in no series and no chart: ")
    assert f"left hip, 2021-03-04, 2021-03-05: {REFUSALS['implant'].sentence}" in text
    assert f"2019-01-01: {REFUSALS['not_a_hip'].sentence}" in text
    assert f"2022-01-02: {LEFT_OUT['side_unknown'][0]}" in text
    assert f" 1 film: {LEFT_OUT['no_date'][0]}" in text
    assert f" 1 film without a date: {REFUSALS['cut_off'].sentence}" in text


def test_a_hip_to_be_read_at_once_stands_first_with_what_to_do():
    text = said(refused("2021-03-04", "clipped"), refused("2022-03-04", "fracture"))["pt-a"]
    assert text.index(REFUSALS["fracture"].remedy) < text.index(REFUSALS["clipped"].sentence)
    assert REFUSALS["clipped"].remedy not in text


def test_of_films_of_others_copies_other_body_parts_and_what_is_no_film_nothing_is_said():
    chest = refused("2021-03-04", "wrong_body_part", None)
    letter = replace(refused("2021-03-04", "not_radiograph", None), status="left_out")
    copy = refused("2021-03-04", "implant", copy="duplicate")
    nobody = [refused("2021-03-04", "implant", patient_pseudonym=None), visited(None, 0.7, patient_pseudonym=None)]
    assert said(visited("2020-05-01", 0.8), chest, letter, copy, *nobody) == {}
    assert set(said(refused("2021-03-04", "implant", patient_pseudonym="pt-b"))) == {"pt-b"}


def test_hips_of_two_sizes_are_said_at_the_other_hip():
    left = [visited(taken, 0.8, side="L") for taken in ("2020-05-01", "2024-05-01")]
    large = {"greater_trochanter": (100.0, 100.0), "lesser_trochanter": (100.0, 300.0)}
    right = [visited("2020-05-01", 0.8), visited("2024-05-01", 0.7, landmarks_px=large)]
    text = said(*left, *right)["pt-a"]
    assert f"right hip, 2020-05-01, 2024-05-01: {LEFT_OUT['two_sizes'][0]}" in text
