"""A clinic box on loopback, with real peers: Orthanc with the guard, nginx, and DCMTK's and pynetdicom's senders."""

import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.door import Door
from bmd_edge.clinic.doors.stow import PATH, SUBJECT, stow_door
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.setup import certificates
from bmd_edge.clinic.setup.derived import NGINX_STREAM, ORTHANC_PLUGIN
from bmd_edge.clinic.setup.init import prepare, write_config


@contextmanager
def quick_keys() -> Iterator[None]:
    """Certificates with keys that are made at once; those of RSA take seconds each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "_KEY", ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        yield


def _shut(self: AssociationSocket) -> None:
    """pynetdicom leaves a socket open that the other side has closed: the garbage collector would warn in any test."""
    if self.socket:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


AssociationSocket._shutdown_socket = _shut  # type: ignore[method-assign]


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def needs(*programs: str) -> None:
    """Skip the test where a peer is not installed."""
    for program in programs:
        if not (Path(program).exists() or shutil.which(program)):
            pytest.skip(f"{program} is not installed")


def box(place: Path, root: Path | None = None, host: str = "127.0.0.1", **door: object) -> Config:
    """A box with one unit, XRAY1 at address `host` of this machine; `door` are lines of that table."""
    port = door.pop("port", None) or free_port()
    lines = {"dicom": f"127.0.0.1:{port}", **door}
    text = f"""box = {{ root = "{root or place / "root"}", min_free_mb = 1, scratch = "{place / "scratch"}" }}
units.xray1 = {{ ae_title = "XRAY1", host = "{host}" }}
[door]
"""
    text += "".join(f"{name} = {_toml(value)}\n" for name, value in lines.items())
    config = write_config(place / "etc", text)
    prepare(config)
    return config


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f'"{value}"'


@dataclass
class Peer:
    """A program that was started; it ends with the block that started it."""

    process: subprocess.Popen[bytes]
    log: Path
    ports: tuple[int, ...] = field(default=())

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 90) -> None:
    """Wait until somebody listens on a port; the process must go on meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            probe.settimeout(1)
            if not probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.02)
    raise AssertionError(f"nobody listens on {port}; the process: {process.poll()}")


@contextmanager
def started(command: list[str | Path], log: Path, *ports: int) -> Iterator[Peer]:
    """A program that runs while the block does and listens on `ports`."""
    with log.open("ab") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
    try:
        for port in ports:
            wait_for(port, process)
        yield Peer(process, log, ports)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def nginx(config: Config) -> Iterator[Peer]:
    """nginx, as it is derived from `clinic.toml`."""
    needs("nginx", NGINX_STREAM)
    ports = [int(text.rpartition(":")[2]) for text in (config.door.dicom_tls, config.door.stow_tls) if text]
    command: list[str | Path] = ["nginx", "-e", "stderr", "-g", "user root;", "-c", config.path.parent / "nginx.conf"]
    with started(command, config.root / "log/nginx.out", *ports) as peer:
        yield peer


def send(
    port: int,
    films: Iterable[bytes],
    calling: str = "XRAY1",
    called: str = "BMDEDGE",
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    timeout_s: float = 40,
) -> list[int | None] | None:
    """Send films by C-STORE in one association: the status of each, None for one without an answer or whose syntax was
    not accepted; None where the association was refused.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = [pydicom.dcmread(BytesIO(film)) for film in films]
        sender = AE(calling)
        for kind, syntax in {(one.SOPClassUID, one.file_meta.TransferSyntaxUID) for one in data}:
            sender.add_requested_context(kind, syntax)
        sender.acse_timeout = sender.dimse_timeout = sender.network_timeout = timeout_s
        connected = sender.associate(host, port, ae_title=called, tls_args=(tls, host) if tls else None)
        if not connected.is_established:
            return None
        try:
            return [_sent(connected, one) for one in data]
        finally:
            if connected.is_established:
                connected.release()


def _sent(connected: Association, film: pydicom.Dataset) -> int | None:
    try:
        status = connected.send_c_store(film)
    except (ValueError, RuntimeError):  # no context was accepted for it; the association is no more
        return None
    return int(status.Status) if "Status" in status else None


class ToSocket(HTTPConnection):
    """HTTP to a socket of the file system, as nginx speaks it."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


STOW_TYPE = 'multipart/related; type="application/dicom"; boundary=mark'


def stow_body(*parts: bytes, kind: str = "application/dicom", mark: str = "mark") -> bytes:
    """The body of a STOW-RS request, of type `STOW_TYPE` as it stands."""
    head = f"--{mark}\r\nContent-Type: {kind}\r\n\r\n".encode()
    return b"".join(head + part + b"\r\n" for part in parts) + f"--{mark}--\r\n".encode()


@contextmanager
def stow(config: Config, journal: Journal) -> Iterator[Callable[[list[bytes]], int]]:
    """STOW-RS as nginx asks it for XRAY1: films -> the answer's status."""
    with stow_door(config, Door(config, journal)) as path:

        def post(films: list[bytes]) -> int:
            connection = ToSocket(path)
            connection.request("POST", PATH, stow_body(*films), {"Content-Type": STOW_TYPE, SUBJECT: "CN=xray1"})
            try:
                answer = connection.getresponse()
                answer.read()
                return answer.status
            finally:
                connection.close()

        yield post


@contextmanager
def orthanc(config: Config) -> Iterator[Peer]:
    """Debian's Orthanc, as it is derived from `clinic.toml`."""
    needs("Orthanc", ORTHANC_PLUGIN)
    port = int(config.door.dicom.rpartition(":")[2])
    command: list[str | Path] = ["Orthanc", config.path.parent / "orthanc.json"]
    with started(command, config.root / "log/orthanc.out", port) as peer:
        yield peer


@contextmanager
def served(config: Config, program: Path | None = None) -> Iterator[Peer]:
    """`bmd-edge clinic serve`, of this program or of the one in a folder; it serves once it has said so."""
    log = config.root / "log/serve.log"
    log.unlink(missing_ok=True)
    place: list[str | Path] = ["env", "-C", program] if program else []
    with started([*place, sys.executable, "-m", "bmd_edge", "clinic", "serve", "--config", config.path], log) as peer:
        while b"serving" not in log.read_bytes():
            assert peer.process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield peer


def moved(config: Config, root: Path) -> Config:
    """The same box with its folder elsewhere."""
    return replace(config, box=replace(config.box, root=str(root)))
