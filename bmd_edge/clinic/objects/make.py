"""From a film's report to the finished bytes of its objects."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from bmd_edge.clinic.config import RESOURCES
from bmd_edge.clinic.objects import fhir, gsps, pdf, sc, sr
from bmd_edge.clinic.objects.names import uid
from bmd_edge.clinic.objects.picture import FilmPicture, result_picture
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.study import Study
from bmd_edge.report.film_report import FilmReport

SOP_CLASSES = {"sr": sr.SOP_CLASS, "sc": sc.SOP_CLASS, "gsps": gsps.SOP_CLASS, "pdf": pdf.SOP_CLASS}
"""Kind of object -> its SOP Class UID."""
IMPLEMENTATION = uid("bmd-edge", "implementation")


@dataclass(frozen=True, slots=True)
class Made:
    """A finished object: its kind, a key of `SOP_CLASSES`, SOP Class and Instance UID, and the bytes of its file.

    FHIR resources have the kind "fhir", no SOP Class, and JSON as bytes.
    """

    kind: str
    sop_class_uid: str
    sop_instance_uid: str
    data: bytes


def objects(
    report: FilmReport,
    answer: str,
    study: Study,
    occasion: Occasion,
    film: FilmPicture | None,
    kinds: Sequence[str] = ("sr", "sc"),
) -> tuple[Made, ...]:
    """Make the objects of a film's result, Explicit VR Little Endian, in the order of `kinds`.

    Args:
        report: what is said.
        answer: its name (`names.answer_key`), which the UIDs follow from.
        study: the film's patient and study.
        occasion: when, by whom, and which version.
        film: the film as a picture, None where it could not be decoded.
        kinds: which ones.
    """
    makers: dict[str, Callable[[dict[str, str]], Dataset]] = {
        "sr": lambda names: sr.structured_report(report, study, occasion, names),
        "sc": lambda names: sc.secondary_capture(
            report, result_picture(report, occasion, film), study, occasion, names
        ),
        "gsps": lambda names: gsps.presentation_state(report, study, occasion, names),
        "pdf": lambda names: pdf.encapsulated(report, film, study, occasion, names),
    }

    def made(kind: str) -> Made:
        names = _names(kind, answer, study, occasion)
        if kind == RESOURCES:
            sr_uid = instance_uid(answer, "sr", occasion.version.replaced)
            return Made(kind, "", names["instance"], fhir.bundle(report, study, occasion, names, sr_uid))
        return _finished(kind, makers[kind](names))

    return tuple(map(made, kinds))


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
