"""Deliveries of the journal, one archive a thread: what is due is sent, and what the archive says is written down."""

import hashlib
import logging
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from time import monotonic

from bmd_edge.clinic.config import RESOURCES, Config, Destination, host_of, port_of
from bmd_edge.clinic.delivery.answers import Answer, Next, Unreachable, delay_s
from bmd_edge.clinic.delivery.commitment import Reports
from bmd_edge.clinic.delivery.dicom import DicomArchive, dicom_archive
from bmd_edge.clinic.delivery.fhir import FhirRecord, fhir_record
from bmd_edge.clinic.delivery.stow import StowArchive, stow_archive
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.deliveries import Delivery
from bmd_edge.clinic.journal.store import Journal

logger = logging.getLogger(__name__)

POLL_S = 0.25
PROBE_S = 20.0
"""How often the port of an archive that is down is tried, while what is to be sent waits for longer."""
_PROBE_TIMEOUT_S = 5.0
_Peer = DicomArchive | StowArchive | FhirRecord
_AT_ONCE = 50
_SILENT = "silent"
COMMIT_WITHIN_S = 600.0
"""An archive that has not reported by then is asked again."""
MOST_ASKS = 3


def deliver(config: Config, journal: Journal, name: str, stop: Event, reports: Reports) -> None:
    """Send what is due at the archive `name` until `stop` is set, and ask for commitment where reports are heard.

    Nothing goes out before an approval is named, but to an archive for tests, and nothing that names none. Whatever is
    wrong with the archive is written down and tried again; OSError, UsageError where the journal cannot be used.
    """
    failures = seen = 0
    while not stop.is_set():
        seen = _addressed(config, journal, name, seen)
        due = deliveries.lease(journal, name, _AT_ONCE) if config.delivers_to(name) else []
        if not due and not (reports.heard and _unanswered(journal, name)):
            stop.wait(POLL_S)
            continue
        try:
            with _archive(config, name, reports) as archive:
                _send(journal, archive, _whole(config.root, journal, _newest(journal, due)), stop)
                if isinstance(archive, DicomArchive) and reports.heard:
                    _ask(journal, archive, name)
            failures = 0
        except Unreachable as error:
            # One that was reached and fell silent is tried soon: the object that silenced it waits longer than that.
            failures = failures + 1 if error.answer.status != _SILENT else 1
            _put_off(journal, name, error.answer)
            logger.warning("%s: %s %s", name, error.answer.reason, error.answer.status)
            _wait(config.pacs[name], max(delay_s(failures), error.answer.wait_s), stop)


def _wait(archive: Destination, seconds: float, stop: Event) -> None:
    """Wait before an archive is tried again; no longer than until its port, if that was closed, is open.

    One whose port is open has its own reason not to take anything, and is left in peace.
    """
    end = monotonic() + seconds
    closed = seconds > PROBE_S and not _is_open(archive)
    while (left := end - monotonic()) > 0 and not stop.wait(min(left, PROBE_S) if closed else left):
        if closed and _is_open(archive):
            return


def _is_open(archive: Destination) -> bool:
    try:
        with socket.create_connection((host_of(archive), port_of(archive)), timeout=_PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False


def _addressed(config: Config, journal: Journal, name: str, seen: int) -> int:
    """Address objects to the archive where any is newer than `seen`, for that looks at all; returns the newest."""
    newest = deliveries.newest_object(journal)
    if newest != seen and config.delivers_to(name):
        wanted = config.pacs[name]
        deliveries.address(journal, name, wanted.kinds, wanted.commit, config.pacs[name].test)
    return newest


@contextmanager
def _archive(config: Config, name: str, reports: Reports) -> Iterator[_Peer]:
    wanted = config.pacs[name]
    if wanted.kind == "stow":
        with stow_archive(config, wanted) as stow:
            yield stow
    elif wanted.kind == RESOURCES:
        with fhir_record(config, wanted) as record:
            yield record
    else:
        with dicom_archive(config, wanted, reports.take) as dicom:
            yield dicom


def _newest(journal: Journal, due: list[Delivery]) -> list[Delivery]:
    """Without the resources of results that have a newer version: it has the same ids, and must not be undone."""
    kept = []
    for one in due:
        if one.kind == RESOURCES and deliveries.is_replaced(journal, one):
            deliveries.sent(journal, one.uid, one.destination, "replaced")
        else:
            kept.append(one)
    return kept


def _whole(root: Path, journal: Journal, due: list[Delivery]) -> list[Delivery]:
    """Those whose files are what was made; the others are held."""
    whole = []
    for one in due:
        path = root / one.path
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == one.sha256:
            whole.append(one)
        else:
            deliveries.hold(journal, one.uid, one.destination, "", "damaged")
    return whole


def _send(journal: Journal, archive: _Peer, due: list[Delivery], stop: Event) -> None:
    """Write down each answer as it comes.

    An object at which the archive fell silent waits longer than those behind it: it may be what silenced it. Where the
    archive asks to be left in peace, none of them is sent before that is over.
    """
    for one, answer in archive.send(due):
        logger.info("object %s to %s: %s %s", one.uid[-16:], one.destination, answer.next.value, answer.status)
        if answer.next is Next.SENT:
            deliveries.sent(journal, one.uid, one.destination, answer.status)
        elif answer.next is Next.HOLD:
            deliveries.hold(journal, one.uid, one.destination, answer.status, answer.reason)
        else:
            again = journal.clock() + max(delay_s(one.tries + 1), answer.wait_s)
            deliveries.try_again(journal, one.uid, one.destination, answer.status, answer.reason, again)
        if answer.reason == "pacs_down":
            raise Unreachable("pacs_down", _SILENT)
        if answer.wait_s:
            raise Unreachable(answer.reason, answer.status, wait_s=answer.wait_s)
        if stop.is_set():
            return  # what is left is leased, and due again after the next start


def _put_off(journal: Journal, name: str, answer: Answer) -> None:
    """Put back what is leased: until the archive is tried again, or until somebody releases it."""
    leased = [one for one in deliveries.in_state(journal, "sending") if one.destination == name]
    with journal.change():
        for one in leased:
            if answer.next is Next.HOLD:
                deliveries.hold(journal, one.uid, name, answer.status, answer.reason)
            else:
                deliveries.try_again(journal, one.uid, name, answer.status, answer.reason, journal.clock())


# -- storage commitment -------------------------------------------------------------------------------------------


def _unanswered(journal: Journal, name: str) -> list[Delivery]:
    """Objects that the archive has and was not asked about, or did not answer for in time."""
    return deliveries.uncommitted(journal, name, journal.clock() - COMMIT_WITHIN_S)


def _ask(journal: Journal, archive: DicomArchive, name: str) -> None:
    waiting = _unanswered(journal, name)
    for one in waiting:
        if one.asks >= MOST_ASKS:
            deliveries.hold(journal, one.uid, name, "", "no_commitment")
    asked = [one for one in waiting if one.asks < MOST_ASKS]
    if asked:
        transaction = f"2.25.{uuid.uuid4().int}"  # nobody else can know it, and so answer in the archive's place
        deliveries.asked(journal, (one.uid for one in asked), name, transaction)  # before it can be answered
        archive.ask(asked, transaction)
