"""Strangers whom Orthanc and nginx refuse, from their logs into the journal: which door, from where, why, how often."""

import os
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from bmd_edge.clinic.config import Config
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.clinic.places import NGINX_LOG, ORTHANC_LOG

_MOST_BYTES = 1 << 20
"""Of one look at a log; more than that in between is a flood, of which the rest is looked at next time."""
_ORTHANC = (
    (re.compile(r"Rejected association for remote AET .* on IP (\S+)"), "unknown_ae_title"),
    (re.compile(r"Rejected association, because of a bad called AET"), "wrong_called_ae_title"),
    (re.compile(r"Rejected \w+ request from remote DICOM modality .* hostname \"([^\"]+)\""), "forbidden_command"),
)
_NGINX = re.compile(r"(dicom|stow) (\S+) (\S.*) ([45]\d\d) -")
"""A line of the format `door` in nginx.conf, where nginx itself has refused: what our door refuses it writes down."""


class Refused(NamedTuple):
    """Who was refused: the door, the sender's address ("" where the log does not say), why."""

    door: str
    address: str
    code: str


class LogFollower:
    """Reads what has come to the two logs since it was made; `step` is one look."""

    def __init__(self, config: Config, journal: Journal) -> None:
        self._journal = journal
        self._logs = {config.root / ORTHANC_LOG: _orthanc, config.root / NGINX_LOG: _nginx}
        self._read = {path: _size(path) for path in self._logs}

    def step(self) -> None:
        """Write down who was refused since the last look, each kind once with its number."""
        found: Counter[Refused] = Counter()
        for path, kind in self._logs.items():
            found.update(one for one in map(kind, self._new_lines(path)) if one)
        with self._journal.change():
            for one, times in found.items():
                self._journal.record("refused", **one._asdict(), times=times)

    def _new_lines(self, path: Path) -> list[str]:
        if _size(path) < self._read[path]:  # it was rotated
            self._read[path] = 0
        try:
            with path.open("rb") as file:
                file.seek(self._read[path])
                whole, newline, _ = file.read(_MOST_BYTES).rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._read[path] += len(whole + newline)
        return whole.decode("utf-8", "replace").splitlines()


def _orthanc(line: str) -> Refused | None:
    for pattern, code in _ORTHANC:
        if found := pattern.search(line):
            return Refused("dicom", found[1] if pattern.groups else "", code)
    return None


def _nginx(line: str) -> Refused | None:
    found = _NGINX.fullmatch(line)
    if not found:
        return None
    door, address, certificate, status = found.groups()
    if certificate == "SUCCESS":
        return Refused(door, address, f"status_{status}")
    why = certificate.partition(":")[2] or "no certificate, or none of TLS 1.2 and 1.3"
    return Refused(door, address, why)


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
