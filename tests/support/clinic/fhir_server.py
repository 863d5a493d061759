"""A FHIR R4 server that takes what a strict one would, on loopback: python -m tests.support.clinic.fhir_server PORT

PUT (update as create), GET, also of what it takes (metadata), and nothing else. Resources are checked by
fhir.resources, which knows shapes, and here for what it does not: value sets, obs-6, codes and units, ids, references.
Resources are kept as text, for their numbers.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.observation import Observation

KINDS = {"Observation": Observation, "DiagnosticReport": DiagnosticReport}
# FHIR R4's required value sets, and of the extensible ones the codes of the code system.
OBSERVATION_STATUS = {
    "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
}  # fmt: skip
REPORT_STATUS = {*OBSERVATION_STATUS, "partial", "appended"}
ABSENT = {
    "unknown", "asked-unknown", "temp-unknown", "not-asked", "asked-declined", "masked", "not-applicable",
    "unsupported", "as-text", "error", "not-a-number", "negative-infinity", "positive-infinity", "not-performed",
    "not-permitted",
}  # fmt: skip
CATEGORIES = {
    "social-history", "vital-signs", "imaging", "laboratory", "procedure", "survey", "exam", "therapy", "activity",
}  # fmt: skip
DXA = {"24701-5", "38263-0", "38261-4", "38264-8"}
"""LOINC codes of hip densities, which mean DXA."""
UNITS = {"g/cm2", "{T-score}"}


def faults(resource: dict[str, Any], known: set[str]) -> Iterator[str]:
    """What is wrong with a resource; `known` names those that the server has."""
    kind = resource.get("resourceType")
    if kind not in KINDS:
        yield f"no such resource: {kind}"
        return
    try:
        KINDS[kind].model_validate_json(json.dumps(resource))
    except ValueError as error:
        yield f"shape: {error}"
    if not re.fullmatch(r"[A-Za-z0-9\-.]{1,64}", str(resource.get("id"))):
        yield "id"
    if resource.get("status") not in (OBSERVATION_STATUS if kind == "Observation" else REPORT_STATUS):
        yield f"status {resource.get('status')}"
    for one in parts(resource):
        yield from _coded(one)
    for one in resource.get("result", ()):
        if one["reference"] not in known:
            yield f"unknown reference {one['reference']}"
    if kind == "Observation":
        for one in (resource, *resource.get("component", ())):
            if "dataAbsentReason" in one and any(name.startswith("value") for name in one):
                yield "obs-6: a value and a reason why there is none"


def _coded(one: dict[str, Any]) -> Iterator[str]:
    code, system = one.get("code"), str(one.get("system", ""))
    if system.endswith("data-absent-reason") and code not in ABSENT:
        yield f"absent reason {code}"
    if system.endswith("observation-category") and code not in CATEGORIES:
        yield f"category {code}"
    if system == "http://loinc.org" and code in DXA:
        yield "a code that means DXA"
    if "value" in one and "unit" in one and (system != "http://unitsofmeasure.org" or code not in UNITS):
        yield f"unit {code} of {system}"
    if system == "urn:dicom:uid" and not re.fullmatch(r"urn:oid:[0-2](\.(0|[1-9]\d*))+", one["value"]):
        yield f"UID {one['value']}"


def parts(one: Any) -> Iterator[dict[str, Any]]:
    """Every object within a resource, itself included."""
    if isinstance(one, dict):
        yield one
    for inner in one.values() if isinstance(one, dict) else one if isinstance(one, list) else ():
        yield from parts(inner)


class Record(BaseHTTPRequestHandler):
    """The resources by "Observation/ID", each with its version."""

    protocol_version = "HTTP/1.1"
    kept: dict[str, tuple[int, str]] = {}  # noqa: RUF012 - one server, one record

    def do_PUT(self) -> None:
        text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        place = self.path.removeprefix("/fhir/")
        if not self.headers.get("Content-Type", "").startswith("application/fhir+json"):
            return self._answer(415, outcome(["not application/fhir+json"]))
        try:
            resource = json.loads(text)
        except ValueError as error:
            return self._answer(400, outcome([str(error)]))
        if place != f"{resource.get('resourceType')}/{resource.get('id')}":
            return self._answer(400, outcome(["the id is not that of the url"]))
        if wrong := list(faults(resource, set(self.kept))):
            return self._answer(422, outcome(wrong))
        version, before = self.kept.get(place, (0, ""))
        if text != before:
            self.kept[place] = (version + 1, text)
        return self._answer(200 if version else 201, text, place)

    def do_GET(self) -> None:
        place = self.path.removeprefix("/fhir/")
        if place == "metadata":
            return self._answer(200, json.dumps(capability()))
        if place == "":
            return self._answer(200, json.dumps({name: version for name, (version, _) in self.kept.items()}))
        version, text = self.kept.get(place, (0, outcome(["not found"])))
        return self._answer(200 if version else 404, text, place)

    def _answer(self, status: int, text: str, place: str = "") -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/fhir+json")
        self.send_header("Content-Length", str(len(data)))
        if place in self.kept:
            self.send_header("ETag", f'W/"{self.kept[place][0]}"')
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def capability() -> dict[str, Any]:
    """What the server says that it takes, a CapabilityStatement."""
    resources = [{"type": kind, "interaction": [{"code": "update"}], "updateCreate": True} for kind in KINDS]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": resources}],
    }


def outcome(words: list[str]) -> str:
    """An OperationOutcome."""
    issues = [{"severity": "error", "code": "invalid", "diagnostics": one[:500]} for one in words]
    return json.dumps({"resourceType": "OperationOutcome", "issue": issues})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    ThreadingHTTPServer(("127.0.0.1", parser.parse_args(sys.argv[1:]).port), Record).serve_forever()
