"""A report as FHIR R4 resources: one Observation for each hip and site, one DiagnosticReport for the film.

No LOINC code of a density is given: those mean DXA. Numbers keep their four places, which `json` would cut.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from bmd_edge.clinic.objects import codes as own
from bmd_edge.clinic.objects.names import uid
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.clinic.objects.study import Study
from bmd_edge.clinic.remedies import plain_remedy
from bmd_edge.errors import FLAGS, REFUSALS
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.t_score import REFERENCE_NAME, T_SCORE_REASONS
from bmd_edge.report.film_report import RESEARCH_USE, FilmReport
from bmd_edge.report.worklist import no_headline
from bmd_edge.sites import SITES
from bmd_edge.version import __version__

SYSTEM = f"urn:oid:{uid('bmd-edge', 'codes')}"
"""Of our own codes, which DICOM knows as 99BMDEDGE."""
UCUM, SNOMED, LOINC = "http://unitsofmeasure.org", "http://snomed.info/sct", "http://loinc.org"
_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"
_SCHEMES = {"SCT": SNOMED, own.SCHEME: SYSTEM}
_NOT_DXA = "estimated from a radiograph (not DXA)"
Resource = dict[str, Any]


def resources(report: FilmReport, study: Study, occasion: Occasion, sr_uid: str) -> list[Resource]:
    """The resources of a film in the order in which a server must get them: the report names the observations.

    `sr_uid` is that of the Structured Report that says the same. Resources of the version before that this one does
    not have are withdrawn (`entered-in-error`): a number of the wrong side must not stay in the record.
    """
    observations = list(_observations(report, study, occasion, sr_uid))
    named = {one["id"] for one in observations}
    before = [json.loads(one, parse_float=Decimal) for one in occasion.version.resources]
    gone = [one for one in before if one["resourceType"] == "Observation" and one["id"] not in named]
    withdrawn = [_withdrawn(one, occasion) for one in gone]
    return [*observations, *withdrawn, _diagnostic_report(report, study, occasion, sr_uid, observations)]


def written(resource: Any) -> str:
    """JSON with numbers as they were given: a Decimal keeps its places."""
    if isinstance(resource, dict):
        return "{" + ", ".join(f"{json.dumps(name)}: {written(one)}" for name, one in resource.items()) + "}"
    if isinstance(resource, list):
        return "[" + ", ".join(map(written, resource)) + "]"
    return str(resource) if isinstance(resource, Decimal) else json.dumps(resource)


def resource_id(kind: str, *parts: str) -> str:
    """An id of 64 hex digits that follows from the film, whatever is said of it: the same one is replaced."""
    return hashlib.sha256("\n".join(("bmd-edge", kind, *parts)).encode()).hexdigest()


# -- observations -------------------------------------------------------------------------------------------------


def _observations(report: FilmReport, study: Study, occasion: Occasion, sr_uid: str) -> Iterator[Resource]:
    sides: dict[str, int] = {}
    for hip in report.hips or (None,):
        side = hip.side if hip else None
        nth = sides[side or ""] = sides.get(side or "", 0) + 1
        found = {one.site: one for one in hip.estimates} if hip else {}
        reason = hip.reason if hip else report.reason
        for site in SITES:
            name = resource_id("Observation", study.sop_instance_uid, side or "", str(nth), site)
            shared = _observation(report, study, occasion, sr_uid, site, side)
            said = _value(found[site]) if site in found else _absent(str(reason))
            yield {"resourceType": "Observation", "id": name, **shared, **said}


def _observation(
    report: FilmReport, study: Study, occasion: Occasion, sr_uid: str, site: str, side: str | None
) -> Resource:
    """What an observation says whether it has a number or not."""
    number, place = own.NUMBERS[site], own.SITES[site]
    codings = [_coding(place)] + ([_coding(own.SIDES[side])] if side else [])
    words = [place.meaning, own.SIDES[side].meaning.lower() if side else "side unknown"]
    made = f"bmd-edge {__version__}, bundle {report.bundle} ({report.bundle_digest}), {report.precision}"
    recalibrated = f", recalibration {report.recalibration}" if report.recalibration else ""
    return {
        "identifier": [_dicom(sr_uid)],
        "status": "preliminary",
        "category": [{"coding": [{"system": f"{_TERMINOLOGY}/observation-category", "code": "imaging"}]}],
        "code": {"coding": [_coding(number)], "text": f"{number.meaning}, {_NOT_DXA}"},
        **_about(study, occasion),
        "bodySite": {"coding": codings, "text": ", ".join(words)},
        "method": {"coding": [_coding(own.METHOD)], "text": f"{own.METHOD.meaning}: {made}{recalibrated}"},
        "derivedFrom": [_imaging_study(study)],
        "note": [{"text": text} for text in _notes(occasion)],
    }


def _value(estimate: Estimate) -> Resource:
    interval = {"low": _quantity(estimate.low_gcm2), "high": _quantity(estimate.high_gcm2)}
    components: list[Resource] = [{"code": _own("interval-90", "90 % prediction interval"), "valueRange": interval}]
    if estimate.t_score is not None:
        score = {"value": Decimal(f"{estimate.t_score:.1f}"), "unit": "T-score", "system": UCUM, "code": "{T-score}"}
        meaning = {"coding": [_coding(own.T_SCORE)], "text": f"T-score, refers to {REFERENCE_NAME}"}
        components.append({"code": meaning, "valueQuantity": score})
    elif estimate.t_score_reason:
        why = {"text": T_SCORE_REASONS[estimate.t_score_reason]}
        components.append({"code": {"coding": [_coding(own.T_SCORE)]}, "dataAbsentReason": why})
    for flag in estimate.flags:
        meaning = {"coding": [_coding(own.spoken(flag))], "text": FLAGS[flag]}
        components.append({"code": {"coding": [_coding(own.FLAG)]}, "valueCodeableConcept": meaning})
    return {"valueQuantity": _quantity(estimate.bmd_gcm2), "component": components}


def _absent(reason: str) -> Resource:
    """A refusal; FHIR's obs-6: the reason stands where there is no value."""
    error = {"system": f"{_TERMINOLOGY}/data-absent-reason", "code": "error"}
    said = f"{reason}: {REFUSALS[reason].sentence} {plain_remedy(reason)}"
    return {"dataAbsentReason": {"coding": [error], "text": said}}


