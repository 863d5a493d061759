"""The DICOM conformance statement of the clinic box, from the code's tables and from objects that it makes.

python -m tests.support.clinic.conformance writes bmd_edge/clinic/CONFORMANCE.md.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from email.message import Message
from fnmatch import fnmatch
from pathlib import Path
from textwrap import wrap

import numpy as np
import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

import bmd_edge
from bmd_edge.clinic import config
from bmd_edge.clinic.delivery import answers, deliver, dicom, fhir, http
from bmd_edge.clinic.delivery.answers import Answer, answer_to
from bmd_edge.clinic.doors import content, stow
from bmd_edge.clinic.doors.content import Status
from bmd_edge.clinic.objects import codes
from bmd_edge.clinic.objects.make import IMPLEMENTATION, SOP_CLASSES
from bmd_edge.clinic.objects.series import SERIES, SERIES_DESCRIPTION
from bmd_edge.clinic.setup import derived
from bmd_edge.film.limits import MAX_FILE_BYTES, MAX_PIXELS
from bmd_edge.pixels.transfer_syntaxes import syntaxes, transfer_syntax
from tests.bmd_edge.clinic.objects.said import said_of, second
from tests.support.clinic.claims import TESTS
from tests.support.screening import hip_dicom

PAGE = Path(bmd_edge.__file__).parent / "clinic" / "CONFORMANCE.md"
NAMES = {"sr": "SR", "sc": "SC", "gsps": "GSPS", "pdf": "PDF"}
_FULL = {
    "PatientBirthDate": "19560301", "StudyDate": "20260516", "StudyTime": "081500", "StudyID": "7",
    "AccessionNumber": "A7", "ReferringPhysicianName": "Doe^Jane", "StudyDescription": "Hip", 
    "BurnedInAnnotation": "NO",
    "IssuerOfPatientID": "Clinic", "WindowCenter": 1600, "WindowWidth": 2000, "RescaleSlope": 2, "RescaleIntercept": 0,
    "RescaleType": "US",
}  # fmt: skip


def _table() -> Dataset:
    """A Modality LUT that leaves the pixels as they are."""
    made = Dataset()
    made.add_new(0x00283002, "US", [4096, 0, 12])
    made.ModalityLUTType = "US"
    made.add_new(0x00283006, "OW", np.arange(4096, dtype="<u2").tobytes())
    return made


_FILMS = (
    hip_dicom("R", **_FULL),
    hip_dicom("RL", **_FULL),
    hip_dicom("R", implant="R", PatientAge=None),
    hip_dicom("R", ModalityLUTSequence=[_table()]),
    hip_dicom("", PatientName=None, PatientID=None, PatientSex=None, PatientAge=None),
)
_AIR = (
    ("actor", "Evidence Creator; Image Manager and Image Display are the clinic's own archive and viewer", "dcmtk"),
    ("results in the study of the images that they were made of", "all objects: the film's patient and study", "valid"),
    (
        "a structured report, TID 1500, as what machines read",
        "SR: Comprehensive 3D SR, TID 1500, TID 4019",
        "report",
    ),
    ("primitive: measurement", "SR: NUM, UCUM units, finding site with laterality, method, range", "numbers"),
    ("primitive: qualitative finding", "SR: CODE items: result status, reason, headline, flags", "report"),
    (
        "primitive: location, region",
        "SR: SCOORD polyline along the bone, in pixels of the film",
        "report",
    ),
    ("primitives: segmentation, parametric map", "none: no such results", None),
    (
        "tracking identifier and UID for each finding",
        "SR: one for each hip, that follows from the answer",
        "report",
    ),
    ("which algorithm, version and parameters", "SR: TID 4019, family 123110 DCM; bundle and digests", "report"),
    ("a result without findings is a result", "refusals are SR and SC like numbers", "numbers"),
    ("a rendering for displays without support of the primitives", "SC by itself; GSPS and PDF on request", "picture"),
    ("results that were not verified are marked", "SR: PRELIMINARY, UNVERIFIED, and the notice", "report"),
    ("a superseded result names what it replaces", "SR: Predecessor Documents Sequence; old ones stay", "versions"),
    ("storage commitment", "N-ACTION after the store, where `commit = true`", "commitment"),
)


def statement() -> str:
    """The whole page, Markdown."""
    return "\n".join([*_head(), *_films_in(), *_objects_out(), *_attributes(), *_security(), *_air()]) + "\n"


def _head() -> Iterator[str]:
    yield "# DICOM conformance statement of the clinic box"
    yield ""
    yield from _prose(
        "Research use only, not for diagnosis: an estimate from a film is not a DXA measurement. Made "
        "from the code by `python -m tests.support.clinic.conformance`; do not edit. The last column of "
        "a table, or the line below it, names the tests that exercise it; peers there are real: Orthanc, "
        "DCMTK, dicom3tools, nginx, pynetdicom. Every file bears Implementation Class UID "
        f"`{IMPLEMENTATION}` and version name `BMD_EDGE`; associations bear those of DCMTK, which Orthanc "
        "is built on (films in), and of pynetdicom (objects out). Settings are those of `clinic.toml`; "
        "the [README](README.md) says how to make a box."
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    names = list(head)
    yield f"| {' | '.join(names)} |"
    yield f"| {' | '.join('---' for _ in names)} |"
    for row in rows:
        yield f"| {' | '.join(str(one) for one in row)} |"
    yield ""


def _prose(text: str) -> Iterator[str]:
    yield from wrap(text, 120, break_long_words=False, break_on_hyphens=False)
    yield ""


def _seen(*names: str) -> Iterator[str]:
    yield "Seen by: " + ", ".join(f"`{TESTS[name]}`" for name in names) + "."
    yield ""


def _films_in() -> Iterator[str]:
    yield "## Films in"
    yield ""
    yield from _prose(
        "Doors: C-STORE SCP (Debian's Orthanc with a guard; the association must call the box's AE title "
        f"and come from a unit of `clinic.toml`), STOW-RS origin server (`POST {stow.PATH}`, at most "
        f"{stow.MOST_PARTS} parts and {stow.MOST_BODY_BYTES:,} bytes a request), a watched folder. "
        "Verification SCP for units; no query, no retrieve."
    )
    yield from _table(
        ("SOP Class", "UID", "C-STORE, STOW-RS, folder"),
        (
            (UID(one).name, f"`{one}`", "yes" + (", one gray frame" if one == content.SC else ""))
            for one in content._FILMS
        ),
    )
    yield from _seen("classes", "verdict", "strangers", "stow strangers", "parts", "echo", "queries")
    taken = derived._TRANSFER_SYNTAXES
    rows = []
    for one in sorted(syntaxes(), key=lambda uid: [int(part) for part in uid.split(".")]):
        by_orthanc = any(fnmatch(one, pattern) for pattern in taken) and not one.startswith("1.2.840.10008.1.2.4.20")
        rows.append((transfer_syntax(one).name, f"`{one}`", "yes" if by_orthanc else "no", "yes"))
    yield from _prose("Kept as they are sent, never transcoded. Debian's Orthanc knows no HTJ2K.")
    yield from _table(("transfer syntax", "UID", "C-STORE", "STOW-RS, folder"), rows)
    yield from _seen("c-store syntaxes", "syntaxes", "deflated")
    yield from _prose(
        f"A file has at most {MAX_FILE_BYTES:,} bytes and {MAX_PIXELS:,} pixels. Statuses, never a warning:"
    )
    yield from _table(("status", "means"), ((f"{one.value:04X}", one.name.lower().replace("_", " ")) for one in Status))
    yield from _seen("guard", "verdict", "unauthorized", "no room", "unreadable", "too long")


def _objects_out() -> Iterator[str]:
    yield "## Objects out"
    yield ""
    yield from _prose(
        f"Storage SCU and STOW-RS user agent, transfer syntax {ExplicitVRLittleEndian.name} only, one "
        "presentation context for each kind, one association for all that is due. Series description "
        f'"{SERIES_DESCRIPTION}". Nothing is sent before an approval is named, but to an archive for '
        "tests on the same machine."
    )
    rows = []
    for kind, uid in SOP_CLASSES.items():
        when = "every film" if kind in config.KINDS else "on request"
        rows.append((NAMES[kind], UID(uid).name, f"`{uid}`", SERIES[kind], when))
    yield from _table(("kind", "SOP Class", "UID", "series number", "made"), rows)
    yield from _seen("proposed", "dcmtk", "on request", "stow out", "kinds", "approval", "for tests")
    yield from _prose(
        "Storage Commitment Push Model (`1.2.840.10008.1.20.1`) as SCU; its reports are taken on "
        "`commitment.bind` from the archives that are asked, by their AE titles. Verification as SCU in "
        "`bmd-edge clinic doctor`, which asks an archive by STOW-RS with a request that holds nothing, and "
        "a record for its CapabilityStatement and a resource that is not there."
    )
    yield from _seen("commitment", "reports", "strange reports", "doctor", "doctor's peers")
    yield from _table(("deadline", "value"), _deadlines())
    deadlines = ("no connection", "silent", "slow", "for ever", "slow http", "waits", "retry after", "asks")
    yield from _seen(*deadlines)
    yield from _table(("the archive answers", "then"), _answers())
    yield from _seen("settles", "later", "silent", "nobody")
    yield from _prose("Settings of an archive (`pacs.NAME`):")
    yield from _table(("key", "default"), _defaults(config.Destination))
    yield from _seen("settings")
    yield from _prose(
        'The same resources go to a FHIR R4 record (`kind = "fhir"`), one Observation for each hip and '
        "site and one DiagnosticReport, by PUT under ids that follow from film, side and site."
    )
    yield from _seen("fhir")
    yield from _table(("the record answers a PUT", "then"), _answers_of_a_record())
    yield from _seen("fhir answers", "fhir conflict", "peace")


def _deadlines() -> Iterator[tuple[str, str]]:
    yield "connection", f"{dicom.CONNECT_S:g} s"
    yield "an answer (A-ASSOCIATE, DIMSE, network; HTTP)", f"{dicom.ANSWER_S:g} s"
    yield "all of an object by C-STORE", f"{dicom._OBJECT_S:g} s"
    yield "all of a request by HTTP", f"{http._REQUEST_S:g} s"
    waits = ", ".join(f"{one} s" for one in answers._DELAYS_S)
    yield "tries", f"again after {waits}, then every {answers._DELAYS_S[-1]} s, {answers._JITTER:.0%} more or less"
    yield "Retry-After of an answer by HTTP", f"waited for by the whole connection, at most {http.MOST_WAIT_S:g} s"
    yield "storage commitment", f"{deliver.COMMIT_WITHIN_S:g} s, asked {deliver.MOST_ASKS} times"


def _answers() -> Iterator[tuple[str, str]]:
    for status in (0x0000, 0xB000, 0xB006, 0xB007, 0x0111, 0x0110, 0x0122, 0x0213, 0xA700, 0xA900, 0xC000):
        yield f"{status:04X}", _then(answer_to(status))
    yield "nothing, or a connection that ends", answer_to(None).next.value


def _answers_of_a_record() -> Iterator[tuple[str, str]]:
    place, location = "Observation/a", Message()
    location["Location"] = "Observation/a/_history/1"
    for status in (200, 201):
        yield (
            f"{status}, with the resource or its address",
            _then(fhir._meaning(http.Response(status, location, b""), place)),
        )
    others = (200, 302, 400, 401, 403, 404, 405, 408, 409, 412, 422, 425, 428, 429, 500, 501, 502, 503, 504, 507)
    for status in others:
        said = f"{status}, without" if status == 200 else str(status)
        again = ", the second time in a row held" if status == 409 else ""
        yield said, _then(fhir._meaning(http.Response(status, Message(), b""), place)) + again


def _then(found: Answer) -> str:
    return found.next.value + (f": {answers.REASONS[found.reason][0]}" if found.reason else "")


def _defaults(kind: type) -> Iterator[tuple[str, str]]:
    for one in fields(kind):
        yield f"`{one.name}`", "must be given" if one.default is MISSING else f"`{one.default!r}`"


def _attributes() -> Iterator[str]:
    yield "## Attributes of the objects"
    yield ""
    yield from _prose(
        "Of objects that were made of drawn films: a hip, two hips, one refused, none found, a later "
        "version; headers full and bare. Patient and study are the film's, as UTF-8 (`ISO_IR 192`) "
        "whatever it was; type 2 attributes that it lacks, or that break their value representation, are "
        "empty. Dates and times of series, instance and content are those of the film's receipt. No private attributes."
    )
    yield from _seen("kinds", "names", "valid", "numbers", "before")
    objects = [said_of(film)[1] for film in _FILMS]
    objects.append(said_of(_FILMS[0], second(objects[0], "header corrected"))[1])
    for kind in SOP_CLASSES:
        made = [pydicom.dcmread(io.BytesIO(one[kind].data)) for one in objects]
        yield f"### {NAMES[kind]}"
        yield ""
        yield from _table(("tag", "attribute", "VR", "present"), _present(made))
    yield from _seen("shown")
    yield f"### Coding scheme {codes.SCHEME}"
    yield ""
    own = [one for one in vars(codes).values() if getattr(one, "scheme_designator", "") == codes.SCHEME]
    own += list(codes.NUMBERS.values())
    yield from _table(("code", "meaning"), sorted((f"`{one.value}`", one.meaning) for one in own))
    yield from _prose("Beside these the codes of refusals, flags, headlines and statuses, with their words as meaning.")
    yield from _seen("scheme")


def _present(made: list[Dataset]) -> Iterator[tuple[str, str, str, str]]:
    for tag in sorted({element.tag for one in made for element in one}):
        found = [one[tag] for one in made if tag in one]
        filled = sum(not element.is_empty for element in found)
        if not filled:
            said = "empty" if len(found) == len(made) else "empty or absent"
        elif filled == len(made):
            said = "always"
        else:
            said = "sometimes empty" if len(found) == len(made) else "sometimes"
        yield f"({tag.group:04X},{tag.element:04X})", keyword_for_tag(tag), found[0].VR, said


def _security() -> Iterator[str]:
    yield "## Security"
    yield ""
    yield from _prose(
        "Films come by TLS 1.2 or 1.3 with a certificate of the box's authority, or without TLS on a "
        "network that `vlan = true` says is nobody else's. Objects go by TLS where `tls = true` or the "
        "url is https; the archive's certificate must name its host. AE titles are checked and protect "
        "nothing."
    )
    yield from _seen("by tls", "strangers", "stow strangers", "vlan", "tls out", "https", "certificates")


def _air() -> Iterator[str]:
    yield "## IHE AI Results (AIR)"
    yield ""
    yield from _prose(
        "How the objects map to what the profile asks of one who makes results. No Connectathon has seen it."
    )
    rows = ((what, here, f"`{TESTS[test]}`" if test else "") for what, here, test in _AIR)
    yield from _table(("AIR", "here", "seen by"), rows)


if __name__ == "__main__":
    PAGE.write_text(statement(), encoding="utf-8")
