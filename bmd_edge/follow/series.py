"""Films -> series: the hips of one patient and side over their visits, and what keeps films out of a series.

A visit is the films of a hip of one date that may be compared. Films by another bundle, precision, recalibration, way
to know the pixel size or X-ray unit stand in the series and are never compared: there it breaks.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import NamedTuple

from bmd_edge.measure.estimate import Estimate
from bmd_edge.report.film_report import COUNTED_ONCE, FilmReport, HipReport

LEFT_OUT = {
    "no_patient": (
        "The film names no patient, or was read without a key.",
        "Read it again where a key for the patients' pseudonyms can be kept.",
    ),
    "no_date": ("The film has no date.", "Correct the acquisition date in the archive, then read the film again."),
    "future_date": (
        "The film is dated in the future.",
        "Correct the clock of the X-ray unit and the date in the archive, then read the film again.",
    ),
    "two_patients": (
        "Films under one patient ID contradict each other in sex or year of birth: they may be of two patients.",
        "Find out whose each film is, and correct the patient ID in the archive.",
    ),
    "two_sizes": (
        "Hips of one patient and side differ more in size than magnification explains: they may be of two patients.",
        "Find out whose each film is, and whether its pixel size is right.",
    ),
    "side_exchanged": (
        "The header's side contradicts the anatomy: left and right may be exchanged.",
        "Find out which side the film shows, correct its header, then read it again.",
    ),
    "side_unknown": ("The side of the hip is not known.", "Look at the film."),
    "in_conflict": (
        "The film shares its pixels or its UID with another one, under another patient or with other pixels.",
        "Find out which of the two is right.",
    ),
}
"""Why a film is in no series: sentence and remedy by code."""

CONDITIONS = {
    "unit_pseudonym": "X-ray unit",
    "bundle_digest": "bundle of networks",
    "precision": "arithmetic of the networks",
    "recalibration": "recalibration",
    "spacing_source": "source of the pixel size",
}
"""What films of one part of a series share, and how it is called where it changes."""
UNIT_NOT_NAMED = "unit not named"
BIRTHS_APART_YEARS = 2.0
"""Ages are whole years, and of some births only the year is kept."""
SIZES_APART = 1.22
"""Greater to lesser trochanter of one hip, largest over smallest of its films: magnification explains most of it.

The distance to the head would vary more: the neck foreshortens as the leg turns. What the limit costs and finds on
films of the phantom stands on the page of calibration.
"""


class Finding(NamedTuple):
    """Why a film is in no series: a code of `LEFT_OUT`, the patient's pseudonym if known, the file, side and date."""

    code: str
    patient: str | None
    file: str
    side: str | None = None
    date: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """A hip on a film that may stand in a series."""

    patient: str
    side: str
    taken: date
    file: str
    conditions: tuple[str | None, ...]
    bundle: str
    unit: str
    size_mm: float
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class Visit:
    """The comparable films of a hip of one date."""

    taken: date
    films: tuple[Seen, ...]

    @property
    def unit(self) -> str:
        """The X-ray unit that took them, by maker and model."""
        return self.films[0].unit

    @property
    def conditions(self) -> tuple[str | None, ...]:
        """What the films share, in the order of `CONDITIONS`."""
        return self.films[0].conditions

    def condition(self, name: str) -> str:
        """One of them, by its name in `CONDITIONS`; empty where it is not known."""
        return dict(zip(CONDITIONS, self.conditions, strict=True))[name] or ""

    def mean_gcm2(self, site: str) -> float:
        """The mean estimate of a site."""
        return math.fsum(one.bmd_gcm2 for one in self._estimates(site)) / len(self.films)

    def range_gcm2(self, site: str) -> float:
        """The largest estimate of a site minus the smallest; 0 of one film."""
        values = [one.bmd_gcm2 for one in self._estimates(site)]
        return max(values) - min(values)

    def half_gcm2(self, site: str, sd_gcm2: float | None) -> float:
        """Half the 90 % interval of the mean.

        An estimate's error has a part that all films of the hip share and one that repeated films show, `sd_gcm2`. Of
        n films only the second becomes smaller: variance minus (1 - 1/n) sd^2. Without `sd_gcm2` nothing does.
        """
        half = math.fsum(one.high_gcm2 - one.low_gcm2 for one in self._estimates(site)) / (2 * len(self.films))
        of_one = min((HALF_90 * (sd_gcm2 or 0.0)) ** 2, half**2)
        return math.sqrt(half**2 - (1 - 1 / len(self.films)) * of_one)

    def _estimates(self, site: str) -> list[Estimate]:
        return [row for one in self.films for row in one.estimates if row.site == site]


class Break(NamedTuple):
    """Two visits in a row that are not compared, and what films differ in from the second on, by `CONDITIONS`."""

    before: Visit
    after: Visit
    changed: list[str]


HALF_90 = 1.6448536269514722
"""Half the 90 % interval of a normal distribution in SDs."""


