"""Who may not send is refused by whichever of nginx, Orthanc and our doors sees it first, and the journal has it."""

import json
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.audit import LogFollower
from bmd_edge.clinic.doors.door import Door
from bmd_edge.clinic.doors.stow import MOST_BODY_BYTES, PATH, stow_door
from bmd_edge.clinic.journal.films import films_in
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from tests.support import clinic, films
from tests.support.films import dicom_bytes


@dataclass
class Running:
    """A box with all doors open, and folders of certificates: its own, and a stranger's."""

    config: Config
    journal: Journal
    dicom: int
    dicom_tls: int
    stow: int
    other: Path

    def context(self, folder: Path | None = None, name: str = "xray1") -> ssl.SSLContext:
        own = self.config.root / "tls"
        made = ssl.create_default_context(cafile=own / "ca.crt")
        if name:
            made.load_cert_chain((folder or own) / f"{name}.crt", (folder or own) / f"{name}.key")
        return made

    def refused(self, seen: int, follower: LogFollower, most: int) -> list[str]:
        """Door and code of the refusals behind event `seen`; a line may come to a log after the sender is gone."""
        end = time.monotonic() + 30
        while len(found := self._refused(seen)) < most and time.monotonic() < end:
            follower.step()
            time.sleep(0.05)
        return sorted(found)

    def _refused(self, seen: int) -> list[str]:
        rows = self.journal.rows("SELECT detail FROM event WHERE what='refused' AND n>? ORDER BY n", seen)
        return [f"{one['door']} {one['code']}" for one in map(json.loads, (row["detail"] for row in rows))]

    @property
    def last_event(self) -> int:
        return int(self.journal.rows("SELECT COALESCE(MAX(n), 0) AS n FROM event")[0]["n"])


@contextmanager
def doors_open(place: Path) -> Iterator[Running]:
    """A box in folder `place` with all doors but that of the folder."""
    ports = {name: f"127.0.0.1:{clinic.free_port()}" for name in ("dicom_tls", "stow_tls")}
    config = clinic.box(place, **ports)
    own, other = config.root / "tls", place / "other"
    other.mkdir()
    with clinic.quick_keys():
        for folder in (own, other):
            make_authority(folder)
            make_certificate(folder, "xray1")
        make_certificate(own, "box", ("127.0.0.1",))
        make_certificate(own, "visitor")
        make_certificate(own, "expired", days=-1)
    with (
        Journal(config.root) as journal,
        stow_door(config, Door(config, journal)),
        clinic.orthanc(config) as orthanc,
        clinic.nginx(config) as nginx,
    ):
        yield Running(config, journal, orthanc.ports[0], *nginx.ports, other)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with doors_open(tmp_path_factory.mktemp("box")) as box:
        yield box


@pytest.fixture
def follower(running: Running) -> Iterator[LogFollower]:
    with closing(LogFollower(running.config, running.journal)) as made:
        yield made


def old_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def post(running: Running, body: bytes, context: ssl.SSLContext | None = None, method: str = "POST",
         path: str = PATH, **headers: str) -> int | None:  # fmt: skip
    connection = HTTPSConnection("127.0.0.1", running.stow, context=context or running.context(), timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, {"Content-Type": clinic.STOW_TYPE, **named})
        return connection.getresponse().status
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def by_dicom(running: Running) -> dict[str, Callable[[], object]]:
    """Who is refused an association, and how each comes; None is their answer."""
    film, tls, port = [dicom_bytes(SOPInstanceUID="1.2.3")], running.context(), running.dicom_tls
    return {
        "AE title": lambda: clinic.send(running.dicom, film, calling="STRANGER"),
        "called AE title": lambda: clinic.send(running.dicom, film, called="PACS"),
        "AE title by TLS": lambda: clinic.send(port, film, calling="STRANGER", tls=tls),
        "no TLS": lambda: clinic.send(port, film),
        "no certificate": lambda: clinic.send(port, film, tls=running.context(name="")),
        "another authority": lambda: clinic.send(port, film, tls=running.context(running.other)),
        "expired": lambda: clinic.send(port, film, tls=running.context(name="expired")),
        "TLS 1.1": lambda: _shakes_hands(port, old_tls(running.context())),
    }


def _shakes_hands(port: int, context: ssl.SSLContext) -> bool | None:
    try:
        with socket.create_connection(("127.0.0.1", port)) as raw:
            context.wrap_socket(raw, server_hostname="127.0.0.1").close()
    except OSError:
        return None
    return True


