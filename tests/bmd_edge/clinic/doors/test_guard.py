"""Orthanc with the guard: what the sender hears is what the journal knows, whatever is broken."""

import json
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.films import film_path, films_in
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.derived import ORTHANC_PLUGIN
from tests.support import clinic, films
from tests.support.films import CANARY, dicom_bytes, pixels


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Config, clinic.Peer]]:
    config = clinic.box(tmp_path_factory.mktemp("box"))
    with clinic.orthanc(config) as peer:
        yield config, peer


def film(number: int, **how: object) -> bytes:
    return dicom_bytes(SOPInstanceUID=f"1.2.826.0.1.3680043.10.{number}", **how)


def as_video(data: bytes) -> bytes:
    """A film that says it is MPEG-2, which Orthanc takes and nobody here reads."""
    made, file = pydicom.dcmread(BytesIO(data)), BytesIO()
    made.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.100"
    made.save_as(file)
    return file.getvalue()


def known(config: Config, *states: str) -> set[str]:
    with Journal(config.root) as journal:
        return {one.sop_uid for one in films_in(journal, *states)}


def test_the_sender_hears_what_the_door_says(running: tuple[Config, clinic.Peer]) -> None:
    config, peer = running
    sent = {
        "a film": (film(1), 0x0000),
        "the film again": (film(1), 0x0000),
        "the film in another syntax": (film(1, syntax=films.IMPLICIT), 0x0000),
        "the film with another header": (film(1, PatientAge="069Y"), 0x0000),
        "other pixels": (film(1, frame=pixels(seed=1)), 0xC010),
        "another patient": (film(1, PatientID="OTHER"), 0xC010),
        "another class": (film(2, SOPClassUID=films.CT), 0x0122),
        "no pixels": (films.written(films.dataset(pixels(), SOPInstanceUID="1.2.3")), 0xC003),
        "no UID": (film(3).replace(b"1.2.826.0.1.3680043.10.3", b"1.2.826.0.1.36800aa.10.3"), 0xC001),
        "too many pixels": (film(4, Rows=20000, Columns=20000), 0xA900),
        "a color screenshot": (film(5, SOPClassUID=films.SC, PhotometricInterpretation="RGB"), 0xC003),
        "a hand": (film(6, BodyPartExamined="HAND", SOPClassUID=films.CR), 0x0000),
        "a syntax that is not read": (as_video(film(7, syntax=films.JPEG_LS)), 0xC122),
    }
    statuses = clinic.send(peer.ports[0], [data for data, _ in sent.values()])
    assert statuses is not None
    assert dict(zip(sent, statuses, strict=True)) == {name: status for name, (_, status) in sent.items()}
    uid = "1.2.826.0.1.3680043.10."
    assert known(config, "received") == {f"{uid}1", f"{uid}6"}
    assert known(config, "quarantined") == {f"{uid}1"}


def test_pixels_arrive_as_they_were_sent(running: tuple[Config, clinic.Peer]) -> None:
    """Twelve transfer syntaxes untranscoded; deflated and HTJ2K are refused when the association is made."""
    config, peer = running
    syntaxes = [*films.NATIVE, *films.LOSSLESS, *films.LOSSY]
    sent = {}
    for number, syntax in enumerate(syntaxes, 20):
        bits = 8 if syntax == films.JPEG_BASELINE else 12
        sent[syntax] = film(number, syntax=syntax, bits=bits, frame=pixels(bits=bits))
    statuses = {syntax: clinic.send(peer.ports[0], [data]) for syntax, data in sent.items()}
    refused = {films.DEFLATED, films.HTJ2K_LOSSLESS, films.HTJ2K_RPCL, films.HTJ2K}
    assert {syntax for syntax, status in statuses.items() if status != [0]} == refused
    with Journal(config.root) as journal:
        kept = {one.syntax: film_path(config.root, one.film_key).read_bytes() for one in films_in(journal, "received")
                if int(one.sop_uid.rpartition(".")[2]) >= 20}  # fmt: skip
    assert set(kept) == set(syntaxes) - refused
    for syntax, data in kept.items():
        assert stored(data) == stored(sent[syntax]), syntax


def stored(data: bytes) -> bytes:
    """The value of Pixel Data, fragments and all."""
    return bytes(pydicom.dcmread(BytesIO(data)).PixelData)


