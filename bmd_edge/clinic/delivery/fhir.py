"""Resources to a record by FHIR R4 (its RESTful API, "update as create"): each is PUT under the id it has.

Sent again they change nothing; a new version of a film's result takes the place of the one before.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
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


_HELD = {405: "no_client_ids", 412: "version_wanted", 428: "version_wanted"}
"""What a record does not take from this box however often it is sent (FHIR R4, RESTful API 3.1.0.4, 3.1.0.5)."""
_OF_NOBODY = "bmd-edge-doctor"
"""Id of a resource that no box has made."""


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
            if answer.reason == "conflict" and one.reason == "conflict":
                return replace(answer, next=Next.HOLD)
            if answer.next is not Next.SENT:
                return answer
        return answer

    def look(self) -> Answer:
        """Whether resources could be sent, as far as that can be seen without sending one.

        The record says what it is and takes (FHIR R4, RESTful API 3.1.0.12), and lets this box ask for an Observation.
        """
        for path, meaning in (("metadata", _capable), (f"Observation/{_OF_NOBODY}", _lets_in)):
            response = self._peer.ask("GET", f"{self._peer.path}/{path}", b"", {"Accept": _JSON})
            answer = answer_to(None) if response is None else meaning(response)
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
    if response.status == 409:  # two who write at once; the next time is the only one
        return Answer(Next.AGAIN, status, "conflict")
    if response.status not in (200, 201):
        return Answer(Next.HOLD, status, _HELD.get(response.status, response.refusal))
    said = response.said()
    named = isinstance(said, dict) and f"{said.get('resourceType')}/{said.get('id')}" == place
    locations = (response.headers.get(name) or "" for name in ("Location", "Content-Location"))
    if named or any(_is_of(one, place) for one in locations):  # it need not give the resource back
        return Answer(Next.SENT, status)
    return Answer(Next.HOLD, status, "no_answer_of_an_archive")


def _capable(response: Response) -> Answer:
    """The answer to the question for a CapabilityStatement."""
    status = str(response.status)
    if response.later:
        return Answer(Next.AGAIN, status, "pacs_busy", response.wait_s)
    said = response.said()
    if response.status != 200 or not isinstance(said, dict) or said.get("resourceType") != "CapabilityStatement":
        reason = response.refusal if response.status != 200 else "no_answer_of_an_archive"
        return Answer(Next.HOLD, status, reason)
    if not str(said.get("fhirVersion", "")).startswith("4.0"):
        return Answer(Next.HOLD, status, "other_fhir")
    return Answer(Next.SENT, status) if _takes_ids(said) else Answer(Next.HOLD, status, "no_client_ids")


def _takes_ids(said: dict[str, Any]) -> bool:
    """Whether both resources are taken under the ids of a client; a record that lists none says nothing about it."""
    try:
        listed = {one["type"]: one for server in said.get("rest", ()) for one in server.get("resource", ())}
        ours = [listed.get(kind, {"updateCreate": False}) for kind in ("Observation", "DiagnosticReport")]
        return not listed or all(one.get("updateCreate", True) for one in ours)
    except (AttributeError, KeyError, TypeError):  # not of the shape that it should have
        return False


def _lets_in(response: Response) -> Answer:
    """The answer to the question for a resource that is not there: that it is not, or that it was."""
    status = str(response.status)
    if response.later:
        return Answer(Next.AGAIN, status, "pacs_busy", response.wait_s)
    if response.status in (200, 404, 410):
        return Answer(Next.SENT, status)
    return Answer(Next.HOLD, status, response.refusal)


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
