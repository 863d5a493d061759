"""Whose film it is, from headers as they come."""

import io
from typing import Any

import pydicom
import pytest

from bmd_edge.clinic.objects.study import study_of
from tests.bmd_edge.clinic.objects.said import said_of
from tests.support import films as odd
from tests.support.screening import hip_dicom


def shared(**header: Any) -> pydicom.Dataset:
    return study_of(odd.dicom_bytes(odd.pixels(), **header)).shared


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "Müller^Jürgen"}, "Müller^Jürgen"),
        ({"SpecificCharacterSet": "ISO_IR 192", "PatientName": "Łukasz^Żółć"}, "Łukasz^Żółć"),
        (
            {"SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"},
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
        ),
        ({"SpecificCharacterSet": "", "PatientName": "Doe^Jane"}, "Doe^Jane"),
        ({"PatientName": None}, ""),
    ],
)
def test_names_arrive_in_the_objects_as_the_film_has_them(header: dict[str, Any], name: str) -> None:
    film = hip_dicom("R", **header)
    for made in said_of(film)[1].values():
        read = pydicom.dcmread(io.BytesIO(made.data))
        assert read.SpecificCharacterSet == "ISO_IR 192"
        assert str(read.PatientName) == name


def test_who_the_patient_is_stays_as_the_archive_knows_it() -> None:
    assert shared(PatientID="I" * 80).PatientID == "I" * 80
    assert shared(PatientID="a\\b").PatientID == "a"
    assert shared(AccessionNumber="A" * 20).AccessionNumber == "A" * 20


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("PatientSex", "FEMALE"), ("PatientBirthDate", "1956-03-01"), ("PatientBirthDate", "00000000"),
        ("StudyDate", "2024.05.17"), ("StudyDate", "20240230"), ("StudyDate", "2024-137"), ("StudyTime", "8 Uhr"),
        ("StudyTime", "996199"),
    ],
)  # fmt: skip
def test_a_value_that_would_make_the_object_invalid_is_left_empty(name: str, wrong: str) -> None:
    assert shared(**{name: wrong})[name].value == ""
    assert "PatientAge" not in shared(PatientAge="67")


def test_required_attributes_are_there_and_unknown_ones_are_not() -> None:
    found = shared(PatientName=None, PatientID=None, PatientBirthDate=None, PatientSex=None, StudyDate=None)
    assert [found[name].value for name in ("PatientName", "PatientID", "StudyID", "AccessionNumber")] == [
        "",
        "",
        "",
        "",
    ]
    assert {element.keyword for element in found} & {"OperatorsName", "InstitutionName", "PatientComments"} == set()


def test_what_cannot_be_read_is_said_without_its_words() -> None:
    bare = [odd.dicom_bytes(**{f"{level}InstanceUID": None}) for level in ("SOP", "Study", "Series")]
    for data in (b"", b"CANARY" * 100, *bare):
        with pytest.raises(ValueError, match="cannot be read") as error:
            study_of(data)
        assert "CANARY" not in str(error.value)


@pytest.mark.filterwarnings("ignore::UserWarning")  # of pydicom, as the film is made
def test_a_film_that_names_the_patient_in_its_pixels_says_so_of_its_picture_too() -> None:
    def burned(**header: Any) -> Any:
        made = said_of(hip_dicom("R", **header))[1]["sc"]
        return pydicom.dcmread(io.BytesIO(made.data)).get("BurnedInAnnotation")

    assert burned(BurnedInAnnotation="YES") == "YES"
    assert burned(BurnedInAnnotation="yes") == "YES"
    assert burned(BurnedInAnnotation="NO") == "NO"
    assert burned() is None