def called(peer: clinic.Peer, *wanted: str) -> Association:
    """An association of the unit for these services."""
    unit = AE("XRAY1")
    unit.dimse_timeout = 3
    for one in wanted:
        unit.add_requested_context(one)
    return unit.associate("127.0.0.1", peer.ports[0], ae_title="BMDEDGE")


def test_a_unit_may_ask_whether_somebody_is_there(running: tuple[Config, clinic.Peer]) -> None:
    connected = called(running[1], Verification)
    assert connected.is_established
    assert str(connected.acceptor.implementation_version_name).startswith("OFFIS_DCMTK_")
    assert connected.send_c_echo().Status == 0x0000
    connected.release()


QUERIES = {
    StudyRootQueryRetrieveInformationModelFind: lambda unit, asked, model: unit.send_c_find(asked, model),
    StudyRootQueryRetrieveInformationModelGet: lambda unit, asked, model: unit.send_c_get(asked, model),
    StudyRootQueryRetrieveInformationModelMove: lambda unit, asked, model: unit.send_c_move(asked, "XRAY1", model),
}


@pytest.mark.parametrize("model", QUERIES, ids=["find", "get", "move"])
def test_a_unit_may_ask_for_nothing_else(running: tuple[Config, clinic.Peer], model: str) -> None:
    query = pydicom.Dataset()
    query.QueryRetrieveLevel, query.PatientName = "STUDY", "*"
    connected = called(running[1], Verification, model)
    assert connected.is_established
    if any(one.abstract_syntax == model for one in connected.accepted_contexts):
        answers = list(QUERIES[model](connected, query, model))
        assert all("Status" not in said or said.Status not in (0x0000, 0xFF00, 0xFF01) for said, _ in answers)
        assert all(found is None for _, found in answers)
    if connected.is_established:
        connected.release()


def test_strangers_are_refused_when_they_call(running: tuple[Config, clinic.Peer]) -> None:
    config, peer = running
    assert clinic.send(peer.ports[0], [film(70)], calling="STRANGER") is None
    assert clinic.send(peer.ports[0], [film(70)], called="PACS") is None
    assert clinic.send(peer.ports[0], [film(71)], calling="xray1") == [0]
    ask = ["findscu", "-aet", "XRAY1", "-aec", "BMDEDGE", "-S", "-k", "QueryRetrieveLevel=STUDY", "127.0.0.1"]
    subprocess.run([*ask, str(peer.ports[0])], capture_output=True, check=True)  # it ends with 0 when it is refused
    wait_for_log(config, "Rejected Find request")
    log = (config.root / "log/orthanc.log").read_text(encoding="utf-8")
    assert "Rejected association for remote AET STRANGER" in log
    assert "bad called AET in the request (PACS)" in log
    assert known(config, "received") >= {"1.2.826.0.1.3680043.10.71"}


def wait_for_log(config: Config, words: str) -> None:
    """Until Orthanc has said so; its words come to the file by another thread."""
    end = time.monotonic() + 60
    while words not in (config.root / "log/orthanc.log").read_text(encoding="utf-8"):
        assert time.monotonic() < end, words
        time.sleep(0.02)


def test_a_sender_that_only_orthanc_knows_is_not_authorized(tmp_path: Path) -> None:
    """As where somebody has edited its file by hand."""
    stranger = {"other": {"AET": "OTHER", "Host": "127.0.0.1", "Port": 104}}
    config = edited(clinic.box(tmp_path), DicomModalities=stranger)
    with clinic.orthanc(config) as peer:
        assert clinic.send(peer.ports[0], [film(1)], calling="OTHER") == [0x0124]
    assert known(config, "received") == set()


@pytest.mark.parametrize("patient", [CANARY, f"1\n{CANARY}", f"1, {CANARY} "])
def test_orthanc_quotes_no_film_that_it_refuses(running: tuple[Config, clinic.Peer], patient: str) -> None:
    """Of one without the UID of its series it would log the patient's ID."""
    config, peer = running
    (config.root / "log/orthanc.log").write_text("")
    bare = film(72, SeriesInstanceUID=None, PatientID="1")
    bare = bare.replace(b"LO\x02\x001 ", b"LO" + len(patient).to_bytes(2, "little") + patient.encode())
    assert clinic.send(peer.ports[0], [bare]) == [0xA700]
    wait_for_log(config, "(SeriesInstanceUID) are missing")
    assert CANARY not in (config.root / "log/orthanc.log").read_text(encoding="utf-8") + peer.log.read_text()


