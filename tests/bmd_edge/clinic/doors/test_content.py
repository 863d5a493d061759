"""What tells a film from another, and what cannot be a film."""

from collections.abc import Callable
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from bmd_edge.clinic.doors.content import NotTaken, Status, content_of, sop_of
from tests.support import films
from tests.support.films import dicom_bytes, pixels, sequence

KEY = b"k" * 32


def rewritten(data: bytes, change: Callable[[Dataset], None] = lambda _: None, **how: bool) -> bytes:
    """The film as another program writes it."""
    made = pydicom.dcmread(BytesIO(data))
    change(made)
    made.file_meta.ImplementationVersionName = "OTHER"
    buffer = BytesIO()
    made.save_as(buffer, **how)
    return buffer.getvalue()


def open_sequences(made: Dataset) -> None:
    for element in made:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True


def film() -> bytes:
    nested = sequence(CodeValue="1", CodeMeaning="outer", ConceptCodeSequence=sequence(CodeValue="2"))
    return dicom_bytes(ViewCodeSequence=nested, ProcedureCodeSequence=sequence(CodeValue="77"))


def told(data: bytes) -> tuple[str, str, str, str]:
    content = content_of(data, KEY)
    return content.sop_uid, content.pixel_sha, content.header_sha, content.identity


def test_the_same_film_is_the_same_whoever_wrote_it() -> None:
    first = film()
    others = {
        "another meta header": rewritten(first),
        "sequences without length": rewritten(first, open_sequences),
        "implicit": rewritten(first, lambda made: setattr(made.file_meta, "TransferSyntaxUID", films.IMPLICIT),
                              implicit_vr=True, little_endian=True),
        "trailing zeros": first + b"\0" * 2000,
    }  # fmt: skip
    assert len({first, *others.values()}) == 5
    assert {name: told(other) == told(first) for name, other in others.items()} == dict.fromkeys(others, True)
    assert content_of(first, KEY).film_key != content_of(others["implicit"], KEY).film_key


def test_deflated_is_the_same_film_too() -> None:
    assert told(dicom_bytes(syntax=films.DEFLATED)) == told(dicom_bytes())


def test_fragments_are_joined() -> None:
    whole, cut = (dicom_bytes(syntax=films.JPEG_2000_LOSSLESS, fragments=n) for n in (1, 3))
    assert whole != cut
    assert told(whole) == told(cut)


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        ({"PatientID": "OTHER"}, {"identity", "header_sha"}),
        ({"StudyInstanceUID": "1.2.9"}, {"identity", "header_sha"}),
        ({"PatientBirthDate": "19560302"}, {"header_sha"}),
        ({"ViewCodeSequence": sequence(CodeValue="3")}, {"header_sha"}),
        ({"SOPInstanceUID": "1.2.9"}, {"sop_uid", "header_sha"}),
    ],
)
def test_what_differs_is_seen(change: dict[str, object], moved: set[str]) -> None:
    first = content_of(dicom_bytes(ViewCodeSequence=sequence(CodeValue="1")), KEY)
    other = content_of(dicom_bytes(**{"ViewCodeSequence": sequence(CodeValue="1"), **change}), KEY)
    names = ("sop_uid", "pixel_sha", "header_sha", "identity")
    assert {name for name in names if getattr(first, name) != getattr(other, name)} == moved


def test_one_gray_value_is_seen() -> None:
    frame = pixels()
    frame[-1, -1] ^= 1
    assert content_of(dicom_bytes(frame), KEY).pixel_sha != content_of(dicom_bytes(), KEY).pixel_sha


def test_identity_is_keyed() -> None:
    assert content_of(dicom_bytes(), KEY).identity != content_of(dicom_bytes(), b"other").identity


@pytest.mark.parametrize(
    ("data", "status", "code"),
    [
        (b"", Status.UNREADABLE, "empty_file"),
        (b"no film" * 100, Status.UNREADABLE, "not_dicom"),
        (dicom_bytes()[:-10], Status.UNREADABLE, "truncated"),
        (dicom_bytes(SOPClassUID=films.CT), Status.SOP_CLASS, "not_radiograph"),
        (dicom_bytes().replace(b"1.2.826.0.1.3680043.10.1", b"1.2.826.0.1.36800aa.10.1"), Status.BAD_UID, "no_uid"),
        (dicom_bytes(SOPInstanceUID=None), Status.BAD_UID, "no_uid"),
        (dicom_bytes(StudyInstanceUID=None), Status.BAD_UID, "no_uid"),
        (dicom_bytes(StudyInstanceUID="1.2.CANARY"), Status.BAD_UID, "no_uid"),
        (dicom_bytes(SeriesInstanceUID=None), Status.BAD_UID, "no_uid"),
        (dicom_bytes(SeriesInstanceUID=""), Status.BAD_UID, "no_uid"),
        (films.written(films.dataset(pixels())), Status.NOT_A_FILM, "no_pixels"),
        (dicom_bytes(Rows=20000, Columns=20000), Status.TOO_LARGE, "too_large"),
        (dicom_bytes(SOPClassUID=films.SC, PhotometricInterpretation="RGB"), Status.NOT_A_FILM, "not_grayscale"),
        (dicom_bytes(SOPClassUID=films.SC, NumberOfFrames="2"), Status.NOT_A_FILM, "multi_frame"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_a_film_is_told(data: bytes, status: Status, code: str) -> None:
    with pytest.raises(NotTaken) as caught:
        content_of(data, KEY)
    assert (caught.value.status, caught.value.code) == (status, code)


@pytest.mark.parametrize("kind", [films.CR, films.DX, films.DX_PROCESSING, films.SC])
def test_what_may_be_a_film_is_taken_also_if_it_will_be_refused(kind: str) -> None:
    content_of(dicom_bytes(SOPClassUID=kind, BodyPartExamined="HAND", ImagerPixelSpacing=None), KEY)


@pytest.mark.parametrize("syntax", [*films.NATIVE, *films.LOSSLESS, *films.LOSSY])
def test_every_syntax_that_is_read_is_taken(syntax: str) -> None:
    bits = 8 if syntax == films.JPEG_BASELINE else 12
    assert content_of(dicom_bytes(pixels(bits=bits), syntax, bits), KEY).syntax == syntax


def test_a_syntax_that_is_not_read_is_told() -> None:
    data = dicom_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.9\0")
    with pytest.raises(NotTaken) as caught:
        content_of(data, KEY)
    assert caught.value.status == Status.SYNTAX


def test_its_uids_are_told_of_what_is_refused() -> None:
    assert sop_of(dicom_bytes(SOPClassUID=films.CT)) == (films.CT, "1.2.826.0.1.3680043.10.1")
    assert sop_of(b"no film") == ("", "")
