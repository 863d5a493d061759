"""X-ray units that send drawn films by TLS, one by C-STORE and one by STOW-RS, each until it is answered as kept."""

import sqlite3
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPException, HTTPSConnection

from bmd_edge.clinic.config import Config, address
from bmd_edge.clinic.doors.stow import PATH
from bmd_edge.clinic.journal.store import NAME as JOURNAL
from tests.support import clinic
from tests.support.clinic.outgoing import film

_PAUSE_S = 0.5
_MOST_WAITING = 4


class Unit(threading.Thread):
    """Sends film after film until it is ended, each until `send` says that it was kept."""

    def __init__(self, config: Config, send: Callable[[bytes], bool], first: int, step: int) -> None:
        super().__init__(daemon=True)
        self._root, self._send, self._number, self._step = config.root, send, first, step
        self.ends = threading.Event()
        self.kept: list[int] = []
        self.sent_again = 0

    def run(self) -> None:
        """Until `ends`, and the film that is on its way then is kept too."""
        while not self.ends.is_set():
            data = film(self._number)
            while not self._send(data):
                self.sent_again += 1
                time.sleep(0.1)
            self.kept.append(self._number)
            self._number += self._step
            self.ends.wait(_PAUSE_S)
            while self._is_behind() and not self.ends.wait(_PAUSE_S):
                pass

    def _is_behind(self) -> bool:
        """Whether many films wait to be read, as on a machine that has other things to do."""
        query = "SELECT COUNT(*) FROM film WHERE state IN ('received', 'screening')"
        try:
            with closing(sqlite3.connect(f"file:{self._root}/{JOURNAL}?mode=ro", uri=True)) as db:
                return int(db.execute(query).fetchone()[0]) > _MOST_WAITING
        except sqlite3.Error:  # it is damaged, or not there, for a moment
            return False


@contextmanager
def sending(config: Config) -> Iterator[list[Unit]]:
    """Both units send while the block runs; the films that are on their way at its end are kept before it is left."""
    units = [Unit(config, by_c_store(config), 0, 2), Unit(config, by_stow(config), 1, 2)]
    for unit in units:
        unit.start()
    try:
        yield units
    finally:
        for unit in units:
            unit.ends.set()
    for unit in units:
        unit.join()


def uids(units: list[Unit]) -> set[str]:
    """SOP Instance UIDs of the films that were kept."""
    return {f"1.2.826.0.1.3680043.13.{number + 1}" for unit in units for number in unit.kept}


def more(units: list[Unit], n: int) -> None:
    """Wait until every unit has had `n` more films kept."""
    before, end = [len(unit.kept) for unit in units], time.monotonic() + 300
    while any(len(unit.kept) < had + n for unit, had in zip(units, before, strict=True)):
        assert time.monotonic() < end, "no films come in"
        time.sleep(0.05)


def by_c_store(config: Config) -> Callable[[bytes], bool]:
    """By C-STORE and TLS, an association for each film."""
    port, context = address(config.door.dicom_tls)[1], _context(config)
    return lambda data: clinic.send(port, [data], tls=context, timeout_s=60) == [0]


def by_stow(config: Config) -> Callable[[bytes], bool]:
    """By STOW-RS."""
    context = _context(config)

    def send(data: bytes) -> bool:
        connection = HTTPSConnection(*address(config.door.stow_tls), context=context, timeout=60)
        try:
            connection.request("POST", PATH, clinic.stow_body(data), {"Content-Type": clinic.STOW_TYPE})
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return send


def _context(config: Config) -> ssl.SSLContext:
    folder = config.root / "tls"
    made = ssl.create_default_context(cafile=folder / "ca.crt")
    made.load_cert_chain(folder / "xray1.crt", folder / "xray1.key")
    return made
