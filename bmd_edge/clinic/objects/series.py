"""What the objects of the box have in common: their maker, their series, their time, the film they are about."""

from collections.abc import Mapping
from datetime import datetime

from pydicom.dataset import Dataset

from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.study import Study
from bmd_edge.report.film_report import FilmReport
from bmd_edge.version import __version__

MAKER = "bmd-edge"
MODEL = "bmd-edge"
DESCRIPTION = "BMD estimate (research use only)"
SERIES_DESCRIPTION = "BMD estimate (research)"
SERIES = {"sr": 9001, "sc": 9002, "gsps": 9003, "pdf": 9004}
"""Kind of object -> number of its series; each film has a series of its own for each kind."""


def begun(kind: str, sop_class: str, study: Study, occasion: Occasion, names: Mapping[str, str]) -> Dataset:
    """An object of a kind with its patient, study, series and maker; `names` holds its "instance" and "series" UIDs."""
    made = Dataset()
    made.update(study.shared)
    made.SOPClassUID, made.SOPInstanceUID = sop_class, names["instance"]
    made.SeriesInstanceUID, made.InstanceNumber = names["series"], occasion.version.number
    made.SeriesNumber, made.SeriesDescription = SERIES[kind], SERIES_DESCRIPTION
    made.Manufacturer, made.ManufacturerModelName = MAKER, MODEL
    made.DeviceSerialNumber, made.SoftwareVersions = occasion.box.name, __version__
    return made


def laterality(report: FilmReport) -> str:
    """The one side that the film shows, "" for a pelvis and where it is unknown (PS3.3 C.7.3.1)."""
    sides = {hip.side for hip in report.hips}
    return sides.pop() or "" if len(sides) == 1 else ""


def film_reference(study: Study) -> Dataset:
    """The film as an item of a sequence of references."""
    film = Dataset()
    film.ReferencedSOPClassUID, film.ReferencedSOPInstanceUID = study.sop_class_uid, study.sop_instance_uid
    return film


def dated(made: Dataset, received: datetime) -> None:
    """Date an object by when its film was received, so that making it again makes the same."""
    day, time = received.strftime("%Y%m%d"), received.strftime("%H%M%S")
    for part in ("Instance Creation", "Content", "Series"):
        setattr(made, f"{part.replace(' ', '')}Date", day)
        setattr(made, f"{part.replace(' ', '')}Time", time)
