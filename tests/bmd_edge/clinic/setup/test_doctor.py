"""The doctor sees what is wrong with a box."""

import shutil
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from bmd_edge.clinic.config import Config, Destination, read_config
from bmd_edge.clinic.doors.door import Door, Origin
from bmd_edge.clinic.journal.films import film_path, films_in
from bmd_edge.clinic.journal.heads import note_head
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.page.server import page_server
from bmd_edge.clinic.setup import doctor
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from bmd_edge.clinic.setup.doctor import examine
from bmd_edge.clinic.setup.init import make_certificates
from tests.bmd_edge.clinic.delivery.archives import orthanc_archive
from tests.bmd_edge.clinic.setup.asked import ARCHIVES, RECORDS, record, says, server
from tests.support import clinic
from tests.support.films import dicom_bytes


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(doctor, "_DEBIAN_ORTHANC", clinic.free_port())
    monkeypatch.setattr(doctor, "_PAGE_S", 1.0)
    made = clinic.box(tmp_path, dicom_tls=f"127.0.0.1:{clinic.free_port()}")
    with clinic.quick_keys():
        make_authority(made.root / "tls")
        make_certificate(made.root / "tls", "box", ("127.0.0.1",))
    with closing(Journal(made.root)) as journal:
        Door(made, journal).keep(dicom_bytes(), Origin("stow", "xray1"))
        journal.record("guard_started", config=made.digest)
        note_head(made.root, journal)
    return made


def failed(config: Config) -> set[str]:
    return {check.what for check in examine(config) if not check.sound}


def test_a_box_whose_orthanc_does_not_run_has_one_fault(config: Config) -> None:
    assert failed(config) == {"C-STORE"}


def test_a_running_box_is_well(config: Config) -> None:
    with clinic.orthanc(config):
        assert failed(config) == set()


def test_what_follows_from_clinic_toml_follows_from_anywhere(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.path.parent)
    assert failed(read_config(Path("clinic.toml"))) == {"C-STORE"}


def one_film(config: Config) -> Path:
    with closing(Journal(config.root)) as journal:
        (film,) = films_in(journal, "received")
    return film_path(config.root, film.film_key)


def changed(config: Config, *statements: str) -> None:
    with closing(Journal(config.root)) as journal, journal.change() as db:
        for statement in statements:
            db.execute(statement)


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda config: (config.path.parent / "orthanc.json").write_text("{}"), "orthanc.json"),
        (lambda config: (config.path.parent / "nginx.conf").unlink(), "nginx.conf"),
        (lambda config: (config.root / "tls/box.crt").unlink(), "certificate box.crt"),
        (lambda config: (config.root / "patient.key").unlink(), "patient.key"),
        (lambda config: config.root.chmod(0o755), "box's folder, for others"),
        (lambda config: one_film(config).unlink(), "spool"),
        (lambda config: changed(config, "UPDATE event SET what='x' WHERE n=1"), "audit"),
        (lambda config: changed(config, "DELETE FROM event WHERE n=1"), "audit"),
        (
            lambda config: changed(config, "UPDATE event SET n=-n WHERE n<3", "UPDATE event SET n=n+3 WHERE n<0"),
            "audit",
        ),
        (lambda config: changed(config, "DELETE FROM event WHERE n=(SELECT MAX(n) FROM event)"), "audit"),
        (lambda config: changed(config, "UPDATE event SET at=at+9999 WHERE n=2"), "clock"),
        (lambda config: changed(config, "DELETE FROM event WHERE what='guard_started'"), "guard"),
        (lambda config: (config.root / "journal.sqlite").write_bytes(b"damaged" * 999), "journal"),
    ],
)
def test_every_harm_is_seen(config: Config, harm: Callable[[Config], object], what: str) -> None:
    harm(config)
    assert failed(config) - {"C-STORE", "audit", "guard"} | ({what} & failed(config)) == {what}


def test_a_certificate_that_ends_soon_is_told(config: Config) -> None:
    folder = config.root / "tls"
    (folder / "box.crt").unlink()
    with clinic.quick_keys():
        make_certificate(folder, "box", ("127.0.0.1",), days=doctor.WARN_DAYS - 1)
    assert failed(config) == {"C-STORE", "certificate box.crt"}
    (said,) = (check.detail for check in examine(config) if check.what == "certificate box.crt")
    assert "remove box.crt and box.key in tls, run `bmd-edge clinic init`" in said
    for name in ("box.crt", "box.key"):  # what it says
        (folder / name).unlink()
    with clinic.quick_keys():
        make_certificates(config)
    assert failed(config) == {"C-STORE"}


