"""Films of the journal become reports and finished objects, whatever the reader's process does."""

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pydicom
import pytest

from bmd_edge.clinic.config import Config, Destination
from bmd_edge.clinic.journal import films
from bmd_edge.clinic.journal.films import ObjectRow
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.reading import work as work_module
from bmd_edge.clinic.reading.reader import Reader
from bmd_edge.clinic.reading.work import MOST_TRIES, work
from bmd_edge.errors import BundleError
from bmd_edge.report.results import json_line
from tests.bmd_edge.clinic.reading.readers import APPROVAL, box, drawn_reader, put, read_all
from tests.support.films import HTJ2K_LOSSLESS, JPEG_2000_LOSSLESS, dicom_bytes, pixels
from tests.support.screening import hip_dicom


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return box(tmp_path)


@pytest.fixture
def journal(config: Config) -> Iterator[Journal]:
    with Journal(config.root) as opened:
        yield opened


def versions(journal: Journal, sop_uid: str) -> list[tuple[int, str]]:
    rows = [row for film in films.films_of(journal, sop_uid) for row in films.objects_of(journal, film.film_key)]
    return sorted((row.version, row.kind) for row in rows)


def data_of(config: Config, row: ObjectRow) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO((config.root / row.path).read_bytes()))


def test_every_film_has_its_report_and_two_whole_objects(config: Config, journal: Journal) -> None:
    keys = put(config, journal, hip_dicom("R"), hip_dicom("R", implant="R"), hip_dicom("R", BodyPartExamined="CHEST"))
    read_all(config, journal)
    for key, reason in zip(keys, ("", "implant", "wrong_body_part"), strict=True):
        film = films.film(journal, key)
        assert film is not None
        assert (film.state, film.reason) == ("ready", reason)
        rows = films.objects_of(journal, key)
        assert [row.kind for row in rows] == ["sc", "sr"]
        for row in rows:
            data = (config.root / row.path).read_bytes()
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (row.sha256, row.size)
            assert (config.root / row.path).stat().st_mode & 0o777 == 0o600
            assert row.approval == APPROVAL


def test_the_report_is_the_line_that_screen_would_print(config: Config, journal: Journal) -> None:
    (key,) = put(config, journal, hip_dicom("RL"))
    read_all(config, journal)
    path = films.film_path(config.root, key)
    with drawn_reader() as reader:
        expected = json_line(reader.read(path, file=path.name))
    film = films.film(journal, key)
    assert film is not None
    assert film.report == expected


def test_a_film_that_kills_its_reader_is_a_result_and_the_next_is_read(config: Config, journal: Journal) -> None:
    crash, sound = put(config, journal, hip_dicom("R", ImageComments="CRASH"), hip_dicom("R"))
    read_all(config, journal)
    for key, reason in ((crash, "worker_lost"), (sound, "")):
        film = films.film(journal, key)
        assert film is not None
        assert (film.state, film.reason) == ("ready", reason)
        rows = films.objects_of(journal, key)
        assert len(rows) == 2
        words = data_of(config, rows[0]).ImageComments
        assert ("crashed or took too long" in words) == bool(reason)


def test_a_film_that_took_the_box_down_too_often_is_not_read_again(config: Config, journal: Journal) -> None:
    (key,) = put(config, journal, hip_dicom("R", ImageComments="CRASH"))
    for _ in range(MOST_TRIES):
        assert films.start(journal, "b") is not None
        films.release_leases(journal)
    read_all(config, journal)
    film = films.film(journal, key)
    assert film is not None
    assert (film.state, film.reason, film.tries) == ("ready", "worker_lost", MOST_TRIES + 1)


