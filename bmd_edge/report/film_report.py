"""What is said about a film, its hips and a whole run; and how films and hips are counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.errors import FLAGS, TO_DO
from bmd_edge.film.film import FilmFacts
from bmd_edge.language import ENGLISH, Language
from bmd_edge.measure.estimate import Estimate
from bmd_edge.measure.headline import HEADLINES, headline
from bmd_edge.measure.network_answer import NetworkAnswer

SCHEMA_VERSION = 2
COPIES = {
    "duplicate": "The same image as another file: one SOP Instance UID, the same picture.",
    "same_pixels": "The same picture as another file, under another SOP Instance UID.",
    "other_patient": "The same picture as another file, under another patient: one of the two is wrong.",
    "conflict": "Another file has the same SOP Instance UID and another picture: one of the two is wrong.",
}
"""How two files may belong together, of which only one should count."""
COPIES_TO_DO = {
    "other_patient": "Find out whose film it is; until then both count.",
    "conflict": "Find out which is right; until then both count.",
}
"""What can be done about two files of which one is wrong."""
FILM_NOW_TO_DO = {"unreadable": "Check the disk and the file's permissions, then run again."}
COUNTED_ONCE = ("duplicate", "same_pixels")
"""Of these only the other file counts; of the others both do, for nobody knows which is right."""
STATUSES = ("read", "refused", "failed", "left_out")
FILM_NOW = {
    "there": "",
    "missing": "Not in its folder when that was last screened; the result of an earlier run.",
    "replaced": "Another file had its name when its folder was last screened; the result of an earlier run.",
    "unreadable": "Could not be read again; the result of an earlier run.",
}
"""Where a film was when its folder, or itself, was last screened, and what is said beside it where it was not there.

A run looks at the folder or the film that is named: of others the results say what was last known.
"""
EARLIER_FILMS = ("missing", "replaced")
"""Of these there is a result, and no film."""
SIGNATURES = {
    "unsigned": "without a signature",
    "not_checked": "with a signature that was not checked",
    "verified": "with a verified signature",
}
"""What is known of the bundle's signature, and how it is said."""
RESEARCH_USE = "Research use only, not for diagnosis. Estimated from a radiograph; confirm by DXA."


