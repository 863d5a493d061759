"""Whose film it is: what of its header every object of its study repeats."""

import io
import re
import warnings
from dataclasses import dataclass
from datetime import date
from typing import Any

import pydicom
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from bmd_edge.clinic.objects.display import aspect_of, display_of
from bmd_edge.dicom.header import Header, read_header

_REQUIRED = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Type 2: an object has them, if need be empty (PS3.3 C.7.1.1, C.7.2.1)."""
_OPTIONAL = ("IssuerOfPatientID", "PatientAge", "StudyDescription")
_SHAPES = {
    "StudyTime": r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?",
    "PatientSex": r"[FMO]",
    "PatientAge": r"\d{3}[DWMY]",
    "StudyID": r".{1,16}",
}
"""PS3.5 6.2. What breaks these would make the object invalid: it is left empty. Who the patient is, is not touched."""


@dataclass(frozen=True, slots=True)
class Study:
    """The film that an object is about, and the patient and study it belongs to.

    `burned_in` is "YES", "NO" or "": whether the film says that its pixels name the patient.
    `display` says how the film is shown (`display_of`), `aspect` the height and width of its pixels as whole numbers.
    `shared` holds the patient's and the study's attributes as UTF-8, the required ones also where the film has none.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    rows: int
    columns: int
    burned_in: str
    display: Dataset
    aspect: tuple[int, int]
    shared: Dataset


def study_of(film: bytes) -> Study:
    """Read patient and study from the bytes of a film; its pixels are not touched.

    Raises:
        ValueError: the film lacks the UID of itself, its study or its series, which no door takes, or its header
            cannot be read. The text quotes nothing of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's quote the header
        try:
            header = pydicom.dcmread(io.BytesIO(film), stop_before_pixels=True, force=True)
            return _study(header, read_header(film)[0])
        except Exception as error:  # noqa: BLE001 - whatever a parser did, it is one film
            raise ValueError(f"the film's header cannot be read: {type(error).__name__}") from None


def _study(header: Dataset, raw: Header) -> Study:
    film = str(header.SOPInstanceUID)
    shared = Dataset()
    shared.SpecificCharacterSet = "ISO_IR 192"
    for name in (*_REQUIRED, *_OPTIONAL):
        value = _text(header, name)
        if not _is_valid(name, value):
            value = ""
        if value or name in _REQUIRED:
            put(shared, name, value)
    study, series = str(header.StudyInstanceUID), str(header.SeriesInstanceUID)
    put(shared, "StudyInstanceUID", study)
    rows, columns = (int(header.get(name) or 1) for name in ("Rows", "Columns"))
    burned_in = _text(header, "BurnedInAnnotation").upper()
    burned_in = burned_in if burned_in in ("YES", "NO") else ""
    sop_class, display, aspect = str(header.SOPClassUID), display_of(raw), aspect_of(raw)
    return Study(sop_class, film, study, series, rows, columns, burned_in, display, aspect, shared)


def _is_valid(name: str, value: str) -> bool:
    if name not in ("PatientBirthDate", "StudyDate"):
        return bool(re.fullmatch(_SHAPES.get(name, r"[\s\S]*"), value))
    try:
        return len(value) == 8 and bool(date.fromisoformat(value))
    except ValueError:  # 00000000, 19561301
        return False


def _text(header: Dataset, name: str) -> str:
    """A value as Unicode, decoded with the film's own character set; "" where it is absent, the first of several."""
    value = header.get(name)
    if isinstance(value, pydicom.multival.MultiValue):
        value = value[0] if value else None
    return "" if value is None else str(value).strip(" \0")


def put(dataset: Dataset, name: str, value: Any) -> None:
    """Set an element to a value of the film, past pydicom's checks: a patient's ID is what the archive knows."""
    tag = Tag(name)
    dataset[tag] = DataElement(tag, dictionary_VR(tag), value, validation_mode=IGNORE)
