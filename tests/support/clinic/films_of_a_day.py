"""A box with films of one day in every state that its page shows."""

from dataclasses import replace
from pathlib import Path

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.store import Journal
from tests.bmd_edge.clinic.delivery.archives import Archive
from tests.bmd_edge.clinic.reading.readers import box, put, read_all
from tests.support.clinic import free_port
from tests.support.screening import CANARY, hip_dicom

FILMS = {
    "kept": hip_dicom("R", AccessionNumber="ACC-1001"),
    "sent": hip_dicom("RL", AccessionNumber="ACC-1002", bone=2300),
    "refused": hip_dicom("R", implant="R", AccessionNumber="ACC-1003"),
    "half": hip_dicom("RL", implant="L", PatientAge="045Y", AccessionNumber="ACC-1004"),
    "burned": hip_dicom("L", PatientAge=None, AccessionNumber="ACC-1005", BurnedInAnnotation="YES"),
    "hostile": hip_dicom("", AccessionNumber="<b>&amp;", PatientName="<script>alert(1)</script>^\x1b[31m"),
    "undecoded": hip_dicom("L", AccessionNumber="ACC-1007", PixelData=b"\0\0", bone=2100),
}
"""Names of the films and their bytes, in the order in which they come."""
CANARIES = (*CANARY.split("^")[:1], "CANARY-ID")


def page_box(place: Path, names: bool = False, more: str = "") -> Config:
    """A box with a page in English and an archive `main` that nobody listens at."""
    page = f'page = {{ bind = "127.0.0.1:{free_port()}", names = {str(names).lower()} }}'
    archive = Archive(free_port()).lines(", commit = true")
    return box(place, f'{archive}\n{page}\nlanguage = "en"\n{more}')


def films_of_a_day(place: Path) -> tuple[Config, dict[str, str]]:
    """The box, and the film ids of `FILMS`: all read; the first one's objects are kept, the second one's sent."""
    config = page_box(place)
    with Journal(config.root) as journal:
        keys = dict(zip(FILMS, put(config, journal, *FILMS.values()), strict=True))
        read_all(config, journal)
        deliveries.address(journal, "main", ["sr", "sc"], True)
        for one in deliveries.lease(journal, "main", 4):
            deliveries.sent(journal, one.uid, "main", "0000")
            if one.film_key == keys["kept"]:
                deliveries.committed(journal, one.uid, "main")
    return config, keys


def with_names(config: Config) -> Config:
    """The same box, whose page shows names."""
    return replace(config, page=replace(config.page, names=True))