@dataclass(frozen=True, slots=True, kw_only=True)
class HipReport:
    """One hip: `read` with one estimate per site, or `refused` with a reason of `bmd_edge.errors.REFUSALS` and none.

    `landmarks_px` maps names to (x, y) and `box_px` is (left, top, width, height), both in stored-image pixels with
    the top-left corner of the film at (0, 0) (PS3.3 C.18.6). `box_px` and `network` stand in no results file.
    """

    side: str | None
    status: str
    reason: str | None
    landmarks_px: dict[str, tuple[float, float]]
    box_px: tuple[float, float, float, float] | None
    estimates: tuple[Estimate, ...]
    network: NetworkAnswer | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmReport(FilmFacts):
    """One file: `read` (at least one hip has a number), `refused`, or `failed` (worth another try).

    An entry of a folder that is no film, as a text beside the films, is `left_out`, with the reason. What the header
    says, with units, is explained at `bmd_edge.FilmFacts`.

    `file` is the posix path relative to the screened folder, None for bytes and data sets.
    `band` is the headline, a key of `bmd_edge.measure.headline.HEADLINES`, None without one.
    `recalibration` is the SHA-256 of the recalibration's file. `film_now` is a key of `FILM_NOW`,
    `copy`, a key of `COPIES`, says that the film `copy_of` shows the same. `cpu` is the kind of CPU that measured it,
    which stands in run.json alone: lines of two machines compare byte by byte.
    """

    file: str | None
    film_id: str | None
    status: str
    reason: str | None
    bundle: str
    bundle_digest: str
    recalibration: str | None = None
    device: str
    precision: str
    cpu: str | None = None
    band: str | None = None
    film_now: str = "there"
    copy: str | None = None
    copy_of: str | None = None
    hips: tuple[HipReport, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The object of results.jsonl, which `json_schema` describes."""
        shown = replace(self, hips=tuple(replace(hip, network=None) for hip in self.hips)).kept()  # long to copy
        del shown["cpu"]
        hips = [{key: value for key, value in hip.items() if key not in ("box_px", "network")} for hip in shown["hips"]]
        return {"schema_version": SCHEMA_VERSION, **shown, "band_meaning": self.band_meaning, "hips": hips}

    def kept(self) -> dict[str, Any]:
        """Every field, as the ledger keeps it: which file and what became of it, facts of the header, the rest."""
        return {**dict.fromkeys(("file", "film_id", "status", "reason")), **asdict(self)}

    @property
    def band_meaning(self) -> str | None:
        """The headline in words; `not_suspected` says that low BMD is not ruled out."""
        return self.band and HEADLINES[self.band]

    @property
    def complete(self) -> bool:
        """Whether every hip that was looked for has a number."""
        return self.status == "read" and all(hip.status == "read" for hip in self.hips)


def film_headline(hips: Iterable[HipReport], points: HeadlineCuts | None) -> str | None:
    """`band` of all hips of a film; beside a hip that is or may be fractured, low BMD is never unsuspected.

    A hip that cannot be measured reliably may be: most are refused for what they have in common with fractured ones.
    A fragility fracture of the hip outweighs any T-score (Siris et al., Osteoporos Int 2014;25:1439-1443).
    """
    hips = list(hips)
    found = headline((estimate for hip in hips for estimate in hip.estimates), points)
    doubted = any(hip.reason in ("fracture", "not_measurable", "turned_film") for hip in hips)
    return "refer_for_dxa" if doubted and found == "not_suspected" else found


def film_reason(hips: Iterable[HipReport]) -> str | None:
    """Why a film whose hips are all refused is: the reason of the first hip that was found."""
    return next(hip.reason for hip in hips if hip.reason != "hip_not_found")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run used and how many films and hips ended how; nothing in it names a patient or a place.

    `left` counts files that were still changing and are left for the next run, `not_there` the results whose films are
    not there now, by the keys of `FILM_NOW`; they are among `films` and `hips`. `copies` counts files that show what
    another one shows, by the keys of `COPIES`; those of `COUNTED_ONCE` are not among `films` and `hips`. `patient_key`
    is the fingerprint of the pseudonyms' key. `signature` is a key of `SIGNATURES`, `signature_key` the SHA-256 of the
    file of the public key where it was verified. `cpus` are the kinds of CPU that numbers come from, as far as they are
    known: earlier versions kept none.
    """

    schema_version: int
    versions: dict[str, str]
    bundle: str
    bundle_digest: str
    device: str
    precision: str
    spacing_given_mm: float | None
    notice: str
    films: dict[str, int]
    hips: dict[str, int]
    film_reasons: dict[str, int]
    hip_reasons: dict[str, int]
    left: int = 0
    recalibration: str | None = None
    not_there: dict[str, int] = field(default_factory=dict)
    patient_key: str | None = None
    copies: dict[str, int] = field(default_factory=dict)
    signature: str = "unsigned"
    signature_key: str | None = None
    cpus: list[str] = field(default_factory=list)

    def signature_said(self, language: Language = ENGLISH) -> str:
        """What is known of the bundle's signature, in words; with the start of the key's SHA-256."""
        key = language(" (key {key})", key=self.signature_key[:16]) if self.signature_key else ""
        return language(SIGNATURES[self.signature]) + key

    @property
    def repeated(self) -> int:
        """How many files show what another one shows, and do not count."""
        return sum(self.copies.get(kind, 0) for kind in COUNTED_ONCE)

    @property
    def files(self) -> int:
        """How many files the results tell of."""
        return sum(self.films.values()) + self.repeated

    @property
    def found(self) -> bool:
        """Whether anything was a film, or was meant as one."""
        return any(n for status, n in self.films.items() if status != "left_out")

    @property
    def complete(self) -> bool:
        """Whether there are films, all that were ever read are there, and every film and hip has its numbers."""
        without = self.films["refused"] or self.films["failed"] or self.hips["refused"]
        return self.found and not (without or self.left or self.not_there)


def count(reports: Iterable[FilmReport]) -> dict[str, Any]:
    """Count films and hips by status and by reason, and results without a film, and name the CPUs: six fields of
    `RunSummary`.

    A film on which hips were found counts under `film_reasons` never, its hips under `hip_reasons`. What a report is
    marked as a copy of counts, the copy does not (`COUNTED_ONCE`).
    """
    films, hips, film_reasons, hip_reasons = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    not_there, cpus = Counter[str](), set[str]()
    for report in reports:
        not_there[report.film_now] += report.film_now != "there"
        if report.copy in COUNTED_ONCE:
            continue
        films[report.status] += 1
        if report.status == "read" and report.cpu:
            cpus.add(report.cpu)
        if report.reason and not report.hips:
            film_reasons[report.reason] += 1
        for hip in report.hips:
            hips[hip.status] += 1
            if hip.reason:
                hip_reasons[hip.reason] += 1
    return {
        "films": {status: films[status] for status in STATUSES},
        "hips": {status: hips[status] for status in ("read", "refused")},
        "film_reasons": dict(sorted(film_reasons.items())),
        "hip_reasons": dict(sorted(hip_reasons.items())),
        "not_there": dict(sorted((+not_there).items())),
        "cpus": sorted(cpus),
    }


def caution(flag: str, language: Language = ENGLISH) -> str:
    """A flag in words, with what can be done about it."""
    return " ".join(language(text) for text in (FLAGS[flag], TO_DO.get(flag)) if text)


def flags_of(hip: HipReport) -> list[str]:
    """The flags of all estimates of a hip, each once, in the order of `bmd_edge.errors.FLAGS`."""
    standing = {flag for estimate in hip.estimates for flag in estimate.flags}
    return [flag for flag in FLAGS if flag in standing]
