"""C-STORE and storage commitment with real archives: DCMTK, Orthanc, and one of pynetdicom that misbehaves."""

import hashlib
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from bmd_edge.clinic.delivery import dicom
from bmd_edge.clinic.delivery.answers import REASONS
from bmd_edge.clinic.journal import deliveries, films
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.objects.make import SOP_CLASSES
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from tests.bmd_edge.clinic.delivery.archives import (
    Archive,
    archive,
    data_set,
    orthanc_archive,
    slow_archive,
    storescp,
)
from tests.bmd_edge.clinic.delivery.conftest import Served, all_sent
from tests.bmd_edge.clinic.reading.readers import box, put, read_all
from tests.support import clinic
from tests.support.clinic import free_port
from tests.support.screening import hip_dicom

Make = Callable[..., Served]


def test_dcmtk_stores_them_too(served: Make, tmp_path: Path) -> None:
    with storescp(tmp_path / "got") as port:
        box = served(Archive(port).lines())
        with box.delivering():
            box.until(all_sent)
    stored = {hashlib.sha256(data_set(path.read_bytes())).hexdigest() for path in (tmp_path / "got").iterdir()}
    assert stored == set(box.made().values())


ON_REQUEST = ', objects = ["sr", "sc", "gsps", "pdf"]'


@contextmanager
def asked_for(place: Path, lines: str) -> Iterator[Served]:
    """A box with one film, read into every kind of object that its archive asks for."""
    config = box(place, lines)
    with Journal(config.root) as journal:
        put(config, journal, hip_dicom("R"))
        read_all(config, journal)
        yield Served(config, journal)


def test_what_is_made_on_request_is_stored_by_dcmtk(tmp_path: Path) -> None:
    with (
        storescp(tmp_path / "got") as port,
        asked_for(tmp_path, Archive(port).lines(ON_REQUEST)) as box,
        box.delivering(),
    ):
        box.until(lambda states: states == {"sent 0000": 4})
        stored = {hashlib.sha256(data_set(path.read_bytes())).hexdigest() for path in (tmp_path / "got").iterdir()}
        assert stored == set(box.made().values())


def test_what_is_made_on_request_is_kept_by_orthanc(tmp_path: Path) -> None:
    port = free_port()
    bind = f'\n[commitment]\nbind = "127.0.0.1:{port}"'
    with (
        orthanc_archive(tmp_path / "pacs", port) as pacs,
        asked_for(tmp_path, Archive(pacs.dicom).lines(f"{ON_REQUEST}, commit = true") + bind) as box,
        box.delivering(),
    ):
        box.until(lambda states: states == {"committed 0000": 4})
        assert pacs.instances() == box.made()


def test_one_association_proposes_one_syntax_for_each_kind_and_says_whose_it_is(tmp_path: Path) -> None:
    with (
        archive(classes=list(SOP_CLASSES.values())) as pacs,
        asked_for(tmp_path, pacs.lines(ON_REQUEST)) as box,
        box.delivering(),
    ):
        box.until(lambda states: states == {"sent 0000": 4})
        assert pacs.proposed == [[(uid, [ExplicitVRLittleEndian]) for uid in SOP_CLASSES.values()]]
        ((title, version),) = pacs.callers
        assert title == "BMDEDGE"
        assert version.startswith("PYNETDICOM")


