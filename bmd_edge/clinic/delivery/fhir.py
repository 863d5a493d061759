"""Resources to a record by FHIR R4 (its RESTful API, "update as create"): each is PUT under the id it has.

Sent again they change nothing; a new version of a film's result takes the place of the one before.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bmd_edge.clinic.config import Config, Destination
from bmd_edge.clinic.delivery.answers import Answer, Next, answer_to
from bmd_edge.clinic.delivery.http import HttpPeer, Response, http_peer
from bmd_edge.clinic.journal.deliveries import Delivery
from bmd_edge.clinic.objects.fhir import written

_JSON = "application/fhir+json"


class FhirRecord:
    """The record behind `peer`, whose url is the base of its resources."""

    def __init__(self, peer: HttpPeer, root: Path) -> None:
        self._peer, self._root = peer, root

    def send(self, objects: Iterable[Delivery]) -> Iterator[tuple[Delivery, Answer]]:
        """Send the resources of each film, the report last; a film counts as sent with all of its resources."""
        for one in objects:
            yield one, self._answer(one)

    def _answer(self, one: Delivery) -> Answer:
        said = json.loads((self._root / one.path).read_bytes(), parse_float=Decimal)
        answer = Answer(Next.HOLD, "", "damaged")  # of a file without resources, which is never made
        for resource in (entry["resource"] for entry in said["entry"]):
            answer = self._put(resource)
            if answer.next is not Next.SENT:
                return answer
        return answer

    def _put(self, resource: dict[str, Any]) -> Answer:
        place = f"{resource['resourceType']}/{resource['id']}"
        headers = {"Content-Type": f"{_JSON}; charset=utf-8", "Accept": _JSON, "Prefer": "return=representation"}
        response = self._peer.ask("PUT", f"{self._peer.path}/{place}", written(resource).encode(), headers)
        return answer_to(None) if response is None else _meaning(response, place)


def _meaning(response: Response, place: str) -> Answer:
    """200 replaced or 201 made, where the answer is of that very resource; a login page would pass for success."""
    status = str(response.status)
    if response.later:
        return Answer(Next.AGAIN, status, "pacs_busy", response.wait_s)
    if response.status not in (200, 201):
        return Answer(Next.HOLD, status, response.refusal)
    said = response.said()
    named = isinstance(said, dict) and f"{said.get('resourceType')}/{said.get('id')}" == place
    locations = (response.headers.get(name) or "" for name in ("Location", "Content-Location"))
    if named or any(_is_of(one, place) for one in locations):  # it need not give the resource back
        return Answer(Next.SENT, status)
    return Answer(Next.HOLD, status, "no_answer_of_an_archive")


def _is_of(location: str, place: str) -> bool:
    """Whether an address is that of a resource, in whichever version; a login page has it behind its question mark."""
    try:
        path = urlsplit(location).path
    except ValueError:
        return False
    return bool(re.search(rf"(^|/){re.escape(place)}(/_history/[^/]+)?$", path))


@contextmanager
def fhir_record(config: Config, destination: Destination) -> Iterator[FhirRecord]:
    """Connect to the record; Unreachable where that fails."""
    with http_peer(config, destination) as peer:
        yield FhirRecord(peer, config.root)
