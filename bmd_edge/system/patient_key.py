"""The key of the patients' pseudonyms: a file of the user's configuration folder, made at first use.

Machines that are to give a patient one pseudonym share it on purpose, by a file.
"""

import hashlib
import os
import secrets
from pathlib import Path

from bmd_edge.errors import UsageError
from bmd_edge.system.files import NotRegular, TooLarge, read_file, replace_bytes, sync
from bmd_edge.system.places import configuration

_BYTES = 32
_MOST_BYTES = 2 * _BYTES + 2  # of its file, whatever ends the line


def key_file() -> Path:
    """Where the user's key lies."""
    return configuration() / "patient.key"


def patient_key(path: Path | None = None) -> bytes | None:
    """The key in `path`, by default that of the user, made if it is missing; None where it cannot be kept.

    Without it pseudonyms could be undone by trying every patient ID, so the file is its owner's alone (0600).
    """
    try:
        path = path or key_file()
    except UsageError:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path, secrets.token_bytes(_BYTES))
    except FileExistsError:
        pass
    except OSError:
        return None
    return _read(path)


def kept_key() -> bytes | None:
    """The user's key; None where there is none yet, or it cannot be read."""
    return _read(key_file())


def export_key(file: Path, path: Path | None = None) -> bytes:
    """Write the user's key, or that in `path`, to a new `file` (0600); returns it.

    Raises UsageError where there is such a file already, or no key can be kept; OSError if it cannot be written.
    """
    key = patient_key(path or key_file())
    if key is None:
        raise UsageError("the key in the configuration folder cannot be read or made: check its permissions")
    try:
        _make(file, key)
    except FileExistsError:
        raise UsageError(f"{str(file)!r} is there already: give another name") from None
    return key


def import_key(file: Path, path: Path | None = None, *, replace: bool = False) -> bytes:
    """Make the key in `file` that of the user, or put it in `path`; returns it.

    Raises UsageError where `file` holds none, or another key is there and not to be replaced.
    """
    path = path or key_file()
    key, own = _read(file), _read(path)
    if key is None:
        raise UsageError(f"{str(file)!r} holds no key: give one that `bmd-edge key export` has written")
    if path.exists() and own != key and not replace:
        named = f" ({fingerprint(own)})" if own else ""
        what = f"this user has another key{named}, and pseudonyms of the two do not match"
        raise UsageError(f"{what}: export it if it may be needed, then give --replace")
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, _written(key), mode=0o600)
    return key


def _make(path: Path, key: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_written(key))
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)  # a key that a power cut takes away cannot be made again


def _written(key: bytes) -> bytes:
    return key.hex().encode() + b"\n"


def _read(path: Path) -> bytes | None:
    try:
        key = bytes.fromhex(read_file(path, _MOST_BYTES, links=True).decode("ascii"))
    except (NotRegular, TooLarge, OSError, ValueError):
        return None
    return key if len(key) == _BYTES else None


def fingerprint(key: bytes) -> str:
    """What tells one key from another and gives neither away: 16 hex digits."""
    return hashlib.sha256(b"bmd-edge patient key" + key).hexdigest()[:16]
