"""Archives on loopback: one of pynetdicom that can be told to misbehave, DCMTK's `storescp`, and Orthanc."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    Comprehensive3DSRStorage,
    SecondaryCaptureImageStorage,
)

from tests.support.clinic import free_port, needs, started

TITLE = "PACS"
CLASSES = (Comprehensive3DSRStorage, SecondaryCaptureImageStorage)


@dataclass
class Archive:
    """What an archive does and what it got: `status` may be a number, "abort" or "silent"; objects by UID.

    Of each association: `callers` (AE title, implementation version name), and `proposed`, SOP classes with syntaxes.
    """

    port: int
    status: int | str = 0x0000
    got: dict[str, list[str]] = field(default_factory=dict)
    associations: int = 0
    only: str = ""
    callers: list[tuple[str, str]] = field(default_factory=list)
    proposed: list[list[tuple[str, list[str]]]] = field(default_factory=list)

    def lines(self, more: str = "") -> str:
        """Its table of clinic.toml."""
        return f'pacs.main = {{ kind = "dicom", ae_title = "{TITLE}", host = "127.0.0.1", port = {self.port}{more} }}'

    def store(self, event: evt.Event) -> int:
        """What it answers to a C-STORE request."""
        uid = str(event.request.AffectedSOPInstanceUID)
        told = self.status if not self.only or self.only == event.request.AffectedSOPClassUID else 0
        if told == "abort":
            event.assoc.abort()
            return 0xC000
        if told == "silent":
            time.sleep(3)
            return 0xC000
        data = event.request.DataSet.getvalue()
        self.got.setdefault(uid, []).append(hashlib.sha256(data).hexdigest())
        return int(told)


def _accepted(archive: Archive, event: evt.Event) -> None:
    archive.associations += 1
    caller = event.assoc.requestor
    archive.callers.append((caller.ae_title, str(caller.implementation_version_name)))
    archive.proposed.append(
        [(str(one.abstract_syntax), list(map(str, one.transfer_syntax))) for one in caller.requested_contexts]
    )


@contextmanager
def archive(
    port: int | None = None, title: str = TITLE, classes: Sequence[str] = CLASSES, **settings: Any
) -> Iterator[Archive]:
    """pynetdicom's archive, which takes objects of `classes`; `settings` are fields of `Archive`."""
    entity = AE(title)
    entity.require_called_aet = True
    for sop_class in classes:
        entity.add_supported_context(sop_class)
    found = Archive(port or free_port(), **settings)
    handlers = [(evt.EVT_C_STORE, found.store), (evt.EVT_ACCEPTED, lambda event: _accepted(found, event))]
    server = entity.start_server(("127.0.0.1", found.port), block=False, evt_handlers=handlers)
    try:
        yield found
    finally:
        server.shutdown()


@contextmanager
def slow_archive() -> Iterator[int]:
    """A peer that takes one byte a second, and says nothing."""
    ends = threading.Event()
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            while not ends.is_set():
                try:
                    taken, _ = listening.accept()
                except OSError:
                    return
                with taken:
                    while not ends.wait(1) and taken.recv(1):
                        pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            ends.set()
            listening.shutdown(socket.SHUT_RDWR)


STORESCP = "/usr/bin/storescp"
"""DCMTK's by its whole path: in an active environment pynetdicom's command of the same name stands before it."""


@contextmanager
def storescp(folder: Path, *options: str | Path) -> Iterator[int]:
    """DCMTK's receiver, which writes what it gets into `folder`; `options` are its own."""
    needs(STORESCP)
    folder.mkdir()
    port = free_port()
    command = [STORESCP, *options, "-aet", TITLE, "-od", folder, str(port)]
    with started(command, folder.parent / "storescp.log", port):
        yield port


@dataclass
class Orthanc:
    """Debian's Orthanc as an archive: its DICOM and HTTP ports."""

    dicom: int
    http: int

    def instances(self) -> dict[str, str]:
        """SOP Instance UID -> SHA-256 of the file's data set as Orthanc gives it back."""
        found = {}
        for one in self._get("/instances"):
            uid = self._get(f"/instances/{one}")["MainDicomTags"]["SOPInstanceUID"]
            with urlopen(f"http://127.0.0.1:{self.http}/instances/{one}/file") as answer:
                found[uid] = hashlib.sha256(data_set(answer.read())).hexdigest()
        return found

    def _get(self, path: str) -> Any:
        with urlopen(f"http://127.0.0.1:{self.http}{path}") as answer:
            return json.load(answer)


DICOMWEB = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@contextmanager
def orthanc_archive(place: Path, box_port: int) -> Iterator[Orthanc]:
    """Orthanc with DICOMweb, which knows the box as BMDEDGE on `box_port`."""
    needs("Orthanc", DICOMWEB)
    found = Orthanc(free_port(), free_port())
    settings = {
        "Name": "PACS", "StorageDirectory": str(place / "db"), "IndexDirectory": str(place / "db"),
        "DicomAet": TITLE, "DicomPort": found.dicom, "DicomCheckCalledAet": True,
        "HttpPort": found.http, "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomModalities": {"box": ["BMDEDGE", "127.0.0.1", box_port]},
        "Plugins": [DICOMWEB], "DicomWeb": {"Enable": True},
    }  # fmt: skip
    place.mkdir()
    (place / "orthanc.json").write_text(json.dumps(settings))
    with started(["Orthanc", place / "orthanc.json"], place / "log", found.dicom, found.http):
        yield found


def data_set(file: bytes) -> bytes:
    """The data set of a DICOM file: what lies behind its file meta information."""
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]