def test_a_film_read_again_makes_nothing_new_unless_the_answer_differs(config: Config, journal: Journal) -> None:
    (key,) = put(config, journal, hip_dicom("R"))
    read_all(config, journal)
    first = films.objects_of(journal, key)
    assert films.read_again(journal, key, "asked for")
    read_all(config, journal)
    assert films.objects_of(journal, key) == first

    assert films.read_again(journal, key, "asked for")
    read_all(config, journal, partial(drawn_reader, "EK 2027-1"))
    film = films.film(journal, key)
    assert film is not None
    assert versions(journal, film.sop_uid) == [(1, "sc"), (1, "sr"), (2, "sc"), (2, "sr")]
    rows = films.objects_of(journal, key)[2:]
    assert {row.kind: row.replaces for row in rows} == {row.kind: row.uid for row in first}
    assert "Version 2, replaces 1: another approval" in data_of(config, rows[0]).ImageComments


def test_a_way_back_is_a_third_version(config: Config, journal: Journal) -> None:
    (key,) = put(config, journal, hip_dicom("R"))
    for approval in (APPROVAL, "EK 2027-1", APPROVAL):
        read_all(config, journal, partial(drawn_reader, approval))
        films.read_again(journal, key, "asked for")
    read_all(config, journal)
    rows = films.objects_of(journal, key)
    assert [row.version for row in rows] == [1, 1, 2, 2, 3, 3]
    assert len({row.uid for row in rows}) == 6


def test_a_corrected_header_makes_a_version_only_where_the_answer_differs(config: Config, journal: Journal) -> None:
    uid = {"SOPInstanceUID": "1.2.826.0.1.3680043.10.9"}
    put(config, journal, hip_dicom("R", **uid), hip_dicom("R", **uid, OperatorsName="Another^One"))
    read_all(config, journal)
    assert versions(journal, uid["SOPInstanceUID"]) == [(1, "sc"), (1, "sr")]
    (key,) = put(config, journal, hip_dicom("R", **uid, PatientAge="045Y"))
    read_all(config, journal)
    assert versions(journal, uid["SOPInstanceUID"])[2:] == [(2, "sc"), (2, "sr")]
    assert "header corrected" in data_of(config, films.objects_of(journal, key)[0]).ImageComments


def test_a_film_in_another_lossless_syntax_makes_nothing_new(config: Config, journal: Journal) -> None:
    frame = pixels(400, 300)
    first, again, other = put(
        config,
        journal,
        dicom_bytes(frame),
        dicom_bytes(frame, JPEG_2000_LOSSLESS),
        dicom_bytes(pixels(400, 300, seed=1), HTJ2K_LOSSLESS),
    )
    read_all(config, journal)
    states = {key: (film.state, film.reason) for key in (first, again, other) if (film := films.film(journal, key))}
    assert states[first][0] == "ready"
    assert states[again][0] == "done"
    assert states[other] == ("quarantined", "sop_uid_conflict")
    assert len(versions(journal, "1.2.826.0.1.3680043.10.1")) == 2


def test_a_unit_s_pixel_size_is_used_where_the_film_states_none(config: Config, journal: Journal) -> None:
    (key,) = put(config, journal, hip_dicom("R", ImagerPixelSpacing=None))
    read_all(config, journal)
    film = films.film(journal, key)
    assert film is not None
    assert film.report is not None
    said = json.loads(film.report)
    assert said["spacing_source"] == "given"
    assert "spacing_given" in said["hips"][0]["estimates"][0]["flags"]