def test_orthanc_keeps_nothing_of_its_own(tmp_path: Path) -> None:
    """Not even of films that it was about to forget when it was killed."""
    config = clinic.box(tmp_path)
    with clinic.orthanc(config) as peer:
        assert clinic.send(peer.ports[0], [film(n) for n in range(1, 6)]) == [0] * 5
        peer.kill()
    with clinic.orthanc(config) as peer:
        assert clinic.send(peer.ports[0], [film(n) for n in range(11, 16)]) == [0] * 5
    with sqlite3.connect(Path(config.box.scratch) / "orthanc/index") as db:
        assert db.execute("SELECT COUNT(*) FROM Resources").fetchone() == (0,)
    assert len(known(config, "received")) == 10
    elsewhere = [path for path in config.root.rglob("*") if path.is_file() and path.parent.name != "spool"]
    assert not [path for path in elsewhere if CANARY.encode() in path.read_bytes()]


# -- what is broken ---------------------------------------------------------------------------------------------------


def edited(config: Config, **changes: object) -> Config:
    """Change lines of Orthanc's configuration; None removes one."""
    path = config.path.parent / "orthanc.json"
    lines = json.loads(path.read_text(encoding="utf-8")) | changes
    path.write_text(json.dumps({name: value for name, value in lines.items() if value is not None}), encoding="utf-8")
    return config


@pytest.mark.parametrize("missing", ["script", "plugin", "both lines", "clinic.toml", "key"])
def test_without_the_guard_orthanc_does_not_start(tmp_path: Path, missing: str) -> None:
    clinic.needs("Orthanc", ORTHANC_PLUGIN)
    config = clinic.box(tmp_path)
    if missing == "script":
        edited(config, PythonScript=str(tmp_path / "gone.py"))
    elif missing == "plugin":
        edited(config, Plugins=[])
    elif missing == "both lines":
        edited(config, Plugins=None, PythonScript=None)
    elif missing == "clinic.toml":
        config.path.unlink()
    else:
        (config.root / "patient.key").write_bytes(b"damaged")
    done = subprocess.run(["Orthanc", config.path.parent / "orthanc.json"], capture_output=True, timeout=60)
    assert done.returncode > 0


@pytest.mark.parametrize("fault", ["raise RuntimeError('CANARY')", "return None", "return 'text'", "return 1 << 20",
                                   "return -1"])  # fmt: skip
def test_a_guard_that_fails_keeps_nothing_and_says_so(tmp_path: Path, fault: str) -> None:
    config = clinic.box(tmp_path)
    script = tmp_path / "faulty.py"
    guard = json.loads((config.path.parent / "orthanc.json").read_text(encoding="utf-8"))["PythonScript"]
    text = Path(guard).read_text(encoding="utf-8").replace("__file__", repr(guard))
    head, line, tail = text.partition("            unit = self._config.unit_of")
    assert line
    script.write_text(f"{head}            {fault}\n{line}{tail}", encoding="utf-8")
    with clinic.orthanc(edited(config, PythonScript=str(script))) as peer:
        assert clinic.send(peer.ports[0], [film(1)]) == [0xA700]
    assert known(config, "received") == set()
    assert CANARY.encode() not in (config.root / "log/orthanc.log").read_bytes() + peer.log.read_bytes()


def test_a_journal_that_hangs_keeps_nothing_and_says_so(tmp_path: Path) -> None:
    config = clinic.box(tmp_path)
    with clinic.orthanc(config) as peer:
        holder = sqlite3.connect(config.root / "journal.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert clinic.send(peer.ports[0], [film(1)]) == [0xA700]
        holder.execute("ROLLBACK")
        holder.close()
        assert clinic.send(peer.ports[0], [film(1)]) == [0]
    assert len(known(config, "received")) == 1


def test_after_a_kill_it_starts_again_and_has_all_it_said_it_had(tmp_path: Path) -> None:
    config = clinic.box(tmp_path)
    sent = set()
    for number in range(3):
        with clinic.orthanc(config) as peer:
            uids = [f"1.2.826.0.1.3680043.10.{100 * number + n}" for n in range(1, 6)]
            answers = clinic.send(peer.ports[0], [dicom_bytes(SOPInstanceUID=uid) for uid in uids])
            sent |= {uid for uid, status in zip(uids, answers or [], strict=True) if status == 0}
            peer.kill()
    assert len(sent) == 15
    assert known(config, "received") == sent
