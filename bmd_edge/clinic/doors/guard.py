"""Orthanc's Python plugin: no film is answered 0000 before the door has kept it.

Orthanc runs this file in the system's own Python, so all that it imports is of the standard library. It reads where
`clinic.toml` lies from the section "BmdEdge" of Orthanc's configuration. Orthanc's filter for C-STORE gives its
sender the status that `keep` returns: 0 stores, every other number discards, warnings too, and an exception is A700.
A script that fails to load ends Orthanc. And without this file Orthanc does not start, for its own folder of films
cannot be made: the films that it wants to keep beside ours live in this file's memory, until they are deleted at once.
What Orthanc logs passes through this file too, which leaves out what it quotes of films.
"""

import json
import logging
import os
import queue
import re
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import orthanc

# The folder of this file, which Orthanc has put in front, would make `config` and others of ours modules of their own.
_HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != _HERE]
sys.path.append(str(_HERE.parents[2]))
from bmd_edge.clinic.config import read_config  # noqa: E402
from bmd_edge.clinic.doors.content import Status  # noqa: E402
from bmd_edge.clinic.doors.door import Door, Origin  # noqa: E402
from bmd_edge.clinic.journal.store import Journal  # noqa: E402
from bmd_edge.clinic.places import ORTHANC_LOG  # noqa: E402


class Guard:
    """The door behind Orthanc's C-STORE."""

    def __init__(self) -> None:
        self._config = read_config(Path(json.loads(orthanc.GetConfiguration())["BmdEdge"]["Config"]))
        self._journal = Journal(self._config.root)
        self._door = Door(self._config, self._journal)
        self._door.sweep()
        self._journal.record("guard_started", config=self._config.digest)
        self.log = self._config.root / ORTHANC_LOG
        self._copies: dict[str, bytes] = {}  # Orthanc's own of films, by its names for them
        self._stored: queue.Queue[str] = queue.Queue()
        self._cleaner = threading.Thread(target=self._clean)

    def keep(self, dicom: Any) -> int:
        """Orthanc's filter: the DIMSE status for the sender."""
        try:
            unit = self._config.unit_of(dicom.GetInstanceRemoteAet())
            return int(self._door.keep(dicom.GetInstanceData(), Origin("dicom", unit[0] if unit else "")))
        except Exception as error:  # noqa: BLE001 - Orthanc would log its message, which may quote a film
            orthanc.LogError(f"guard: {type(error).__name__}")
            return int(Status.NO_ROOM)

    def register(self) -> None:
        """Take the place of Orthanc's filter and of its folder of films."""
        orthanc.RegisterIncomingCStoreInstanceFilter(self.keep)
        orthanc.RegisterStorageArea(
            lambda name, _kind, data: self._copies.update({name: data}),
            lambda name, _kind: self._copies[name],
            lambda name, _kind: self._copies.pop(name, None),
        )
        orthanc.RegisterOnStoredInstanceCallback(lambda _dicom, instance: self._stored.put(instance))
        orthanc.RegisterOnChangeCallback(self._changed)

    def _changed(self, change: int, _level: int, _resource: str) -> None:
        """Threads may call Orthanc from its start to its stop only."""
        if change == orthanc.ChangeType.ORTHANC_STARTED:
            for instance in json.loads(orthanc.RestApiGet("/instances")):  # what a killed Orthanc had in its index
                self._stored.put(instance)
            self._cleaner.start()
        elif change == orthanc.ChangeType.ORTHANC_STOPPED:
            self._stored.put("")
            self._cleaner.join()

    def _clean(self) -> None:
        while instance := self._stored.get():
            try:
                orthanc.RestApiDelete(f"/instances/{instance}")
            except orthanc.OrthancException as error:  # a film that came twice at once is gone already
                orthanc.LogInfo(f"guard: {error}")


def log_to(path: Path) -> None:
    """From now on append what Orthanc says to a file, without the IDs that it quotes of a film that lacks a UID."""
    read, write = os.pipe()
    os.dup2(write, sys.stderr.fileno())
    os.close(write)
    threading.Thread(target=_copy_log, args=(read, path), daemon=True).start()


def _copy_log(read: int, path: Path) -> None:
    with open(read, "rb") as lines:
        for line in lines:
            # A value may hold an end of line: what follows it begins no line of Orthanc.
            if re.match(rb"[EWIT]\d{4} ", line):
                with suppress(OSError), path.open("ab") as log:  # a disk that is full must not stop Orthanc
                    log.write(line.partition(b" for the following instance:")[0].rstrip(b"\n") + b"\n")


class _OrthancLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        write = orthanc.LogError if record.levelno >= logging.ERROR else orthanc.LogWarning
        write(record.getMessage())


logging.getLogger("bmd_edge").addHandler(_OrthancLog())
_GUARD = Guard()
_GUARD.register()
log_to(_GUARD.log)
