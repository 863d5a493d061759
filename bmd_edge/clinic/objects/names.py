"""UIDs that follow from what an object says: the same answer to the same film has the same UID, wherever it is made."""

import hashlib
import json

from bmd_edge.report.film_report import FilmReport
from bmd_edge.version import __version__

_FACTS = (
    "status", "reason", "pixel_digest", "spacing_mm", "age_years", "sex", "view",
    "bundle_digest", "recalibration", "precision",
)  # fmt: skip


def answer_key(report: FilmReport, sop_instance_uid: str, approval: str | None) -> str:
    """Name what a report says of a film and what it rests on: 64 hex digits.

    The film's own UID and its pixels whatever their compression, the facts of the header that the answer used, bundle
    and recalibration, the program's version, and the approval that stands in the objects. Neither time nor place, nor
    the transfer syntax: a film that comes again by another way has the same name.
    """
    facts = [getattr(report, name) for name in _FACTS]
    hips = [(hip.side, hip.status, hip.reason) for hip in report.hips]
    said = [__version__, sop_instance_uid, approval, facts, hips]
    return hashlib.sha256(json.dumps(said, separators=(",", ":")).encode()).hexdigest()


def uid(*parts: str) -> str:
    """A UID of 128 bits of the SHA-256 of `parts`, as PS3.5 B.2 derives one from a UUID: `2.25.` and the integer."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"
