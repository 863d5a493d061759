"""Reports of films that were read, refused and failed."""

import pytest

from bmd_edge.report.film_report import FilmReport
from tests.support.screening import drawn_screener, hip_dicom


@pytest.fixture(scope="session")
def reports() -> dict[str, FilmReport]:
    films = {
        "right": hip_dicom("R"),
        "pelvis": hip_dicom("RL", implant="L"),
        "implant": hip_dicom("R", implant="R"),
        "young": hip_dicom("R", PatientAge="044Y"),
        "unknown": hip_dicom("R", PatientAge=None, PatientSex=None, Manufacturer=None, KVP=None),
        "nothing": hip_dicom(""),
        "text": b"text",
    }
    with drawn_screener() as screener:
        return {name: screener.read(data, file=f"{name}.dcm") for name, data in films.items()}
