"""Age, sex and device of a header, or none where it states nothing possible."""

import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.film.read import read_film
from tests.support import films


@pytest.mark.parametrize(
    ("elements", "age"),
    [({}, 68), ({"PatientAge": "999Y"}, None), ({"PatientAge": "000Y"}, None), ({"PatientAge": "816M"}, 68),
     ({"PatientAge": None}, 68.2), ({"PatientAge": None, "PatientBirthDate": None}, None),
     ({"PatientAge": None, "PatientBirthDate": "19000101"}, None),
     ({"PatientAge": None, "PatientBirthDate": "20240517"}, None),
     ({"PatientAge": None, "PatientBirthDate": "2O240517"}, None)],
)  # fmt: skip
def test_age(elements, age):
    assert read_film(films.dicom_bytes(**elements)).age_years == age


@pytest.mark.parametrize(
    ("written", "age", "flagged"),
    [("42", 42, True), ("067", 67, True), ("0067", 67, True), ("067y", 67, True), ("067 Y", 67, True),
     ("67Y", 67, False), ("816m", 68, True), ("000", None, True), ("67 YEARS", None, False), ("6.7Y", None, False)],
)  # fmt: skip
def test_an_age_in_another_spelling_is_read_and_flagged(written, age, flagged):
    film = read_film(films.dicom_bytes(PatientAge=written, PatientBirthDate=None))
    assert (film.age_years, "age_spelling" in film.flags) == (age, flagged)


def test_a_child_in_another_spelling_is_a_child():
    with pytest.raises(FilmRefused, match="immature"):
        read_film(films.dicom_bytes(PatientAge="12", PatientBirthDate=None))


@pytest.mark.parametrize(
    ("written", "age"),
    [("1950.12.11", 73.4), ("1950-12-11", 73.4), ("19501211", 73.4), ("1950.12-11", None), ("1950.13.11", None),
     ("1950", None), ("00010101", None)],
)  # fmt: skip
def test_dates_of_the_standard_before_this_one_are_read(written, age):
    assert read_film(films.dicom_bytes(PatientAge=None, PatientBirthDate=written)).age_years == age


def test_a_date_with_points_orders_the_visit():
    film = read_film(films.dicom_bytes(StudyDate="2024.05.17"))
    assert (film.acquisition_date, "header_irregular" in film.flags) == ("2024-05-17", True)


def test_sex_and_device():
    film = read_film(films.dicom_bytes())
    assert (film.sex, film.maker, film.model, film.kvp, film.exposure_index) == ("F", "Acme", "Ray 1", 75.0, 250.0)
    assert (film.view, film.body_part, film.sop_instance_uid) == ("AP", "HIP", "1.2.826.0.1.3680043.10.1")
    odd = films.dicom_bytes(PatientSex="O", KVP="0", ExposureIndex="-1")
    odd = read_film(films.patched(odd, b"1.2.826.0.1.3680043.10.2", b"../../../../../../../etc"))
    assert (odd.sex, odd.kvp, odd.exposure_index, odd.study_instance_uid) == (None, None, None, None)
    assert odd.warnings == 1
    assert "header_irregular" in odd.flags


@pytest.mark.parametrize(
    ("elements", "contradiction"),
    [({}, False), ({"PatientAge": "043Y"}, True), ({"PatientAge": "067Y"}, False), ({"PatientAge": "070Y"}, False),
     ({"PatientAge": "071Y"}, True), ({"PatientAge": "999Y"}, False),
     ({"PatientAge": "043Y", "StudyDate": None}, False),
     ({"PatientAge": "043Y", "PatientBirthDate": "19000101"}, False), ({"PatientAge": None}, False),
     ({"PatientAge": "100Y", "PatientBirthDate": "20190303", "StudyDate": "20190303"}, True),
     ({"PatientAge": None, "PatientBirthDate": "20190303", "StudyDate": "20190303"}, False)],
)  # fmt: skip
def test_an_age_that_the_birth_date_contradicts_is_flagged(elements, contradiction):
    film = read_film(films.dicom_bytes(**elements))
    assert ("age_contradiction" in film.flags) == contradiction
    if contradiction:
        assert film.age_years == int(elements["PatientAge"][:3])


@pytest.mark.parametrize(
    ("written", "sex", "flagged"),
    [("F", "F", False), ("M", "M", False), ("O", None, False), (None, None, False), ("f", "F", True), ("W", "F", True),
     ("m", "M", True), ("FEMALE", "F", True), ("X", None, True)],
)  # fmt: skip
def test_a_sex_in_another_spelling_is_read_and_flagged(written, sex, flagged):
    film = read_film(films.dicom_bytes(PatientSex=written))
    assert (film.sex, "sex_spelling" in film.flags) == (sex, flagged)


def test_a_patient_has_one_pseudonym_under_one_key():
    def pseudonym(key=b"k" * 32, **elements):
        return read_film(films.dicom_bytes(**elements), patient_key=key).patient_pseudonym

    one = pseudonym()
    assert one == pseudonym(PatientName="OTHER^NAME", SOPInstanceUID="1.2.3")
    assert one not in (pseudonym(b"m" * 32), pseudonym(PatientID="2"), pseudonym(IssuerOfPatientID="X"))
    assert films.CANARY not in one
    assert pseudonym(key=None) is None
    assert pseudonym(PatientID=None) is None


@pytest.mark.parametrize(
    ("number", "somebody"),
    [("Anonymous", False), ("ANON", False), ("anonymized", False), ("Deidentified", False), ("0000", False),
     ("UNKNOWN", False), ("ANON-0017", True), ("A-1", True), ("10", True), ("Anonby", True), ("XY7", True)],
)  # fmt: skip
def test_a_patient_id_that_names_nobody_makes_no_patient(number, somebody):
    film = read_film(films.dicom_bytes(PatientID=number), patient_key=b"k" * 32)
    assert (film.patient_pseudonym is not None) == somebody


def test_a_unit_has_one_pseudonym_under_one_key():
    def pseudonym(key=b"k" * 32, **elements):
        return read_film(films.dicom_bytes(**elements), patient_key=key).unit_pseudonym

    one = pseudonym()
    assert one.startswith("un-")
    assert one == pseudonym(PatientID="2", StudyDate="20250101", KVP=80)
    for other in ({"ManufacturerModelName": "X"}, {"DeviceSerialNumber": "7"}, {"StationName": "ROOM2"}):
        assert one != pseudonym(**other)
    assert one != pseudonym(b"m" * 32)
    assert pseudonym(key=None) is None
    assert pseudonym(Manufacturer=None, ManufacturerModelName=None, StationName=None, DeviceSerialNumber=None) is None


@pytest.mark.parametrize(
    ("elements", "taken"),
    [({}, "2024-05-17"), ({"AcquisitionDate": "20240518"}, "2024-05-18"), ({"SeriesDate": "20240516"}, "2024-05-16"),
     ({"StudyDate": None}, None), ({"AcquisitionDate": "20241399"}, "2024-05-17")],
)  # fmt: skip
def test_the_date_puts_visits_in_order(elements, taken):
    assert read_film(films.dicom_bytes(**elements)).acquisition_date == taken
