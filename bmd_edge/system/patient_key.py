"""The key of the patients' pseudonyms: a file of the user's configuration folder, made at first use."""

import hashlib
import os
import secrets
from pathlib import Path

from bmd_edge.errors import UsageError
from bmd_edge.system.places import configuration

_BYTES = 32


def patient_key(path: Path | None = None) -> bytes | None:
    """The key in `path`, by default that of the user, made if it is missing; None where it cannot be kept.

    Without it pseudonyms could be undone by trying every patient ID, so the file is its owner's alone (0600).
    """
    try:
        path = path or configuration() / "patient.key"
    except UsageError:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = secrets.token_hex(_BYTES)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(made + "\n")
    except FileExistsError:
        pass
    except OSError:
        return None
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return key if len(key) == _BYTES else None


def fingerprint(key: bytes) -> str:
    """What tells one key from another and gives neither away: 16 hex digits."""
    return hashlib.sha256(b"bmd-edge patient key" + key).hexdigest()[:16]