@dataclass(frozen=True, slots=True)
class Series:
    """The visits of one hip in order."""

    patient: str
    side: str
    visits: tuple[Visit, ...]

    @property
    def parts(self) -> list[tuple[Visit, ...]]:
        """The visits that may be compared with each other, in the order of their first."""
        found: dict[tuple[str | None, ...], list[Visit]] = {}
        for visit in self.visits:
            found.setdefault(visit.conditions, []).append(visit)
        return [tuple(part) for part in found.values()]

    @property
    def breaks(self) -> list[Break]:
        """Where the series breaks."""
        found = []
        for before, after in zip(self.visits, self.visits[1:], strict=False):
            changed = [
                word
                for word, one, other in zip(CONDITIONS.values(), before.conditions, after.conditions, strict=True)
                if one != other
            ]
            if changed:
                found.append(Break(before, after, changed))
        return found

    @property
    def cuts(self) -> list[Break]:
        """The breaks that nothing is compared across: every part ends before or begins after."""
        over = [(part[0].taken, part[-1].taken) for part in self.parts]
        return [
            one
            for one in self.breaks
            if not any(first <= one.before.taken and one.after.taken <= last for first, last in over)
        ]


def series_of(reports: Iterable[FilmReport], today: date) -> tuple[list[Series], list[Finding]]:
    """Every hip with a number in its series, and the hips that are in none, with the reason; sorted.

    Several files of one image count once. `today` tells dates that cannot be.
    """
    seen, findings = _told_apart(reports, today)
    made = []
    for (patient, side), films in sorted(seen.items()):
        films.sort(key=lambda one: (one.taken, str(one.conditions), one.file))
        by_visit = [list(visit) for _, visit in groupby(films, lambda one: (one.taken, one.conditions))]
        made.append(Series(patient, side, tuple(Visit(visit[0].taken, tuple(visit)) for visit in by_visit)))
    return made, sorted(findings, key=str)


_Hips = dict[tuple[str, str], list[Seen]]


def _told_apart(reports: Iterable[FilmReport], today: date) -> tuple[_Hips, list[Finding]]:
    findings: list[Finding] = []
    seen: _Hips = defaultdict(list)
    facts: dict[str, list[tuple[str | None, float | None]]] = defaultdict(list)
    for report in reports:
        if report.status != "read" or report.copy in COUNTED_ONCE:
            continue
        code, taken = _why_not(report, today)
        if code or taken is None:
            on = report.acquisition_date
            findings.append(Finding(code or "no_date", report.patient_pseudonym, report.file or "", date=on))
            continue
        patient = report.patient_pseudonym or ""
        facts[patient].append((report.sex, None if report.age_years is None else taken.year - report.age_years))
        for hip in report.hips:
            if hip.status != "read":
                continue
            if why := _doubtful_side(hip):
                findings.append(Finding(why, patient, report.file or "", hip.side, taken.isoformat()))
                continue
            seen[patient, hip.side or ""].append(_seen(report, hip, taken))
    several = {patient for patient, known in facts.items() if _contradict(known)}
    for key in [key for key in seen if key[0] in several or _sizes_differ(seen[key])]:
        code = "two_patients" if key[0] in several else "two_sizes"
        findings += [Finding(code, one.patient, one.file, one.side, one.taken.isoformat()) for one in seen.pop(key)]
    return seen, findings


def _why_not(report: FilmReport, today: date) -> tuple[str | None, date | None]:
    try:
        taken = date.fromisoformat(report.acquisition_date or "")
    except ValueError:
        taken = None
    if report.copy:
        return "in_conflict", taken
    if report.patient_pseudonym is None:
        return "no_patient", taken
    return ("future_date" if taken and taken > today else None), taken


def _doubtful_side(hip: HipReport) -> str | None:
    if hip.side is None:
        return "side_unknown"
    return "side_exchanged" if any("side_contradiction" in one.flags for one in hip.estimates) else None


def _seen(report: FilmReport, hip: HipReport, taken: date) -> Seen:
    return Seen(
        patient=report.patient_pseudonym or "",
        side=hip.side or "",
        taken=taken,
        file=report.file or "",
        conditions=tuple(getattr(report, name) for name in CONDITIONS),
        bundle=report.bundle,
        unit=unit_of(report),
        size_mm=size_mm(hip, report.spacing_mm),
        estimates=hip.estimates,
    )


def unit_of(report: FilmReport) -> str:
    """The X-ray unit of a film by maker and model."""
    return " ".join(filter(None, [report.maker, report.model])) or UNIT_NOT_NAMED


def size_mm(hip: HipReport, spacing_mm: tuple[float, float] | None) -> float:
    """Greater to lesser trochanter in mm at the hip; NaN where it is not known."""
    greater, lesser = (hip.landmarks_px.get(f"{name}_trochanter") for name in ("greater", "lesser"))
    if not (greater and lesser and spacing_mm):
        return math.nan
    return math.hypot((greater[0] - lesser[0]) * spacing_mm[1], (greater[1] - lesser[1]) * spacing_mm[0])


def _contradict(facts: list[tuple[str | None, float | None]]) -> bool:
    """Whether films under one patient ID say two sexes or two births."""
    births = [birth for _, birth in facts if birth is not None]
    return len({sex for sex, _ in facts} - {None}) > 1 or (
        bool(births) and max(births) - min(births) > BIRTHS_APART_YEARS
    )


def _sizes_differ(films: list[Seen]) -> bool:
    sizes = [one.size_mm for one in films if not math.isnan(one.size_mm)]
    return len(sizes) > 1 and max(sizes) > SIZES_APART * min(sizes)