def test_an_object_that_lies_there_is_not_made_again(
    config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = put(config, journal, hip_dicom("R"))

    def lost(*_: object) -> None:
        raise OSError(5, "the power is cut")

    with monkeypatch.context() as patch:
        patch.setattr(films, "finish", lost)
        with pytest.raises(OSError, match="power"):
            read_all(config, journal)
    before = {path.name: path.stat() for path in (config.root / films.OUTBOX).iterdir()}
    assert len(before) == 2
    films.release_leases(journal)
    read_all(config, journal)
    after = {path.name: path.stat() for path in (config.root / films.OUTBOX).iterdir()}
    assert {name: (one.st_ino, one.st_mtime_ns) for name, one in after.items()} == {
        name: (one.st_ino, one.st_mtime_ns) for name, one in before.items()
    }
    assert {f"{row.uid}.dcm" for row in films.objects_of(journal, key)} == set(after)


def test_half_an_object_of_a_killed_process_is_swept(config: Config, journal: Journal) -> None:
    outbox = config.root / films.OUTBOX
    (outbox / ".2.25.1.dcm.123.part").write_bytes(b"half")
    read_all(config, journal)
    put(config, journal, hip_dicom("R"))
    read_all(config, journal)
    assert not list(outbox.glob(".*.part"))


def no_reader() -> Reader:
    raise BundleError("the bundle is stale")


def test_without_a_bundle_films_wait_and_are_read_once_there_is_one(
    config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_module, "_AGAIN_S", 0.1)
    (key,) = put(config, journal, hip_dicom("R"))
    stop = Event()
    thread = Thread(target=work, args=(config, journal, stop, no_reader))
    thread.start()
    while not journal.rows("SELECT 1 FROM event WHERE what='not_screening'"):
        stop.wait(0.05)
    film = films.film(journal, key)
    stop.set()
    thread.join(60)
    assert film is not None
    assert (film.state, film.tries) == ("received", 0)
    read_all(config, journal)
    assert len(films.objects_of(journal, key)) == 2


def asked(config: Config, *objects: str) -> Config:
    """The box with one archive that asks for these."""
    return replace(config, pacs={"main": Destination(kind="dicom", objects=objects)})


def made(journal: Journal, key: str) -> list[tuple[int, str]]:
    return [(row.version, row.kind) for row in films.objects_of(journal, key)]


def test_what_an_archive_comes_to_ask_for_is_made_beside_what_there_is(config: Config, journal: Journal) -> None:
    film = hip_dicom("R")
    (key,) = put(config, journal, film)
    read_all(config, journal)
    put(config, journal, hip_dicom("L"))
    read_all(asked(config, "sr", "gsps", "pdf"), journal)  # the reader has started with the new settings
    put(config, journal, film)  # it comes again, and the reader makes more than then
    read_all(asked(config, "sr", "gsps", "pdf"), journal)
    assert made(journal, key) == [(1, "gsps"), (1, "pdf"), (1, "sc"), (1, "sr")]
    films.read_again(journal, key, "asked for")
    read_all(asked(config, "sr", "gsps", "pdf"), journal)
    assert len(made(journal, key)) == 4
    films.read_again(journal, key, "asked for")
    read_all(config, journal)  # nobody asks any more
    assert len(made(journal, key)) == 4


def test_what_was_not_asked_for_meanwhile_is_made_at_the_newest_version(config: Config, journal: Journal) -> None:
    (key,) = put(config, journal, hip_dicom("R"))
    steps = [(asked(config, "gsps"), APPROVAL), (config, "EK 2027-1"), (asked(config, "gsps"), "EK 2027-1")]
    for settings, approval in steps:
        read_all(settings, journal, partial(drawn_reader, approval, kinds=settings.kinds))
        films.read_again(journal, key, "asked for")
    read_all(asked(config, "gsps"), journal, partial(drawn_reader, "EK 2027-1", kinds=("sr", "sc", "gsps")))
    assert made(journal, key) == [(1, "gsps"), (1, "sc"), (1, "sr"), (2, "gsps"), (2, "sc"), (2, "sr")]


def test_resources_of_a_later_version_are_json_too(config: Config, journal: Journal) -> None:
    uid = {"SOPInstanceUID": "1.2.826.0.1.3680043.10.9"}
    record = replace(config, pacs={"ehr": Destination(kind="fhir", url="http://127.0.0.1:1/fhir")})
    put(record, journal, hip_dicom("R", **uid))
    read_all(record, journal)
    (key,) = put(record, journal, hip_dicom("R", **uid, PatientAge="045Y"))
    read_all(record, journal)
    rows = [row for row in films.objects_of(journal, key) if row.kind == "fhir"]
    assert [(row.version, row.path.rpartition(".")[2]) for row in rows] == [(2, "json")]
    assert hashlib.sha256((config.root / rows[0].path).read_bytes()).hexdigest() == rows[0].sha256
    said = json.loads((config.root / rows[0].path).read_bytes())
    assert {entry["resource"]["status"] for entry in said["entry"]} == {"preliminary"}
