"""From a film's report to the finished bytes of its objects."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from bmd_edge.clinic.objects import sc, sr
from bmd_edge.clinic.objects.names import uid
from bmd_edge.clinic.objects.picture import FilmPicture, result_picture
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.study import Study
from bmd_edge.report.film_report import FilmReport

IMPLEMENTATION = uid("bmd-edge", "implementation")


@dataclass(frozen=True, slots=True)
class Made:
    """A finished object: its kind ("sr" or "sc"), SOP Class and Instance UID, and the bytes of its file."""

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    data: bytes


def objects(
    report: FilmReport, answer: str, study: Study, occasion: Occasion, film: FilmPicture | None
) -> tuple[Made, ...]:
    """Make the objects of a film's result, Explicit VR Little Endian, an SR and then the picture.

    Args:
        report: what is said.
        answer: its name (`names.answer_key`), which the UIDs follow from.
        study: the film's patient and study.
        occasion: when, by whom, and which version.
        film: the film as a picture, None where it could not be decoded.
    """
    picture = result_picture(report, occasion, film)
    return (
        _finished("sr", sr.structured_report(report, study, occasion, _names("sr", answer, study, occasion))),
        _finished("sc", sc.secondary_capture(report, picture, study, occasion, _names("sc", answer, study, occasion))),
    )


def instance_uid(answer: str, kind: str, replaced: Mapping[str, str]) -> str:
    """The SOP Instance UID of an object; what it replaces counts, since the object names it."""
    return uid(answer, kind, *(replaced[name] for name in sorted(replaced)))


def _names(kind: str, answer: str, study: Study, occasion: Occasion) -> dict[str, str]:
    return {
        "instance": instance_uid(answer, kind, occasion.version.replaced),
        "series": uid(study.sop_instance_uid, kind, "series"),
        "answer": answer,
    }


def _finished(kind: str, made: Dataset) -> Made:
    made.file_meta = FileMetaDataset()
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.ImplementationClassUID = UID(IMPLEMENTATION)
    made.file_meta.ImplementationVersionName = "BMD_EDGE"
    file = io.BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return Made(kind, str(made.SOPClassUID), str(made.SOPInstanceUID), file.getvalue())
