"""One film, one verdict: by C-STORE, by STOW-RS and by the watched folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors import watch
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.doors.watch import FolderDoor
from bmd_edge.clinic.journal.films import film_path, films_in
from bmd_edge.clinic.journal.store import Journal
from tests.support import clinic, films
from tests.support.films import dicom_bytes, pixels

Sender = Callable[[Config, list[bytes]], None]


def by_c_store(config: Config, data: list[bytes]) -> None:
    with clinic.orthanc(config) as peer:
        assert clinic.send(peer.ports[0], data) is not None


def by_stow(config: Config, data: list[bytes]) -> None:
    """One request for all: its parts come to the door in their order."""
    with Journal(config.root) as journal, clinic.stow(config, journal) as post:
        assert post(data) in (200, 202)


def by_folder(config: Config, data: list[bytes]) -> None:
    """One file after the other, each waited for as long as the door waits for the end of a copy."""
    with Journal(config.root) as journal, pytest.MonkeyPatch.context() as patch:
        patch.setattr(watch, "PATIENCE_S", 0.0)
        door = FolderDoor(Door(config, journal), journal, Path(config.door.folder))
        for number, film in enumerate(data):
            (Path(config.door.folder) / f"{number}.dcm").write_bytes(film)
            for _ in range(2):
                door.poll()


def outcome(config: Config) -> dict[str, object]:
    """What the journal has in the end, but for what may differ: the door, its unit, the file's own bytes."""
    with Journal(config.root) as journal:
        kept = films_in(journal, "received", "quarantined")
        refused = journal.rows("SELECT detail FROM event WHERE what='refused' ORDER BY n")
        repeats = journal.rows("SELECT n FROM event WHERE what IN ('film_again', 'film_conflict_again')")
        return {
            "kept": [(film.sop_uid, film.pixel_sha, film.header_sha, film.state) for film in kept],
            "refused": [(one["code"], one["status"]) for one in map(json.loads, (row["detail"] for row in refused))],
            "again": len(repeats),
        }


def table() -> list[bytes]:
    """Every row of the table of answers; a sender by C-STORE needs a class, a UID and a known syntax."""
    uid = "1.2.826.0.1.3680043.10.7"
    return [
        dicom_bytes(),
        dicom_bytes(),
        dicom_bytes(syntax=films.IMPLICIT),
        dicom_bytes(PatientAge="069Y"),
        dicom_bytes(syntax=films.JPEG_LS),
        dicom_bytes(pixels(seed=1)),
        dicom_bytes(pixels(seed=1)),
        dicom_bytes(PatientID="OTHER"),
        dicom_bytes(StudyInstanceUID="1.2.3.4"),
        dicom_bytes(SOPClassUID=films.CT, SOPInstanceUID="1.2.3.5"),
        films.written(films.dataset(pixels(), SOPInstanceUID="1.2.3.6")),
        dicom_bytes(SOPInstanceUID=uid).replace(uid.encode(), uid.encode().replace(b"3680", b"36aa")),
        dicom_bytes(StudyInstanceUID="1.2.aa", SOPInstanceUID="1.2.3.12"),
        dicom_bytes(Rows=20000, Columns=20000, SOPInstanceUID="1.2.3.7"),
        dicom_bytes(SOPClassUID=films.SC, PhotometricInterpretation="RGB", SOPInstanceUID="1.2.3.8"),
        dicom_bytes(SOPClassUID=films.SC, NumberOfFrames="2", SOPInstanceUID="1.2.3.9"),
        dicom_bytes(SOPClassUID=films.DX_PROCESSING, SOPInstanceUID="1.2.3.10"),
        dicom_bytes(SOPClassUID=films.CR, BodyPartExamined="HAND", SOPInstanceUID="1.2.3.11"),
        dicom_bytes(SOPClassUID=films.SC, SOPInstanceUID="1.2.3.13"),
    ]


def test_the_verdict_is_the_same_at_every_door(tmp_path: Path) -> None:
    found = {}
    for sender in (by_c_store, by_stow, by_folder):
        place = tmp_path / sender.__name__
        (place / "films").mkdir(parents=True)
        config = clinic.box(place, folder=str(place / "films"))
        sender(config, table())
        found[sender.__name__] = outcome(config)
    assert found["by_stow"] == found["by_c_store"]
    assert found["by_folder"] == found["by_c_store"]
    assert [state for *_, state in found["by_stow"]["kept"]] == [  # type: ignore[attr-defined]
        "received", "received", "received", "quarantined", "quarantined", "quarantined", "received", "received",
        "received",
    ]  # fmt: skip
    assert len(found["by_stow"]["refused"]) == 7  # type: ignore[arg-type]
    assert found["by_stow"]["again"] == 3


def test_a_film_by_three_doors_is_one_film(tmp_path: Path) -> None:
    """Orthanc rewrites a film's file; it is the same film all the same."""
    (tmp_path / "films").mkdir()
    config = clinic.box(tmp_path, folder=str(tmp_path / "films"))
    nested = films.sequence(CodeValue="1", ConceptCodeSequence=films.sequence(CodeValue="2"))
    for sequence in nested:
        sequence.is_undefined_length_sequence_item = True
    film = dicom_bytes(ViewCodeSequence=nested)
    for sender in (by_stow, by_folder, by_c_store, by_stow):
        sender(config, [film])
    found = outcome(config)
    assert (len(found["kept"]), found["again"], found["refused"]) == (1, 3, [])  # type: ignore[arg-type]


@pytest.mark.parametrize("sender", [by_stow, by_folder])
def test_every_syntax_arrives_byte_for_byte(tmp_path: Path, sender: Sender) -> None:
    sent = {}
    for number, syntax in enumerate([*films.NATIVE, *films.LOSSLESS, *films.LOSSY]):
        bits = 8 if syntax == films.JPEG_BASELINE else 12
        sent[syntax] = dicom_bytes(pixels(bits=bits), syntax, bits, SOPInstanceUID=f"1.2.3.{number}")
    (tmp_path / "films").mkdir()
    config = clinic.box(tmp_path, folder=str(tmp_path / "films"))
    sender(config, list(sent.values()))
    with Journal(config.root) as journal:
        kept = {one.syntax: film_path(config.root, one.film_key).read_bytes() for one in films_in(journal, "received")}
    assert len(kept) == 16
    assert kept == sent


def test_the_door_says_who_sent(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    config = clinic.box(tmp_path, folder=str(tmp_path / "films"))
    for number, sender in enumerate((by_c_store, by_stow, by_folder)):
        sender(config, [dicom_bytes(SOPInstanceUID=f"1.2.3.{number}")])
    with Journal(config.root) as journal:
        found = [Origin(film.door, film.unit) for film in films_in(journal, "received")]
    assert found == [Origin("dicom", "xray1"), Origin("stow", "xray1"), Origin("folder", "folder")]
