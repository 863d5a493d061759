"""One film, one result, until something that it rests on has changed; then one more, which names what it replaces."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import pydicom
import pytest

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.films import ObjectRow
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.reading.work import opener
from bmd_edge.measure.recalibration import SCHEMA, RecalibrationFile, RecalibrationLine
from bmd_edge.sites import SITES
from tests.bmd_edge.clinic.reading.readers import read_all
from tests.support import clinic
from tests.support.films import dicom_bytes
from tests.whole.clinic.test_three_doors import by_c_store, by_folder, by_stow

DEMO = Path(__file__).parents[3] / "bmd_edge" / "data" / "demo" / "left_hip.dcm"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "films").mkdir()
    return clinic.box(tmp_path, folder=str(tmp_path / "films"))


def recalibrated(config: Config, place: Path) -> Config:
    """The box with a clinic's line toward DEXA: .02 g/cm2 more at both sites."""
    bundle = read_bundle()
    lines = {site: RecalibrationLine(1.0, 0.02, 1.5, 0.9, 60, 40) for site in SITES}
    of_all = dict.fromkeys(bundle.calibration, lines)
    cuts = {precision: one.operating_points for precision, one in bundle.calibration.items()}
    made = RecalibrationFile(SCHEMA, bundle.digest, "ab" * 32, {"hologic": 60}, of_all, cuts)
    path = place / "recalibration.json"
    path.write_text(json.dumps(asdict(made)))
    return replace(config, reading=replace(config.reading, recalibration=str(path)))


def results(config: Config) -> list[tuple[int, dict[str, ObjectRow]]]:
    """The versions of the demo film so far, each with its objects by kind."""
    uid = pydicom.dcmread(DEMO).SOPInstanceUID
    with Journal(config.root) as journal:
        rows = [one for film in films.films_of(journal, uid) for one in films.objects_of(journal, film.film_key)]
    return [(n, {row.kind: row for row in rows if row.version == n}) for n in sorted({row.version for row in rows})]


def read(config: Config) -> None:
    with Journal(config.root) as journal:
        read_all(config, journal, opener(config))


def started(config: Config, number: int) -> None:
    """The reader has started with what is in force now, and has read another film."""
    by_stow(config, [dicom_bytes(BodyPartExamined="HAND", SOPInstanceUID=f"1.2.3.{number}")])
    read(config)


def words(config: Config, row: ObjectRow) -> str:
    return str(pydicom.dcmread(config.root / row.path).ImageComments)


def test_a_film_has_one_set_of_objects_and_a_recalibration_and_a_corrected_birth_date_one_more_each(
    config: Config, tmp_path: Path
) -> None:
    film = DEMO.read_bytes()
    by_c_store(config, [film, film])
    read(config)
    for sender in (by_stow, by_folder, by_c_store):
        sender(config, [film])
    read(config)
    ((_, first),) = results(config)
    assert set(first) == {"sr", "sc"}

    later = recalibrated(config, tmp_path)
    started(later, 1)  # a new recalibration alone reads nothing again
    assert len(results(later)) == 1
    by_c_store(later, [film])
    by_stow(later, [film])
    read(later)
    _, (number, second) = results(later)
    assert number == 2
    assert {kind: row.replaces for kind, row in second.items()} == {kind: row.uid for kind, row in first.items()}
    assert "Version 2, replaces 1: recalibrated" in words(later, second["sc"])
    report = pydicom.dcmread(later.root / second["sr"].path)
    (before,) = report.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
    assert before.ReferencedSOPInstanceUID == first["sr"].uid

    header = pydicom.dcmread(io.BytesIO(film))
    header.PatientBirthDate, header.PatientAge = "19300101", ""
    corrected = io.BytesIO()
    header.save_as(corrected, enforce_file_format=True)
    by_c_store(later, [corrected.getvalue()])
    read(later)
    *_, (number, third) = results(later)
    assert number == 3
    assert third["sr"].replaces == second["sr"].uid
    assert "header corrected" in words(later, third["sc"])
    started(config, 2)
    by_c_store(config, [film, corrected.getvalue()])  # without the recalibration, and with what was corrected
    read(config)
    *_, (number, fourth) = results(config)
    assert (number, len(results(config))) == (4, 4)
    assert fourth["sr"].film_key == third["sr"].film_key
    assert "recalibrated" in words(config, fourth["sc"])
