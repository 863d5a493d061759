"""Orthanc's Python plugin: no film is answered 0000 before the door has kept it.

Orthanc runs this file in the system's own Python, so all that it imports is of the standard library. It reads where
`clinic.toml` lies from the section "BmdEdge" of Orthanc's configuration. Orthanc's filter for C-STORE gives its
sender the status that `keep` returns: 0 stores, every other number discards, warnings too, and an exception is A700.
A script that fails to load ends Orthanc. So whatever breaks here, no film is answered 0000.
"""

import json
import logging
import os
import queue
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

import orthanc

_BEAT_S = 10.0
WHO = "guard"
"""Under this name the guard beats in the journal; `bmd-edge serve` sees there whether Orthanc runs without it."""

# The folder of this file, which Orthanc has put in front, would make `config` and others of ours modules of their own.
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
sys.path.append(str(Path(__file__).resolve().parents[2]))
config_module = import_module("bmd_edge.clinic.config")
door_module = import_module("bmd_edge.clinic.door")
store_module = import_module("bmd_edge.clinic.journal.store")


class Guard:
    """The door behind Orthanc's C-STORE; Orthanc's own copy of a film goes as soon as it is there."""

    def __init__(self) -> None:
        path = Path(json.loads(orthanc.GetConfiguration())["BmdEdge"]["Config"])
        self._config = config_module.read_config(path)
        self._journal = store_module.Journal(self._config.root)
        self._door = door_module.Door(self._config, self._journal)
        self._door.sweep()
        self._copies: queue.Queue[str] = queue.Queue()
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=one) for one in (self._beat, self._delete)]

    def keep(self, dicom: Any) -> int:
        """Orthanc's filter: the DIMSE status for the sender."""
        unit = self._config.unit_of(dicom.GetInstanceRemoteAet())
        return int(self._door.keep(dicom.GetInstanceData(), door_module.Origin("dicom", unit[0] if unit else "")))

    def stored(self, _dicom: Any, instance: str) -> None:
        """Orthanc has a copy of its own, which nobody needs."""
        self._copies.put(instance)

    def changed(self, change: int, _level: int, _resource: str) -> None:
        """Threads may call Orthanc from its start to its stop only."""
        if change == orthanc.ChangeType.ORTHANC_STARTED:
            for instance in json.loads(orthanc.RestApiGet("/instances")):
                self._copies.put(instance)
            for thread in self._threads:
                thread.start()
        elif change == orthanc.ChangeType.ORTHANC_STOPPED:
            self._ends.set()
            self._copies.put("")
            for thread in self._threads:
                thread.join()
            self._journal.close()

    def _beat(self) -> None:
        while True:
            try:
                self._journal.beat(WHO, os.getpid(), config=self._config.digest)
            except Exception as error:  # noqa: BLE001 - a beat that is missing is what tells
                orthanc.LogError(f"guard: no beat: {type(error).__name__}")
            if self._ends.wait(_BEAT_S):
                return

    def _delete(self) -> None:
        while instance := self._copies.get():
            try:
                orthanc.RestApiDelete(f"/instances/{instance}")
            except orthanc.OrthancException as error:  # gone already, or stored twice at once
                orthanc.LogInfo(f"guard: a copy stays: {error}")


class _OrthancLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        write = orthanc.LogError if record.levelno >= logging.ERROR else orthanc.LogWarning
        write(record.getMessage())


logging.getLogger("bmd_edge").addHandler(_OrthancLog())
guard = Guard()
orthanc.RegisterIncomingCStoreInstanceFilter(guard.keep)
orthanc.RegisterOnStoredInstanceCallback(guard.stored)
orthanc.RegisterOnChangeCallback(guard.changed)
