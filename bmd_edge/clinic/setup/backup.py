"""A copy of what a box answers for, made while films come in, and a box made of it again.

The journal is one moment; of films and objects, which never change once they are written, a backup has at least those
that this journal names. Films that came later, and that the box still has, are taken in when it is served again.
"""

import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from bmd_edge.clinic.config import NAME as CONFIG
from bmd_edge.clinic.config import Config, address
from bmd_edge.clinic.journal.films import OUTBOX, SPOOL
from bmd_edge.clinic.journal.heads import NAME as HEADS
from bmd_edge.clinic.journal.store import NAME as JOURNAL
from bmd_edge.clinic.journal.store import Journal, copy_journal
from bmd_edge.clinic.places import PATIENT_KEY
from bmd_edge.clinic.setup.doctor import listens
from bmd_edge.errors import UsageError
from bmd_edge.screen.run_lock import hold
from bmd_edge.system.files import copy_file, replace_bytes

_TLS = "tls"
_KEPT = (SPOOL, OUTBOX)
_SERVED = "the box is served ({}): stop bmd-edge-serve and bmd-edge-orthanc first"


def back_up(config: Config, to: Path) -> int:
    """Copy the box into the folder `to`, new or an earlier backup of it; returns how many films and objects are new.

    Raises:
        UsageError: `to` is no place for it or holds another box's backup; or the journal cannot be read.
        OSError: a disk cannot be read or written; an earlier backup is what it was, with more files.
    """
    root = config.root
    if not (root / JOURNAL).is_file():
        raise UsageError("there is no journal yet: nothing to back up")
    if to.resolve().is_relative_to(root.resolve()):
        raise UsageError("a backup in the box's own folder would be lost with it: name another disk")
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_same_box(root, to)
    for source, name in ((root / PATIENT_KEY, PATIENT_KEY), (config.path, CONFIG)):
        copy_file(source, to / name, mode=0o600)
    _copy_missing(root, to, _TLS)
    n = sum(_copy_missing(root, to, name) for name in _KEPT)
    heads = (root / HEADS).read_bytes() if (root / HEADS).is_file() else b""
    made = to / ".new"
    shutil.rmtree(made, ignore_errors=True)  # of a backup that was cut off
    made.mkdir(mode=0o700)
    copy_journal(root, made / JOURNAL)
    n += sum(_copy_missing(root, to, name) for name in _KEPT)  # what the journal names and came meanwhile
    copy_file(made / JOURNAL, to / JOURNAL, mode=0o600)
    replace_bytes(to / HEADS, heads, mode=0o600)
    shutil.rmtree(made)
    return n


def restore(config: Config, backup: Path) -> int:
    """Put a backup's journal in place of the box's, and the films and objects that it lacks; returns how many.

    What was there of journal and `audit.heads` stays beside them under a name with the time. A box that has no journal
    gets the backup's key and certificates too. UsageError where the box is served, or the backup is none or another
    box's.
    """
    root = config.root
    if not root.is_dir():
        raise UsageError("the folder of box.root is not there: make the box with `bmd-edge clinic init`")
    if not (backup / JOURNAL).is_file():
        raise UsageError("that folder holds no backup: name one of `bmd-edge clinic backup`")
    if config.door.dicom and listens(address(config.door.dicom)[1]):
        raise UsageError(_SERVED.format("Orthanc answers"))
    with hold(root, _SERVED):
        if (root / JOURNAL).exists():
            _check_same_box(root, backup)
        else:
            for name in (PATIENT_KEY, *(f"{_TLS}/{path.name}" for path in _files(backup / _TLS))):
                copy_file(backup / name, root / name, mode=0o600)
        n = sum(_copy_missing(backup, root, name) for name in _KEPT)
        _put_aside(root)
        for name in (HEADS, JOURNAL):
            copy_file(backup / name, root / name, mode=0o600)
        with closing(Journal(root)) as journal:
            journal.record("restored")
    return n


def _check_same_box(root: Path, backup: Path) -> None:
    """The key tells boxes apart; with another box's every known film would be a conflict."""
    mine, theirs = root / PATIENT_KEY, backup / PATIENT_KEY
    if mine.is_file() and theirs.is_file() and mine.read_bytes() != theirs.read_bytes():
        raise UsageError("that folder holds the backup of another box: its patient.key differs")


def _put_aside(root: Path) -> None:
    """With the log of a journal that is not there SQLite would change the next one."""
    when = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    for path in [*sorted(root.glob(f"{JOURNAL}*")), root / HEADS]:
        if path.is_file() and path.name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", HEADS):
            path.rename(path.with_name(f"before-{when}-{path.name}"))


def _files(folder: Path) -> Iterator[Path]:
    """The finished files of a folder."""
    if folder.is_dir():
        yield from sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def _copy_missing(source: Path, to: Path, name: str) -> int:
    """Copy the files of a folder that are not there, or not whole; returns how many."""
    (to / name).mkdir(mode=0o700, exist_ok=True)
    n = 0
    for path in _files(source / name):
        copy = to / name / path.name
        try:
            if name == _TLS or not copy.is_file() or copy.stat().st_size != path.stat().st_size:
                copy_file(path, copy, mode=0o600)
                n += 1
        except FileNotFoundError:  # removed meanwhile, after keep_days
            continue
    return n
