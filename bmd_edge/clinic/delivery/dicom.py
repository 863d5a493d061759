"""Objects to an archive by C-STORE, and the question whether it keeps them (storage commitment, PS3.4 J)."""

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, _config, build_context, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import StorageCommitmentPushModel  # type: ignore[attr-defined]

from bmd_edge.clinic.config import Config, Destination
from bmd_edge.clinic.delivery.answers import Answer, Next, Unreachable, answer_to
from bmd_edge.clinic.journal.deliveries import Delivery
from bmd_edge.clinic.objects.make import SOP_CLASSES

CONNECT_S, ANSWER_S = 10.0, 30.0
"""How long a connection may take, and an answer."""
_OBJECT_S = 60.0  # for all of an object, however slowly its bytes go
_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"  # PS3.4 J.3.5: well-known


class DicomArchive:
    """An association with the archive `name` of `clinic.toml`, as long as the context lasts.

    `on_report` is told of commitments that the archive answers on this association; most open one of their own.
    """

    def __init__(self, association: Association, root: Path) -> None:
        self._association, self._root = association, root

    def send(self, objects: Iterable[Delivery]) -> Iterator[tuple[Delivery, Answer]]:
        """Send the objects' bytes as they are; a peer that is gone answers the rest as Unreachable does."""
        for one in objects:
            yield one, self._answer(one)

    def _answer(self, one: Delivery) -> Answer:
        if not self._association.is_established:
            return answer_to(None)
        classes = [context.abstract_syntax for context in self._association.accepted_contexts]
        if SOP_CLASSES[one.kind] not in classes:
            return Answer(Next.HOLD, "", "no_context")
        _config.STORE_SEND_CHUNKED_DATASET = True  # the file's own bytes: decoded and encoded anew they could differ
        with self._deadline(_OBJECT_S):
            try:
                status = self._association.send_c_store(self._root / one.path)
            except RuntimeError:  # it ended between the question and the sending
                return answer_to(None)
        # Without an answer the status is a data set without elements.
        return answer_to(int(status.Status) if "Status" in status else None)

    def ask(self, objects: Iterable[Delivery], transaction: str) -> None:
        """Ask for storage commitment of objects that are there; the answer comes later and names `transaction`.

        Unreachable where the archive takes no such question.
        """
        wanted = Dataset()
        wanted.TransactionUID = transaction
        wanted.ReferencedSOPSequence = [_reference(one) for one in objects]
        with self._deadline(_OBJECT_S):
            try:
                status, _ = self._association.send_n_action(wanted, 1, StorageCommitmentPushModel, _COMMITMENT_INSTANCE)
            except (RuntimeError, ValueError):
                raise Unreachable("no_commitment") from None
        if "Status" not in status or status.Status:
            raise Unreachable("no_commitment", f"{status.Status:04X}" if "Status" in status else "")

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Cut the connection of a peer that goes on for longer; each byte of a slow one restarts the others' clocks."""
        timer = Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        held = self._association.dul.socket
        if held is not None and held.socket is not None:
            with suppress(OSError):
                held.socket.shutdown(socket.SHUT_RDWR)


def _reference(one: Delivery) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = SOP_CLASSES[one.kind], one.uid
    return item


@contextmanager
def dicom_archive(
    config: Config, destination: Destination, on_report: Callable[[evt.Event], Any]
) -> Iterator[DicomArchive]:
    """Open an association; Unreachable where there is none."""
    wanted = [build_context(SOP_CLASSES[kind], ExplicitVRLittleEndian) for kind in destination.kinds]
    if destination.commit:
        wanted.append(build_context(StorageCommitmentPushModel))
    with associated(config, destination, wanted, [(evt.EVT_N_EVENT_REPORT, on_report)]) as association:
        yield DicomArchive(association, config.root)


@contextmanager
def associated(
    config: Config,
    destination: Destination,
    wanted: list[PresentationContext],
    handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], Any]]] = (),
) -> Iterator[Association]:
    """An association with an archive while the block runs, by TLS where it says so; Unreachable without one."""
    entity = AE(ae_title=config.box.ae_title)
    entity.connection_timeout, entity.acse_timeout = CONNECT_S, ANSWER_S
    entity.dimse_timeout = entity.network_timeout = ANSWER_S
    failures: list[str] = []
    association = entity.associate(
        destination.host,
        destination.port,
        wanted,
        ae_title=destination.ae_title,
        tls_args=_tls(config, destination, failures),
        evt_handlers=list(handlers),
    )
    if not association.is_established:
        raise _refusal(association, failures)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def _refusal(association: Association, failures: list[str]) -> Unreachable:
    """PS3.8 9.3.4: a rejection is permanent (1) or transient (2)."""
    if failures:
        return Unreachable("tls", failures[-1])
    said = association.acceptor.primitive
    if not association.is_rejected or said is None:
        none_taken = bool(association.rejected_contexts)
        return Unreachable("no_context" if none_taken else "pacs_down", permanent=none_taken)
    status = f"reject {said.result}/{said.result_source}/{said.diagnostic}"
    return Unreachable("rejected", status, permanent=said.result == 1)


def _tls(config: Config, destination: Destination, failures: list[str]) -> tuple[ssl.SSLContext, str] | None:
    """What pynetdicom wants for TLS. Why TLS fails it only logs: `failures` is told."""
    if not destination.tls:
        return None

    class Telling(ssl.SSLSocket):
        def do_handshake(self, block: bool = False) -> None:
            with told():
                super().do_handshake(block)

        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:  # where TLS 1.3 says that a certificate is refused
            with told():
                return super().recv(buflen, flags)

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except ssl.SSLError as error:
            failures.append(error.reason or type(error).__name__)
            raise

    context = tls_context(config, destination)
    context.sslsocket_class = Telling
    return context, destination.host


def tls_context(config: Config, destination: Destination) -> ssl.SSLContext:
    """TLS 1.2 or later, with this box's certificate; the archive's must be of its authority and bear its name.

    Unreachable where a file of it cannot be used.
    """
    root = config.root
    try:
        context = ssl.create_default_context(cafile=str(root / destination.ca) if destination.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if (root / config.tls.certificate).exists():
            context.load_cert_chain(root / config.tls.certificate, root / config.tls.key)
    except (OSError, ssl.SSLError) as error:
        raise Unreachable("tls", type(error).__name__) from None
    return context