def by_stow(running: Running) -> dict[str, Callable[[], int | None]]:
    """Who is refused by HTTP, and how each comes; the answers' status."""
    body = clinic.stow_body(dicom_bytes(SOPInstanceUID="1.2.5"))
    return {
        "no certificate": lambda: post(running, body, running.context(name="")),
        "another authority": lambda: post(running, body, running.context(running.other)),
        "expired": lambda: post(running, body, running.context(name="expired")),
        "a certificate of ours that is no unit's": lambda: post(running, body, running.context(name="visitor")),
        "TLS 1.1": lambda: post(running, body, old_tls(running.context())),
        "another path": lambda: post(running, body, path="/dicom-web/studies/1.2"),
        "a query": lambda: post(running, b"", method="GET", path="/dicom-web/studies?PatientName=CANARY"),
        "another method": lambda: post(running, body, method="PUT"),
        "gzip": lambda: post(running, body, Content_Encoding="gzip"),
        "too long": lambda: post(running, b"", Content_Length=str(MOST_BODY_BYTES + 1)),
    }


def goes_on(running: Running, number: int) -> None:
    """The next film of a unit is kept, at every door."""
    uids = [f"1.2.826.0.1.3680043.11.{number}.{door}" for door in range(3)]
    plain, tls, stow = (dicom_bytes(SOPInstanceUID=uid) for uid in uids)
    assert clinic.send(running.dicom, [plain]) == [0]
    assert clinic.send(running.dicom_tls, [tls], tls=running.context()) == [0]
    assert post(running, clinic.stow_body(stow)) == 200
    assert {film.sop_uid for film in films_in(running.journal, "received")} >= set(uids)


def test_strangers_by_dicom_are_refused_and_audited(running: Running, follower: LogFollower) -> None:
    seen = running.last_event
    found = {name: comes() for name, comes in by_dicom(running).items()}
    assert found == dict.fromkeys(found)
    expected = [
        "dicom certificate has expired",
        "dicom no certificate, or none of TLS 1.2 and 1.3",
        "dicom unable to verify the first certificate",
        "dicom unknown_ae_title",
        "dicom wrong_called_ae_title",
    ]
    assert running.refused(seen, follower, len(expected)) == expected
    assert "1.2.3" not in {one.sop_uid for one in films_in(running.journal, "received")}
    goes_on(running, 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_unit_comes_by_either_tls(running: Running, version: ssl.TLSVersion) -> None:
    context = running.context()
    context.minimum_version = context.maximum_version = version
    uids = [f"1.2.826.0.1.3680043.12.{version}.{door}" for door in range(2)]
    dicom, stow = (dicom_bytes(SOPInstanceUID=uid) for uid in uids)
    assert clinic.send(running.dicom_tls, [dicom], tls=context) == [0]
    assert post(running, clinic.stow_body(stow), context) == 200
    assert {film.sop_uid for film in films_in(running.journal, "received")} >= set(uids)


def own_address() -> str:
    """An address of this machine that is not loopback's; skips the test without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but that of loopback")
        return str(probe.getsockname()[0])


def test_without_tls_a_unit_comes_by_a_network_that_is_said_to_be_nobody_elses(tmp_path: Path) -> None:
    mine = own_address()
    config = clinic.box(tmp_path, host=mine, dicom=f"{mine}:{clinic.free_port()}", vlan=True)
    port = int(config.door.dicom.rpartition(":")[2])
    with clinic.orthanc(config):
        assert clinic.send(port, [dicom_bytes()], host=mine) == [0]
        assert clinic.send(port, [dicom_bytes()], calling="STRANGER", host=mine) is None
        assert clinic.send(port, [dicom_bytes()]) is None  # from another address than the unit's


def test_another_address_may_not_use_the_plain_port(running: Running, follower: LogFollower) -> None:
    """Orthanc listens on every address of the machine."""
    mine = own_address()
    seen = running.last_event
    assert clinic.send(running.dicom, [dicom_bytes(SOPInstanceUID="1.2.4")], host=mine) is None
    assert running.refused(seen, follower, 1) == ["dicom unknown_ae_title"]


def test_strangers_by_stow_are_refused_and_audited(running: Running, follower: LogFollower) -> None:
    seen = running.last_event
    assert {name: comes() for name, comes in by_stow(running).items()} == {
        "no certificate": 400,
        "another authority": 400,
        "expired": 400,
        "a certificate of ours that is no unit's": 403,
        "TLS 1.1": None,
        "another path": 403,
        "a query": 403,
        "another method": 403,
        "gzip": 415,
        "too long": 413,
    }
    expected = [
        "stow certificate has expired",
        "stow no certificate, or none of TLS 1.2 and 1.3",
        "stow status_403",
        "stow status_413",
        "stow status_415",
        "stow unable to verify the first certificate",
        "stow unknown_unit",
    ]
    assert running.refused(seen, follower, len(expected)) == expected
    goes_on(running, 2)
    assert b"CANARY" not in (running.config.root / "log/nginx.log").read_bytes()


def test_what_grows_as_it_is_read_comes_by_stow_only(running: Running) -> None:
    """Orthanc would inflate a deflated data set before the guard sees it; our reader stops where a film ends."""
    film = dicom_bytes(syntax=films.DEFLATED, SOPInstanceUID="1.2.6")
    assert clinic.send(running.dicom, [film]) in (None, [None])
    assert post(running, clinic.stow_body(film)) == 200
    goes_on(running, 3)
