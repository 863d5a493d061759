"""Results to an archive by TLS: with DCMTK's `storescp`, and with those whose certificate or authority is another."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bmd_edge.clinic.delivery import dicom
from bmd_edge.clinic.delivery.answers import REASONS
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from tests.bmd_edge.clinic.delivery.archives import Archive, archive, data_set, storescp
from tests.bmd_edge.clinic.delivery.conftest import Served, all_sent
from tests.support import clinic

Make = Callable[..., Served]
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
