"""The files of Orthanc, nginx and systemd follow from clinic.toml."""

import json
import os
import pwd
import re
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bmd_edge.clinic.config import Config, address
from bmd_edge.clinic.setup import derived as module
from bmd_edge.clinic.setup.certificates import make_authority, make_certificate
from bmd_edge.clinic.setup.derived import derived, orthanc_json
from bmd_edge.clinic.setup.init import write_config
from tests.support import clinic

DOORS = 'door = { dicom_tls = "10.20.0.5:2762", stow_tls = "10.20.0.5:8443" }'


def config_of(folder: Path, door: str = DOORS, unit: str = "") -> Config:
    lines = [
        f'box = {{ root = "{folder}/root" }}',
        door,
        'units.a = { ae_title = "A", host = "10.20.0.11"' + unit + " }",
    ]
    lines += ['units.b = { ae_title = "B", host = "10.20.0.12", tls = true }']
    lines += ['pacs.main = { kind = "dicom", ae_title = "P", host = "10.30.0.2" }']
    return write_config(folder / "etc", "\n".join(lines) + "\n")


def test_files_are_made_for_the_doors_that_are_open(tmp_path: Path) -> None:
    everything = {
        "orthanc.json",
        "nginx.conf",
        "bmd-edge.logrotate",
        *(f"bmd-edge-{one}.service" for one in ("serve", "orthanc", "nginx")),
    }
    assert set(derived(config_of(tmp_path / "tls"))) == everything
    assert set(derived(config_of(tmp_path / "none", 'door = { dicom = "" }'))) == {"bmd-edge-serve.service"}


def test_every_file_names_its_clinic_toml(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    assert [name for name, text in derived(config).items() if config.digest[:16] not in text] == []


def test_a_unit_is_let_in_from_its_own_address_or_through_nginx_only(tmp_path: Path) -> None:
    behind = json.loads(orthanc_json(config_of(tmp_path / "tls")))
    assert behind["DicomCheckModalityHost"]
    assert {one["Host"] for one in behind["DicomModalities"].values()} == {"127.0.0.1"}
    plain = 'door = { dicom = "10.20.0.5:4242", vlan = true, dicom_tls = "10.20.0.5:2762" }'
    both = json.loads(orthanc_json(config_of(tmp_path / "vlan", plain)))
    assert {name: one["Host"] for name, one in both["DicomModalities"].items()} == {"a": "10.20.0.11", "b": "127.0.0.1"}


def test_units_store_and_do_nothing_else(tmp_path: Path) -> None:
    for one in json.loads(orthanc_json(config_of(tmp_path)))["DicomModalities"].values():
        assert not any(one[f"Allow{command}"] for command in ("Find", "Get", "Move"))


@pytest.mark.parametrize("name", ["orthanc", "nginx", "serve"])
def test_services_are_closed_to_what_they_do_not_need(tmp_path: Path, name: str) -> None:
    """systemd's own measure, from 0 (closed) to 10: of files, for it does not run in every container."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / f"bmd-edge-{name}.service"
    path.write_text(derived(config_of(tmp_path))[path.name], encoding="utf-8")
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Overall exposure level for .*: ([0-9.]+)", said)
    assert found, said
    assert float(found[1]) < 3


def test_hosts_that_are_names_leave_the_addresses_to_the_firewall(tmp_path: Path) -> None:
    known = derived(config_of(tmp_path / "known"))["bmd-edge-serve.service"]
    assert "IPAddressDeny=any\nIPAddressAllow=localhost 10.20.0.11 10.20.0.12 10.30.0.2\n" in known
    config = config_of(tmp_path / "name")
    named = config.path.read_text(encoding="utf-8").replace("10.30.0.2", "pacs.clinic")
    config.path.unlink()
    assert "IPAddress" not in derived(write_config(config.path.parent, named))["bmd-edge-serve.service"]


def test_logs_are_rotated_and_nobody_writes_to_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real logrotate, under a running nginx."""
    clinic.needs("logrotate")
    monkeypatch.setattr(module, "USER", pwd.getpwuid(os.geteuid()).pw_name)
    config = clinic.box(tmp_path, stow_tls=f"127.0.0.1:{clinic.free_port()}")
    with clinic.quick_keys():
        make_authority(config.root / "tls")
        make_certificate(config.root / "tls", "box", ("127.0.0.1",))
    rules = config.path.parent / "bmd-edge.logrotate"
    rules.chmod(0o640)
    folder = config.root / "log"

    def refused() -> str:
        """A stranger comes, and nginx writes a line about it."""
        before = sum(path.stat().st_size for path in folder.glob("nginx.log*"))
        with suppress(OSError), socket.create_connection(address(config.door.stow_tls)) as stranger:
            stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while stranger.recv(4096):
                pass
        end = time.monotonic() + 60
        while sum(path.stat().st_size for path in folder.glob("nginx.log*")) == before:
            assert time.monotonic() < end, "nginx has written nothing"
            time.sleep(0.02)
        return (folder / "nginx.log").read_text()

    with clinic.nginx(config):
        assert refused().count("stow") == 1
        command = ["logrotate", "--force", "--state", tmp_path / "state", rules]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert (folder / "nginx.log.1").read_text().count("stow") == 1
        end = time.monotonic() + 60
        while not (folder / "nginx.log").exists():
            assert time.monotonic() < end, "nginx has not opened its log anew"
            time.sleep(0.02)
        assert refused().count("stow") == 1
        assert (folder / "nginx.log.1").read_text().count("stow") == 1