def _withdrawn(before: Resource, occasion: Occasion) -> Resource:
    """An observation of an earlier version that is no longer said; without its numbers."""
    kept = {name: one for name, one in before.items() if name not in ("valueQuantity", "component", "dataAbsentReason")}
    words = f"Withdrawn. {occasion.version.words}. {RESEARCH_USE}"
    return {**kept, "status": "entered-in-error", "note": [{"text": words}]}


# -- the report ---------------------------------------------------------------------------------------------------


def _diagnostic_report(
    report: FilmReport, study: Study, occasion: Occasion, sr_uid: str, observations: list[Resource]
) -> Resource:
    if said := report.band_meaning or no_headline(report):
        words = said
    else:
        words = REFUSALS[report.reason].sentence if report.reason else "No number on this film."
    band = own.spoken(report.band) if report.band else None
    return {
        "resourceType": "DiagnosticReport",
        "id": resource_id("DiagnosticReport", study.sop_instance_uid),
        "identifier": [_dicom(sr_uid)],
        "status": "preliminary",
        "category": [{"coding": [{"system": f"{_TERMINOLOGY}/v2-0074", "code": "RAD", "display": "Radiology"}]}],
        "code": {"coding": [{"system": LOINC, "code": "18748-4", "display": "Diagnostic imaging study"}]},
        **_about(study, occasion),
        "result": [{"reference": f"Observation/{one['id']}"} for one in observations],
        "imagingStudy": [_imaging_study(study)],
        "conclusion": " ".join([words, *_notes(occasion)]),
        **({"conclusionCode": [{"coding": [_coding(band)], "text": report.band_meaning}]} if band else {}),
    }


# -- parts of both ------------------------------------------------------------------------------------------------


def _about(study: Study, occasion: Occasion) -> Resource:
    """Patient, day of the film and time of the answer; what the film does not state is left out."""
    shared = study.shared
    made: Resource = {}
    patient, issuer = (str(shared.get(name, "")).strip() for name in ("PatientID", "IssuerOfPatientID"))
    if patient and _is_string(patient):  # cleaned it could be that of somebody else
        issuer = issuer if _is_string(issuer) else ""
        assigner = {"assigner": {"display": issuer}} if issuer else {}
        made["subject"] = {"type": "Patient", "identifier": {"value": patient, **assigner}}
    if day := str(shared.StudyDate):
        made["effectiveDateTime"] = f"{day[:4]}-{day[4:6]}-{day[6:]}"
    made["issued"] = occasion.received.replace(microsecond=0).astimezone().isoformat()
    return made


def _is_string(text: str) -> bool:
    """Whether FHIR has such strings: without control characters (datatypes.html#string)."""
    return all(one >= " " for one in text)


def _notes(occasion: Occasion) -> list[str]:
    approval = f"Approval {occasion.box.approval}." if occasion.box.approval else "No approval named."
    version = f"{occasion.version.words}." if occasion.version.words else ""
    return [text for text in (RESEARCH_USE, occasion.box.notice, approval, version) if text]


def _imaging_study(study: Study) -> Resource:
    return {"type": "ImagingStudy", "identifier": _dicom(str(study.shared.StudyInstanceUID))}


def _dicom(instance: str) -> Resource:
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{instance}"}


def _quantity(gcm2: float) -> Resource:
    return {"value": Decimal(f"{gcm2:.4f}"), "unit": "g/cm2", "system": UCUM, "code": "g/cm2"}


def _coding(code: Any) -> Resource:
    return {"system": _SCHEMES[code.scheme_designator], "code": code.value, "display": code.meaning}


def _own(value: str, meaning: str) -> Resource:
    return {"coding": [{"system": SYSTEM, "code": value, "display": meaning}], "text": meaning}


def bundle(report: FilmReport, study: Study, occasion: Occasion, names: Mapping[str, str], sr_uid: str) -> bytes:
    """All resources of a film as one file, a Bundle of type collection; its identifier is the "instance" of `names`."""
    entries = [{"resource": one} for one in resources(report, study, occasion, sr_uid)]
    made = {"resourceType": "Bundle", "identifier": _dicom(names["instance"]), "type": "collection", "entry": entries}
    return (written(made) + "\n").encode("ascii")