def test_a_full_disk_and_another_orthanc_are_told(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with clinic.orthanc(config) as peer:
        monkeypatch.setattr(doctor, "_DEBIAN_ORTHANC", peer.ports[0])
        assert failed(config) == {"room for films", "Debian's own Orthanc"}


@pytest.mark.parametrize(
    ("approval", "test", "said"),
    [("", False, "not delivering"), ("EK 1", False, "results are delivered"), ("EK 1", True, "without an approval")],
)
def test_it_is_said_what_an_archive_gets(config: Config, approval: str, test: bool, said: str) -> None:
    pacs = Destination(kind="stow", url="http://127.0.0.1:1/x", test=test)
    found = {one.what: one.detail for one in examine(replace(config, pacs={"main": pacs}, approval=approval))}
    assert said in found["archive main"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # pynetdicom leaves a refused socket
def test_an_archive_is_asked(config: Config) -> None:
    archive = AE("PACS")
    archive.require_calling_aet = ["BMDEDGE"]
    archive.add_supported_context(Verification)
    port = clinic.free_port()
    known = replace(config, pacs={"main": Destination(kind="dicom", ae_title="PACS", host="127.0.0.1", port=port)})
    assert failed(known) == {"C-STORE", "archive main answers"}
    server = archive.start_server(("127.0.0.1", port), block=False)
    try:
        assert failed(known) == {"C-STORE"}
        stranger = replace(known, box=replace(known.box, ae_title="STRANGER"))
        assert "archive main answers" in failed(stranger)
    finally:
        server.shutdown()


def answered(config: Config, **pacs: object) -> str:
    """What the doctor says of an archive that does not answer as it should; "" where it does."""
    known = replace(config, pacs={"main": Destination(**pacs)})  # type: ignore[arg-type]
    (check,) = (one for one in examine(known) if one.what == "archive main answers")
    assert check.detail
    return "" if check.sound else check.detail


@pytest.mark.parametrize(("answers", "said"), [one[1:] for one in RECORDS], ids=[one[0] for one in RECORDS])
def test_a_record_is_asked_what_it_takes(config: Config, answers: dict[str, Any], said: str) -> None:
    with server(answers) as url:
        found = answered(config, kind="fhir", url=url)
    assert said in found
    assert bool(said) == (url in found)


@pytest.mark.parametrize(("answers", "said"), [one[1:] for one in ARCHIVES], ids=[one[0] for one in ARCHIVES])
def test_an_archive_by_http_is_asked_with_a_request_that_holds_nothing(
    config: Config, answers: dict[str, Any], said: str
) -> None:
    for place in ("", "/studies"):
        with server(answers) as url:
            found = answered(config, kind="stow", url=f"{url}{place}")
        assert said in found
        assert bool(said) == (url in found)


@pytest.mark.parametrize("kind", ["fhir", "stow"])
def test_nobody_at_a_url_is_told(config: Config, kind: str) -> None:
    assert "cannot be reached" in answered(config, kind=kind, url=f"http://127.0.0.1:{clinic.free_port()}/base")


def test_the_real_peers_are_known_for_what_they_are(config: Config, tmp_path: Path) -> None:
    port = clinic.free_port()
    command: list[str | Path] = [sys.executable, "-m", "tests.support.clinic.fhir_server", str(port)]
    with clinic.started(command, tmp_path / "record.log", port):
        assert answered(config, kind="fhir", url=f"http://127.0.0.1:{port}/fhir") == ""
        assert "Check the url" in answered(config, kind="fhir", url=f"http://127.0.0.1:{port}/other")
        assert answered(config, kind="stow", url=f"http://127.0.0.1:{port}/fhir")  # a record is no archive
    with orthanc_archive(tmp_path / "pacs", clinic.free_port()) as pacs:
        assert answered(config, kind="stow", url=f"http://127.0.0.1:{pacs.http}/dicom-web") == ""
        assert "Check the url" in answered(config, kind="stow", url=f"http://127.0.0.1:{pacs.http}/dicom")
        assert answered(config, kind="fhir", url=f"http://127.0.0.1:{pacs.http}/dicom-web")
        assert pacs.instances() == {}


@pytest.mark.parametrize("kind", ["fhir", "stow"])
def test_by_tls_both_sides_are_known_or_it_is_told(config: Config, tmp_path: Path, kind: str) -> None:
    own, other = config.root / "tls", tmp_path / "other"
    other.mkdir()
    with clinic.quick_keys():
        make_authority(other)
        make_certificate(other, "record", ("127.0.0.1",))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(other / "record.crt", other / "record.key")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(own / "ca.crt")
    answers = {**record(), "POST /base/studies": says(400)}
    with server(answers, context) as url:
        assert answered(config, kind=kind, url=url, ca=str(other / "ca.crt")) == ""
        assert "certificate is not accepted" in answered(config, kind=kind, url=url, ca=str(own / "ca.crt"))
        for name in ("box.crt", "box.key"):
            (own / name).unlink()
        assert "does not accept this box's" in answered(config, kind=kind, url=url, ca=str(other / "ca.crt"))


def test_the_pages_port_is_looked_at(config: Config) -> None:
    shown = replace(config, page=replace(config.page, bind=f"127.0.0.1:{clinic.free_port()}"))
    assert failed(shown) == {"C-STORE", "page"}
    with page_server(shown):
        assert failed(shown) == {"C-STORE"}
    with server({}) as url:
        taken = replace(config, page=replace(config.page, bind=urlsplit(url).netloc))
        assert failed(taken) == {"C-STORE", "page"}
        (said,) = (one.detail for one in examine(taken) if one.what == "page")
        assert "another program has" in said
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        assert "page" in failed(replace(config, page=replace(config.page, bind=f"{host}:{port}")))
