"""Objects to an archive by STOW-RS (PS3.18 10.5), one request for each.

Stored is what the answer names as stored: a login page, a proxy or an empty 202 would pass for success.
"""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bmd_edge.clinic.config import Config, Destination
from bmd_edge.clinic.delivery.answers import Answer, Next, answer_to
from bmd_edge.clinic.delivery.http import HttpPeer, Response, http_peer
from bmd_edge.clinic.journal.deliveries import Delivery

_JSON = "application/dicom+json"
_STORED, _FAILED, _UID, _REASON = "00081199", "00081198", "00081155", "00081197"


class StowArchive:
    """The archive behind `peer`, whose url may end with its studies."""

    def __init__(self, peer: HttpPeer, root: Path) -> None:
        self._peer, self._root = peer, root
        self._path = peer.path if peer.path.endswith("/studies") else f"{peer.path}/studies"

    def send(self, objects: Iterable[Delivery]) -> Iterator[tuple[Delivery, Answer]]:
        """Send the objects' files as they are."""
        for one in objects:
            yield one, self._answer(one)

    def _answer(self, one: Delivery) -> Answer:
        boundary = secrets.token_hex(16)
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        response = self._posted(boundary, head + (self._root / one.path).read_bytes() + b"\r\n")
        return answer_to(None) if response is None else _meaning(response, one.uid)

    def look(self) -> Answer:
        """Whether objects could be sent, as far as a request without any can tell."""
        response = self._posted(secrets.token_hex(16), b"")
        return answer_to(None) if response is None else _there(response)

    def _posted(self, boundary: str, parts: bytes) -> Response | None:
        headers = {
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
            "Accept": _JSON,
        }
        return self._peer.ask("POST", self._path, parts + f"--{boundary}--\r\n".encode(), headers)


def _meaning(response: Response, uid: str) -> Answer:
    """PS3.18 10.5.3: 200 all stored, 202 some, 409 none; which, says the data set."""
    status = response.status
    if response.later:
        return Answer(Next.AGAIN, str(status), "pacs_busy", response.wait_s)
    said = response.said()
    try:
        stored, failed = (_uids(said, tag) for tag in (_STORED, _FAILED))
    except (KeyError, TypeError, AttributeError, IndexError):
        stored, failed = {}, {}
    if uid in stored:
        return Answer(Next.SENT, str(status))
    if uid in failed and isinstance(failed[uid], int):
        return answer_to(failed[uid])
    if status in (200, 202):
        return Answer(Next.HOLD, str(status), "no_answer_of_an_archive")
    return Answer(Next.HOLD, str(status), response.refusal)


def _there(response: Response) -> Answer:
    """An archive finds fault with a request that holds nothing, or stores nothing; and some fall ill at it (500)."""
    status = str(response.status)
    if response.later and response.status != 500:
        return Answer(Next.AGAIN, status, "pacs_busy", response.wait_s)
    if response.refusal != "refused_by_pacs":
        return Answer(Next.HOLD, status, response.refusal)
    is_page = response.status < 300 and response.headers.get_content_type() == "text/html"
    if is_page or response.status == 405:  # a login page, or a server of pages alone
        return Answer(Next.HOLD, status, "no_answer_of_an_archive")
    return Answer(Next.SENT, status)


def _uids(said: Any, tag: str) -> dict[str, Any]:
    items = said.get(tag, {}).get("Value", [])
    return {item[_UID]["Value"][0]: item.get(_REASON, {}).get("Value", [None])[0] for item in items}


@contextmanager
def stow_archive(config: Config, destination: Destination) -> Iterator[StowArchive]:
    """Connect to the archive; Unreachable where that fails."""
    with http_peer(config, destination) as peer:
        yield StowArchive(peer, config.root)
