"""Films of one hip beside each other: within the short term, by several X-ray units, and over years with DEXA."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from scipy import stats

from bmd_edge.errors import TableError
from bmd_edge.follow.repeatability import BetweenUnits
from bmd_edge.follow.series import unit_of
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import to_hologic
from bmd_edge.table.film_table import HipRow, spelled_otherwise
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.dexa_checks import named_rows
from calibration.pairs.finding import Finding
from calibration.pairs.pairs import answer_at
from calibration.statistics.bootstrap import F64

SHORT_TERM_DAYS = 90
"""Films of a hip so close together show one bone: it loses less than 0.3 % in between, of ordinary loss."""
TAKEN_UNDER, UNIT = "x_taken_under", "x_unit"
MAX_MOVED_DAYS = 7
"""By which two films may lie further apart in the table than in their headers."""
ROUTINE = "routine"
"""What `TAKEN_UNDER` says of a film that was taken anyway; else it names the approval it was taken under."""


@dataclass(frozen=True, slots=True)
class HipFilm:
    """One hip on one film: estimates (sites,) and DEXA (sites,) on the Hologic scale in g/cm2, NaN without DEXA.

    `unit` tells X-ray units apart; `model` is how `bmd-edge follow` names them, by the header's maker and model.
    """

    subject: str
    side: str
    taken: date
    unit: str
    model: str
    pixels: tuple[float, ...]
    bmd_gcm2: F64
    dexa_gcm2: F64


Hips = dict[tuple[str, str], list[HipFilm]]
"""The films of each hip by subject and side, in the order of their dates."""


def check_taken_under(table: str, rows: Sequence[HipRow]) -> None:
    """TableError unless every row says why its film was taken."""
    if missing := [row for row in rows if not row.extra.get(TAKEN_UNDER)]:
        column = f"column {TAKEN_UNDER}{spelled_otherwise(TAKEN_UNDER, missing)}"
        raise TableError(
            f"{table}: {len(missing)} rows do not say why their film was taken ({column}), {missing[0].film} is the"
            f" first: write {ROUTINE} for films that were taken anyway, else the approval. No film is taken for this"
            " without one"
        )


def hip_films(rows: Sequence[HipRow], films: Iterable[FilmAnswers], precision: str) -> tuple[Hips, int, int]:
    """The hips with a number in one precision, how many rows have none or no date, and how many are copies.

    A film's date is the table's, else the header's; its unit is named by the column `UNIT`, else by maker and model.
    """
    by_film = {one.film: one for one in films}
    found: Hips = defaultdict(list)
    without = copies = 0
    for row in rows:
        film = by_film[row.film]
        report = film.reports[precision]
        answer, taken = answer_at(row.side, report), row.film_date or _date(report.acquisition_date)
        if answer.reason or taken is None:
            without += 1
            continue
        hip = found[row.subject, row.side]
        if film.pixels and any(film.pixels == other.pixels for other in hip):
            copies += 1
            continue
        named = row.extra.get(UNIT) or " ".join(filter(None, [row.maker or report.maker, report.model]))
        dexa = [
            np.nan if (value := row.bmd_gcm2[site]) is None else to_hologic(value, site, row.scale or "")
            for site in SITES
        ]
        bmd = np.array([answer.bmd_gcm2[site] for site in SITES])
        hip.append(HipFilm(row.subject, row.side, taken, named, unit_of(report), film.pixels, bmd, np.array(dexa)))
    return {key: sorted(hip, key=lambda one: one.taken) for key, hip in found.items()}, without, copies


def repeated_findings(rows: Sequence[HipRow], films: Iterable[FilmAnswers]) -> list[Finding]:
    """Subjects whose films are of several patients by their headers, and those whose films lie further apart by their
    headers than by the table. Dates that were shifted alike in all films of a subject say nothing.
    """
    reports = {one.film: next(iter(one.reports.values())) for one in films}
    patients: dict[str, set[str]] = defaultdict(set)
    moved: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        report = reports[row.film]
        if report.patient_pseudonym:
            patients[row.subject].add(report.patient_pseudonym)
        if row.film_date and (taken := _date(report.acquisition_date)):
            moved[row.subject].append((row.film_date - taken).days)
    several = {subject for subject, names in patients.items() if len(names) > 1}
    apart = {subject for subject, days in moved.items() if max(days) - min(days) > MAX_MOVED_DAYS}
    found = []
    for code, subjects, what in (
        (
            "subject_of_patients",
            several,
            "The headers of these films name several patients (Patient ID) for one subject",
        ),
        (
            "dates_contradict_headers",
            apart,
            f"The dates between these films differ by more than {MAX_MOVED_DAYS} days between the table (film_date) and"
            " their headers",
        ),
    ):
        if odd := [row for row in rows if row.subject in subjects]:
            sentence = f"{what}: {named_rows(odd)}. Correct the table, or leave these films out; they count here."
            found.append(Finding(code, "warning", sentence, len(odd)))
    return found


def _date(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def short_term(hips: Hips) -> list[list[HipFilm]]:
    """The repeated films of a hip by one unit, within `SHORT_TERM_DAYS` of their first."""
    found = []
    for films in hips.values():
        for unit in sorted({one.unit for one in films}):
            found += [group for group in _groups([one for one in films if one.unit == unit]) if len(group) > 1]
    return found


def between_units(hips: Hips) -> list[BetweenUnits]:
    """Hips that two units have filmed within `SHORT_TERM_DAYS`: the mean difference with its 95 % interval (t)."""
    differences: dict[tuple[str, str], list[F64]] = defaultdict(list)
    for films in hips.values():
        for group in _groups(films):
            means = {
                unit: np.mean([one.bmd_gcm2 for one in group if one.unit == unit], axis=0)
                for unit in sorted({one.unit for one in group})
            }
            for first in means:
                for second in means:
                    if first < second:
                        differences[first, second].append(means[second] - means[first])
    return [_difference(units, np.stack(some)) for units, some in sorted(differences.items())]


def _difference(units: tuple[str, str], values: F64) -> BetweenUnits:
    n, mean = len(values), values.mean(axis=0)
    half = stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(len(SITES), np.inf)
    known = bool(np.isfinite(half).all())
    return BetweenUnits(
        units=units,
        hips=n,
        difference_gcm2=_by_site(mean),
        low_gcm2=_by_site(mean - half) if known else {},
        high_gcm2=_by_site(mean + half) if known else {},
    )


def _by_site(values: F64) -> dict[str, float]:
    return {site: round(float(value), 4) for site, value in zip(SITES, values, strict=True)}


def _groups(films: Sequence[HipFilm]) -> list[list[HipFilm]]:
    """Films in order of date, cut where one lies more than `SHORT_TERM_DAYS` after the first of its group."""
    groups: list[list[HipFilm]] = []
    for one in films:
        if groups and (one.taken - groups[-1][0].taken).days <= SHORT_TERM_DAYS:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups
