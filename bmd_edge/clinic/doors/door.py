"""The one way in: a film that was answered KEPT is on the disk and in the journal, or it was not answered KEPT.

The only writer of the spool. Standard library only, for the guard runs inside Orthanc's Python.
"""

import hashlib
import logging
import os
import shutil
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.doors.content import NotTaken, Status, content_of
from bmd_edge.clinic.journal.films import SPOOL, Arrival, Known, film_path, known, take
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.places import PATIENT_KEY
from bmd_edge.errors import UsageError
from bmd_edge.system.files import replace_bytes
from bmd_edge.system.patient_key import patient_key

logger = logging.getLogger(__name__)

FOLDER = "folder"
"""Both the door and the unit of films that come by the watched folder."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a film came from. door: dicom | stow | folder; unit: as clinic.toml names it, "" for a stranger."""

    door: str
    unit: str


_SPOOL = Origin("spool", "")


class Door:
    """Keeps films in the box of `config`; any number of threads may ask at once.

    Raises UsageError, OSError where the box's folder cannot be used.
    """

    def __init__(self, config: Config, journal: Journal) -> None:
        self._root, self._journal = config.root, journal
        self._units = {*config.units, FOLDER}
        self._spare_bytes = config.box.min_free_mb * 1_000_000
        self._lock = threading.Lock()
        (self._root / SPOOL).mkdir(mode=0o700, exist_ok=True)
        file = self._root / PATIENT_KEY
        key = patient_key(file) if file.exists() or not journal.rows("SELECT 1 FROM film LIMIT 1") else None
        if key is None:  # another one would make every film that comes again a conflict
            raise UsageError(f"{PATIENT_KEY} in the box's folder is missing or cannot be read: restore the backup's")
        self.key = key

    def keep(self, data: bytes, origin: Origin) -> Status:
        """Take the bytes of a DICOM file; once this returns KEPT it survives a power cut.

        Every other status means that no film was taken, and the sender must be told so. Nothing is raised for what is
        wrong with a film or the disk.
        """
        try:
            if origin.unit not in self._units:
                raise NotTaken(Status.NOT_AUTHORIZED, "unknown_unit")
            return self._taken(data, origin)
        except NotTaken as error:
            self.audit(origin, error)
            return error.status
        except (OSError, UsageError) as error:
            logger.error("door: no film is taken: %s", getattr(error, "strerror", None) or error)
            return Status.NO_ROOM

    def audit(self, origin: Origin, error: NotTaken) -> None:
        """Write down what was refused; a journal that cannot be written changes nothing about the refusal."""
        code = f"{error.status:04X}"
        logger.warning("door: refused from %s by %s: %s", origin.unit or "a stranger", origin.door, error)
        try:
            self._journal.record("refused", door=origin.door, unit=origin.unit, code=error.code, status=code)
        except (OSError, UsageError) as failed:
            logger.error("door: the refusal is not in the journal: %s", getattr(failed, "strerror", None) or failed)

    def _taken(self, data: bytes, origin: Origin) -> Status:
        film = Arrival(**asdict(content_of(data, self.key)), door=origin.door, unit=origin.unit)
        path = film_path(self._root, film.film_key)
        with self._lock:
            what, kept_as = known(self._journal, film)
            if what is not Known.AGAIN:
                self._write(path, data)  # before the journal says so: a row without its file would be a lost film
            with self._journal.change():  # in which nobody removes files
                if what is Known.AGAIN and kept_as == film.film_key and not path.exists():
                    self._write(path, data)
                return Status.CONFLICT if take(self._journal, film) is Known.CONFLICT else Status.KEPT

    def _write(self, path: Path, data: bytes) -> None:
        if shutil.disk_usage(self._root).free < self._spare_bytes + len(data):
            raise NotTaken(Status.NO_ROOM, "disk_full")
        replace_bytes(path, data, mode=0o600)

    def sweep(self) -> int:
        """After a restart: remove what a killed door has left half written, and take in whole films that the journal
        does not know, as after the restoring of an older backup; returns how many.
        """
        spool = self._root / SPOOL
        for part in spool.glob(".*.part"):
            if not Path(f"/proc/{part.suffixes[-2].lstrip('.')}").exists():  # .KEY.dcm.PID.part
                part.unlink(missing_ok=True)
        listed = {row["film_key"] for row in self._journal.rows("SELECT film_key FROM film")}
        stray = [path for path in spool.glob("*.dcm") if path.stem not in listed]
        return sum(map(self._taken_in, sorted(stray, key=os.path.getmtime)))

    def _taken_in(self, path: Path) -> bool:
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != path.stem:
            logger.error("door: a file in the spool is not what its name says: %s", path.name[:16])
            return False
        try:
            self._taken(data, _SPOOL)
        except NotTaken as error:
            self.audit(_SPOOL, error)
            return False
        if self._journal.rows("SELECT 1 FROM film WHERE film_key=?", path.stem):
            return True
        path.unlink()  # the same film in another encoding, which came by two doors at once
        return False
