"""The head of the chain of events, written down beside the journal: rows that somebody took off its end are missed.

`audit.heads` in the box's root, a line for each: number of the event, its link of the chain, the time. Each line goes
to the log too, which on a clinic's machine another user keeps.
"""

import logging
import os
import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bmd_edge.clinic.journal.store import Journal

logger = logging.getLogger(__name__)

NAME = "audit.heads"
_LINE = re.compile(r"(\d+) ([0-9a-f]{64}) \S+")


def note_head(root: Path, journal: Journal) -> None:
    """Add a line for the newest event, on the disk when it is left; nothing where the last line is of it."""
    newest = journal.rows("SELECT n, chain FROM event ORDER BY n DESC LIMIT 1")
    if not newest or (newest[0]["n"], newest[0]["chain"]) in heads(root)[-1:]:
        return
    n, chain = newest[0]["n"], newest[0]["chain"]
    when = datetime.fromtimestamp(journal.clock(), UTC).isoformat(timespec="seconds")
    with open(root / NAME, "ab", opener=partial(os.open, mode=0o600)) as file:
        # Between line feeds: one before it that a power cut has torn must not take it along.
        file.write(f"\n{n} {chain} {when}\n".encode())
        file.flush()
        os.fsync(file.fileno())
    logger.info("audit: event %d ends the chain with %s", n, chain)


def heads(root: Path) -> list[tuple[int, str]]:
    """Number and link of each line, in its order; a line that a power cut has torn is left out."""
    try:
        text = (root / NAME).read_text("ascii", "replace")
    except FileNotFoundError:
        return []
    found = map(_LINE.fullmatch, text.splitlines())
    return [(int(one[1]), one[2]) for one in found if one]


def lost_head(root: Path, journal: Journal) -> int | None:
    """The number of the first line whose event is not in the journal as it was; None where all are."""
    for n, chain in heads(root):
        row = journal.rows("SELECT chain FROM event WHERE n=?", n)
        if not row or row[0]["chain"] != chain:
            return n
    return None
