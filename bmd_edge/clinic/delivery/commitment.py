"""The archives' word that they keep an object (storage commitment, PS3.4 J): a port that they report to.

The report comes on an association that the archive opens, so it must know this box's AE title and port.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from bmd_edge.clinic.config import Config, address
from bmd_edge.clinic.delivery.answers import delay_s
from bmd_edge.clinic.journal import deliveries
from bmd_edge.clinic.journal.store import Journal
from bmd_edge.errors import UsageError

logger = logging.getLogger(__name__)

_NOT_THERE = 0x0112
"""Failure Reason "no such object instance" (PS3.3 C.14.1.1)."""


class Reports:
    """Writes the archives' reports into the journal; `take` is the handler of pynetdicom's N-EVENT-REPORT.

    heard: whether the port is open that archives report to. Without it nobody is asked.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.heard = False

    def take(self, event: evt.Event) -> tuple[int, None]:
        """Take one report. What it says of objects that its transaction was not about, is not believed."""
        try:
            said = event.event_information
            transaction = str(said.TransactionUID)
            kept = {str(item.ReferencedSOPInstanceUID) for item in said.get("ReferencedSOPSequence") or ()}
            failed = {
                str(item.ReferencedSOPInstanceUID): int(item.FailureReason)
                for item in said.get("FailedSOPSequence") or ()
            }
        except Exception as error:  # noqa: BLE001 - a stranger's data set
            logger.warning("a commitment report cannot be read: %s", type(error).__name__)
            return 0x0110, None
        for one in deliveries.asked_in(self._journal, transaction):
            if one.uid in kept:
                deliveries.committed(self._journal, one.uid, one.destination)
            elif one.uid in failed:
                self._failed(one, failed[one.uid])
        return 0x0000, None

    def _failed(self, one: deliveries.Delivery, reason: int) -> None:
        """An object that the archive does not have is sent once more."""
        status = f"{reason:04X}"
        if reason == _NOT_THERE and one.asks < 2:
            again = self._journal.clock() + delay_s(1)
            deliveries.try_again(self._journal, one.uid, one.destination, status, "not_committed", again)
        else:
            deliveries.hold(self._journal, one.uid, one.destination, status, "not_committed")


@contextmanager
def listening(config: Config, reports: Reports) -> Iterator[str]:
    """Answer the archives of `clinic.toml` that are asked for commitment while the block runs; yields where.

    UsageError where the port is taken.
    """
    callers = [one.ae_title for one in config.pacs.values() if one.commit]
    if not callers:
        yield ""
        return
    entity = AE(ae_title=config.box.ae_title)
    entity.require_called_aet = True
    entity.require_calling_aet = callers
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    bind = config.commitment.bind
    try:
        server = entity.start_server(address(bind), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, reports.take)])
    except OSError as error:
        raise UsageError(f"commitment.bind {bind}: {error.strerror}; name another address in clinic.toml") from None
    assert server is not None
    reports.heard = True
    try:
        yield bind
    finally:
        reports.heard = False
        server.shutdown()
