"""Strangers whom Orthanc and nginx refuse, from their logs into the journal: which door, from where, why, how often."""

import os
import re
from collections import Counter
from io import BufferedReader
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
        self._files = {path: _opened(path) for path in self._logs}
        for files in self._files.values():
            for file in files:
                file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the logs."""
        for files in self._files.values():
            for file in files:
                file.close()

    def step(self) -> None:
        """Write down who was refused since the last look, each kind once with its number."""
        found: Counter[Refused] = Counter()
        for path, kind in self._logs.items():
            found.update(one for one in map(kind, self._new_lines(path)) if one)
        with self._journal.change():
            for one, times in found.items():
                self._journal.record("refused", **one._asdict(), times=times)

    def _new_lines(self, path: Path) -> list[str]:
        """Of a log that was rotated the old file is read until, with the new one there, it has nothing more: its writer
        may be a moment behind.
        """
        files = self._files[path]
        read = [(file, _whole_lines(file)) for file in files]
        found = [line for _, lines in read for line in lines]
        newest = _opened(path)
        if newest and not (files and os.path.sameopenfile(files[-1].fileno(), newest[0].fileno())):
            files += newest
            return found + _whole_lines(newest[0])
        for file in newest:
            file.close()
        for file, lines in read[:-1]:
            if not lines:
                file.close()
                files.remove(file)
        return found


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


def _opened(path: Path) -> list[BufferedReader]:
    try:
        return [path.open("rb")]
    except FileNotFoundError:
        return []


def _whole_lines(file: BufferedReader) -> list[str]:
    """The lines behind the place that the file stands at, without one that is being written."""
    start = file.tell()
    if os.fstat(file.fileno()).st_size < start:  # it was emptied
        start = file.seek(0)
    whole, newline, _ = file.read(_MOST_BYTES).rpartition(b"\n")
    file.seek(start + len(whole + newline))
    return whole.decode("utf-8", "replace").splitlines()
