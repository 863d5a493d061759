"""What an archive's answer means for an object, and when it is sent again."""

import random
from dataclasses import dataclass
from enum import Enum

_STORED = {0x0000, 0xB000, 0xB006, 0xB007, 0x0111}
"""PS3.4 B.2.3: success, and warnings with which it is stored; 0111 is "already there", and then those are our bytes."""
_LATER = {0x0110, 0x0213}
"""PS3.7 C: processing failure and resource limitation say nothing about the object."""
_DELAYS_S = (5, 15, 60, 300, 900)
_JITTER = 0.2


class Next(Enum):
    """What is done with an object: it is there, it is sent again, or it waits for a person."""

    SENT = "sent"
    AGAIN = "again"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Answer:
    """What becomes of an object; `status` as it was said, `reason` a key of `REASONS` where it is not there.

    wait_s: it is not sent again sooner, for the archive has asked for so many seconds.
    """

    next: Next
    status: str
    reason: str = ""
    wait_s: float = 0.0


REASONS = {
    "pacs_down": ("The archive cannot be reached or does not answer.", "It is tried again until it answers."),
    "tls": (
        "The archive's certificate is not accepted, or it does not accept this box's.",
        "Check tls and ca in clinic.toml, and the certificates' days; it is tried again meanwhile.",
    ),
    "pacs_busy": ("The archive has no room or no time for it.", "It is tried again until there is."),
    "refused_by_pacs": (
        "The archive refuses the object.",
        "Ask who runs the archive, with the status; then `bmd-edge clinic send --held`.",
    ),
    "rejected": (
        "The archive rejects this box.",
        "Have its AE title and address entered there; then `bmd-edge clinic send --held`.",
    ),
    "not_authorized": (
        "The archive does not let this box in.",
        "Have the box's certificate (box.crt) entered there; then `bmd-edge clinic send --held`.",
    ),
    "other_fhir": (
        "The record speaks another version of FHIR than R4.",
        "Name the address of its FHIR R4 in clinic.toml.",
    ),
    "no_client_ids": (
        "The record takes no resource under an id that it has not given itself.",
        "Have it allow that (FHIR: update as create); then `bmd-edge clinic send --held`.",
    ),
    "conflict": (
        "The record says that somebody else has changed the same resource, twice in a row.",
        "Find out who else writes there under these ids; then `bmd-edge clinic send --held`.",
    ),
    "version_wanted": (
        "The record takes a resource only with the version that it is to replace.",
        "Have it take updates without If-Match from this box; then `bmd-edge clinic send --held`.",
    ),
    "no_context": (
        "The archive takes no objects of this kind.",
        "Have it take this SOP class, or name other objects in clinic.toml; then `bmd-edge clinic send --held`.",
    ),
    "no_answer_of_an_archive": (
        "What answers at the address of the archive is none.",
        "Check the url in clinic.toml; then `bmd-edge clinic send --held`.",
    ),
    "damaged": (
        "The object's file is missing or is not what was made.",
        "Check the disk, and restore the outbox from the backup; then `bmd-edge clinic send --held`.",
    ),
    "not_committed": ("The archive does not commit to keeping the object.", "Ask who runs it, with the status."),
    "no_commitment": (
        "The archive took the object and does not say that it keeps it.",
        "Have this box's AE title and the port of commitment.bind entered there; then `bmd-edge clinic send --held`.",
    ),
}
"""Why an object is not where it is to go: reason -> sentence, remedy."""


def answer_to(status: int | None) -> Answer:
    """The answer to a C-STORE request, or a Failure Reason of STOW-RS; None is no answer."""
    if status is None:
        return Answer(Next.AGAIN, "", "pacs_down")
    code = f"{status:04X}"
    if status in _STORED:
        return Answer(Next.SENT, code)
    if status >> 8 == 0xA7 or status in _LATER:
        return Answer(Next.AGAIN, code, "pacs_busy")
    return Answer(Next.HOLD, code, "refused_by_pacs")


def delay_s(tries: int) -> float:
    """Seconds until the next try, after so many that failed: 5 s to 15 min, a fifth more or less."""
    delay = _DELAYS_S[min(max(tries, 1), len(_DELAYS_S)) - 1]
    return delay * random.uniform(1 - _JITTER, 1 + _JITTER)


class Unreachable(Exception):
    """No object can be sent to an archive now; `permanent` where that will not change by itself.

    wait_s: for so many seconds the archive has asked to be left in peace.
    """

    def __init__(self, reason: str, status: str = "", permanent: bool = False, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.answer = Answer(Next.HOLD if permanent else Next.AGAIN, status, reason, wait_s)
