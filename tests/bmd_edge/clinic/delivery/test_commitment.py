"""The port that archives report commitments to: whom it believes, and what."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_role
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel

from bmd_edge.clinic.delivery.commitment import Reports, listening
from bmd_edge.clinic.journal import deliveries
from tests.bmd_edge.clinic.delivery.archives import TITLE, Archive
from tests.bmd_edge.clinic.delivery.conftest import Served
from tests.support.clinic import free_port

Make = Callable[..., Served]
INSTANCE = "1.2.840.10008.1.20.1.1"


@pytest.fixture
def asked(served: Make) -> Served:
    """A box that has asked, in transaction 2.25.7, about all of its four objects."""
    box = served(f'{Archive(free_port()).lines(", commit = true")}\n[commitment]\nbind = "127.0.0.1:{free_port()}"')
    deliveries.address(box.journal, "main", ["sr", "sc"], True)
    deliveries.lease(box.journal, "main")
    for one in box.objects:
        deliveries.sent(box.journal, one.uid, "main", "0000")
    deliveries.asked(box.journal, [one.uid for one in box.objects], "main", "2.25.7")
    return box


@contextmanager
def reporting(box: Served, calling: str = TITLE, called: str = "BMDEDGE") -> Iterator[Association]:
    entity = AE(calling)
    entity.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    with listening(box.config, Reports(box.journal)):
        port = int(box.config.commitment.bind.rpartition(":")[2])
        association = entity.associate("127.0.0.1", port, ae_title=called, ext_neg=[role])
        try:
            yield association
        finally:
            if association.is_established:
                association.release()


def report(transaction: str, kept: list[str], failed: dict[str, int] | None = None) -> Dataset:
    said = Dataset()
    said.TransactionUID = transaction
    said.ReferencedSOPSequence = [_item(uid) for uid in kept]
    if failed:
        said.FailedSOPSequence = [_item(uid, reason) for uid, reason in failed.items()]
    return said


def _item(uid: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", uid
    if reason is not None:
        item.FailureReason = reason
    return item


def told(association: Association, said: Dataset) -> int:
    event = 2 if "FailedSOPSequence" in said else 1
    status, _ = association.send_n_event_report(said, event, StorageCommitmentPushModel, INSTANCE)
    return int(status.Status)


def test_what_is_kept_is_committed_and_what_is_missing_is_sent_once_more(asked: Served) -> None:
    kept, missing, refused, _ = (one.uid for one in asked.objects)
    with reporting(asked) as association:
        assert told(association, report("2.25.7", [kept], {missing: 0x0112, refused: 0x0119})) == 0
        assert asked.states() == {
            "committed 0000": 1,
            "ready not_committed 0112": 1,
            "held not_committed 0119": 1,
            "sent 0000": 1,
        }


@pytest.mark.parametrize("transaction", ["2.25.8", ""])
def test_a_report_of_another_transaction_changes_nothing(transaction: str, asked: Served) -> None:
    with reporting(asked) as association:
        told(association, report(transaction, [one.uid for one in asked.objects]))
    assert asked.states() == {"sent 0000": 4}


def test_an_unasked_object_is_not_committed_by_an_empty_name(asked: Served) -> None:
    with asked.journal.change() as db:
        db.execute("UPDATE delivery SET asked=''")
    with reporting(asked) as association:
        told(association, report("", [one.uid for one in asked.objects]))
    assert asked.states() == {"sent 0000": 4}


def test_a_report_that_cannot_be_read_changes_nothing(asked: Served) -> None:
    nameless = report("2.25.7", [one.uid for one in asked.objects])
    del nameless.TransactionUID
    with reporting(asked) as association:
        assert told(association, nameless) == 0x0110
    assert asked.states() == {"sent 0000": 4}


@pytest.mark.parametrize("names", [("STRANGER", "BMDEDGE"), (TITLE, "OTHER")])
def test_a_stranger_is_rejected(names: tuple[str, str], asked: Served) -> None:
    with reporting(asked, *names) as association:
        assert association.is_rejected