def test_an_archive_that_takes_no_connection_is_given_up_and_tried_again(
    served: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queue of connections is full: the kernel answers no more."""
    monkeypatch.setattr(dicom, "CONNECT_S", 0.5)
    with socket.socket() as listening, ExitStack() as queue:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        box = served(Archive(listening.getsockname()[1]).lines())
        with box.delivering():
            box.until(lambda states: "ready pacs_down" in states)


def test_a_peer_that_goes_on_for_ever_is_cut_off(served: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its bytes is in time; all of an object is not."""
    monkeypatch.setattr(dicom, "_OBJECT_S", 0.5)
    with archive(status="silent") as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(lambda states: "ready pacs_down" in states)


@pytest.mark.parametrize("status", ["abort", "silent"])
def test_an_archive_that_aborts_or_says_nothing_is_asked_again(
    status: str, served: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dicom, "ANSWER_S", 1.0)
    with archive(status=status) as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(lambda states: "ready pacs_down" in states)
            pacs.status = 0x0000
            box.until(all_sent)
        assert {copies[-1] for copies in pacs.got.values()} == set(box.made().values())


def test_a_slow_archive_is_given_up_and_tried_again(served: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "ANSWER_S", 1.0)
    with slow_archive() as port:
        box = served(Archive(port).lines())
        with box.delivering():
            box.until(lambda states: "ready pacs_down" in states)


def test_a_wrong_title_is_held_until_somebody_releases_it(served: Make) -> None:
    with archive(title="OTHER") as pacs:
        box = served(pacs.lines())
        with box.delivering():
            (said,) = box.until(lambda states: any(said.startswith("held") for said in states))
            assert said == "held rejected reject 1/1/7"
    with archive(pacs.port) as right, box.delivering():
        assert deliveries.release(box.journal) == 4
        box.until(all_sent)
    assert len(right.got) == 4


def test_orthanc_stores_and_commits(served: Make, tmp_path: Path) -> None:
    port = free_port()
    with orthanc_archive(tmp_path / "pacs", port) as pacs:
        box = served(f'{Archive(pacs.dicom).lines(", commit = true")}\n[commitment]\nbind = "127.0.0.1:{port}"')
        with box.delivering():
            box.until(lambda states: states == {"committed 0000": 4})
        assert pacs.instances() == box.made()
    assert {film.state for film in films.films_since(box.journal, 0)} == {"done"}


def test_orthanc_that_lost_an_object_gets_it_once_more(served: Make, tmp_path: Path) -> None:
    port = free_port()
    with orthanc_archive(tmp_path / "pacs", port) as pacs:
        box = served(f'{Archive(pacs.dicom).lines(", commit = true")}\n[commitment]\nbind = "127.0.0.1:{port}"')
        lost = box.objects[0]
        deliveries.address(box.journal, "main", ["sr", "sc"], True)
        deliveries.lease(box.journal, "main")
        for one in box.objects:  # as if all had been stored: the archive knows none of them
            deliveries.sent(box.journal, one.uid, "main", "0000")
        with box.delivering():
            box.until(lambda states: states == {"committed 0000": 4})
        assert lost.uid in pacs.instances()


def test_an_archive_that_takes_no_such_objects_is_held(served: Make) -> None:
    with archive(classes=[SOP_CLASSES["sr"]]) as pacs:
        box = served(pacs.lines())
        with box.delivering():
            box.until(lambda states: states == {"sent 0000": 2, "held no_context": 2})
    with archive(pacs.port, classes=["1.2.840.10008.5.1.4.1.1.2"]), box.delivering():
        deliveries.release(box.journal)
        box.until(lambda states: states.get("held no_context") == 2)


# -- TLS -----------------------------------------------------------------------------------------------------------

TLS = ', tls = true, ca = "{}"'


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders, `own` and `other`: an authority with a certificate for the box and one for the archive each."""
    place = tmp_path_factory.mktemp("authorities")
    with clinic.quick_keys():
        for name in ("own", "other"):
            (place / name).mkdir()
            make_authority(place / name)
            make_certificate(place / name, "box", ("127.0.0.1",))
            make_certificate(place / name, "pacs", ("127.0.0.1",))
            make_certificate(place / name, "elsewhere", ("10.30.0.2",))
    return place


def boxed(served: Make, authorities: Path, port: int, mine: str = "own") -> Served:
    """A box with a certificate of `mine` that believes in the authority `own`."""
    own = authorities / mine
    tls = f'[tls]\ncertificate = "{own}/box.crt"\nkey = "{own}/box.key"'
    return served(f"{Archive(port).lines(TLS.format(authorities / 'own' / 'ca.crt'))}\n{tls}")


def receiver(folder: Path, certificates: Path, name: str = "pacs") -> AbstractContextManager[int]:
    """`storescp` with a certificate of that name, which wants one of the sender of the same authority."""
    pair = certificates / f"{name}.key", certificates / f"{name}.crt"
    return storescp(folder, "+tls", *pair, "+cf", certificates / "ca.crt")


def test_an_archive_by_tls_gets_the_very_bytes(served: Make, authorities: Path, tmp_path: Path) -> None:
    with receiver(tmp_path / "got", authorities / "own") as port:
        box = boxed(served, authorities, port)
        with box.delivering():
            box.until(all_sent)
    stored = {hashlib.sha256(data_set(path.read_bytes())).hexdigest() for path in (tmp_path / "got").iterdir()}
    assert stored == set(box.made().values())


@pytest.mark.parametrize(
    ("theirs", "name", "mine"),
    [("other", "pacs", "own"), ("own", "elsewhere", "own"), ("own", "pacs", "other")],
    ids=["another authority", "another address", "a box that it does not know"],
)
def test_without_the_right_certificates_nothing_is_sent_and_the_reason_is_told(
    served: Make, authorities: Path, tmp_path: Path, theirs: str, name: str, mine: str
) -> None:
    with receiver(tmp_path / "got", authorities / theirs, name) as port:
        box = boxed(served, authorities, port, mine)
        with box.delivering():
            box.until(lambda states: all(said.startswith("ready tls") for said in states))
    assert not list((tmp_path / "got").iterdir())
    assert "certificate" in REASONS["tls"][0]


def test_an_archive_without_tls_gets_nothing(served: Make, authorities: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom, "ANSWER_S", 2.0)
    with archive() as pacs:
        box = boxed(served, authorities, pacs.port)
        with box.delivering():
            box.until(lambda states: all(said.startswith("ready") for said in states))
        assert pacs.got == {}
