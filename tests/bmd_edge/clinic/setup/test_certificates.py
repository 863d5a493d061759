"""Certificates of the box's own authority, as OpenSSL itself sees them."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bmd_edge.clinic.setup import certificates
from bmd_edge.clinic.setup.certificates import DAYS, ends, make_authority, make_certificate
from bmd_edge.errors import UsageError
from tests.support import clinic


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tls")
    with clinic.quick_keys():
        make_authority(made)
        make_certificate(made, "box", ("127.0.0.1", "10.20.0.5"))
        make_certificate(made, "xray1")
    return made


def verified(folder: Path, name: str, purpose: str, *more: str) -> bool:
    command = ["openssl", "verify", "-CAfile", folder / "ca.crt", "-purpose", purpose, *more, folder / f"{name}.crt"]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_the_box_is_a_server_at_its_addresses_and_a_unit_is_none(folder: Path) -> None:
    assert verified(folder, "box", "sslserver", "-verify_ip", "10.20.0.5")
    assert not verified(folder, "box", "sslserver", "-verify_ip", "10.20.0.6")
    assert verified(folder, "xray1", "sslclient")
    assert not verified(folder, "xray1", "sslserver")


def test_a_unit_cannot_make_units(folder: Path, tmp_path: Path) -> None:
    for name, became in (("ca.crt", "ca.crt"), ("xray1.crt", "xray1.crt"), ("xray1.key", "xray1.key")):
        (tmp_path / became).write_bytes((folder / name).read_bytes())
    (tmp_path / "ca.crt").write_bytes((folder / "xray1.crt").read_bytes())
    (tmp_path / "ca.key").write_bytes((folder / "xray1.key").read_bytes())
    with clinic.quick_keys():
        make_certificate(tmp_path, "forged")
    (folder / "forged.crt").write_bytes((tmp_path / "forged.crt").read_bytes())
    command = [
        "openssl",
        "verify",
        "-CAfile",
        folder / "ca.crt",
        "-untrusted",
        folder / "xray1.crt",
        tmp_path / "forged.crt",
    ]
    assert subprocess.run(command, capture_output=True).returncode


def test_its_end_is_told(folder: Path) -> None:
    assert abs(ends(folder / "box.crt") - datetime.now(UTC) - timedelta(days=DAYS)) < timedelta(days=1)
    with pytest.raises(UsageError, match=r"none\.crt: openssl x509"):
        ends(folder / "none.crt")


def test_without_openssl_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt-get install openssl"):
        make_authority(tmp_path)


def test_keys_are_as_old_units_read_them() -> None:
    assert certificates._KEY[:2] == ["-newkey", "rsa:3072"]
