"""What can make a validation worthless: each becomes a finding, never a silent average.

Hips that would falsify a figure are left out of all of them and counted. A finding of severity "error" says that the
figures cannot be trusted as they stand.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from bmd_edge.measure.estimate import PLAUSIBLE_GCM2
from bmd_edge.measure.t_score import REFERENCES
from bmd_edge.table.film_table import HipRow
from bmd_edge.table.names import subject_key
from calibration.pairs.answers import FilmAnswers
from calibration.pairs.dexa_checks import dexa_findings, named_rows
from calibration.pairs.exchanged_sides import exchanged_sides
from calibration.pairs.finding import Finding
from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import Pair
from calibration.pairs.person_checks import person_findings

MIN_SUBJECTS = 30
"""Below it every interval is wide, and the exact ones lean on normal errors."""

_MAX_AGE_GAP_YEARS = 2.0

Key = tuple[str, str]
"""A row of the table: film and side."""


@dataclass(frozen=True, slots=True)
class Rigor:
    """All findings, and the rows that no figure may hold, each with the code of its finding."""

    findings: list[Finding] = field(default_factory=list)
    left_out: dict[Key, str] = field(default_factory=dict)


def examine(rows: Sequence[HipRow], pairs: Sequence[Pair], known: Known, precision: str) -> Rigor:
    """Look for everything that can be wrong between films and DEXA; `rows` and `pairs` in the same order."""
    rigor = Rigor()
    _duplicates(rigor, pairs)
    _seen(rigor, pairs, known)
    _implausible(rigor, pairs)
    kept = [one for one in pairs if (one.film, one.side) not in rigor.left_out]
    rigor.findings.extend(exchanged_sides(kept, precision))
    _wrong_side_films(rigor, kept, precision)
    _unusual(rigor, kept)
    _scales(rigor, kept)
    rigor.findings.extend(dexa_findings(rows))
    rigor.findings.extend(person_findings(rows, date.today()))
    _few(rigor, kept, precision)
    return rigor


def contradictions(rows: Sequence[HipRow], pairs: Sequence[Pair], films: Iterable[FilmAnswers]) -> list[Finding]:
    """Films whose header names another sex or age than the table."""
    header = {film.film: next(iter(film.reports.values())) for film in films}
    found = []
    for row, one in zip(rows, pairs, strict=True):
        age, sex = header[row.film].age_years, header[row.film].sex
        older = age is not None and row.age_years is not None and abs(age - row.age_years) > _MAX_AGE_GAP_YEARS
        if older or (sex is not None and row.sex is not None and sex != row.sex):
            found.append(one)
    sentence = (
        f"The header of these films names another sex, or an age more than {_MAX_AGE_GAP_YEARS:g} years away, than the"
        " table: film and DEXA may be of different persons."
    )
    return [_of_rows("header_contradicts_table", "warning", sentence, found)] if found else []


# -- left out of every figure -------------------------------------------------------------------------------------


def _leave_out(rigor: Rigor, code: str, severity: str, sentence: str, pairs: Sequence[Pair]) -> None:
    if pairs:
        rigor.findings.append(replace(_of_rows(code, severity, sentence, pairs), left_out=True))
        for one in pairs:
            rigor.left_out.setdefault((one.film, one.side), code)


def _duplicates(rigor: Rigor, pairs: Sequence[Pair]) -> None:
    """The same film under several names: one of them counts, none if the table gives it to several subjects.

    Films are the same by their bytes, or by their pixels under headers of their own.
    """
    groups: list[list[Pair]] = []
    known: dict[object, list[Pair]] = {}
    for one in pairs:
        names = [name for name in (one.film_id, one.pixels) if name]
        group = next((known[name] for name in names if name in known), None)
        if group is None:
            groups.append(group := [])
        group.append(one)
        known |= dict.fromkeys(names, group)
    again, torn = [], []
    for group in groups:
        if len({one.subject for one in group}) > 1:
            torn += group
        else:
            again += [one for one in group if one.film != group[0].film]
    _leave_out(
        rigor, "duplicate_film", "warning",
        "The same film stands in the table under several names; only the first counts.", again,
    )  # fmt: skip
    _leave_out(
        rigor, "film_of_two_subjects", "warning",
        "The same film is given to several subjects, so its DEXA is not known; it counts nowhere.", torn,
    )  # fmt: skip


def _seen(rigor: Rigor, pairs: Sequence[Pair], known: Known) -> None:
    subjects = set(map(subject_key, known.subjects))
    _leave_out(
        rigor, "film_seen", "warning",
        "These films were learned from, in training or calibration; a network agrees too well with what it has seen.",
        [one for one in pairs if one.film_id in known.films],
    )  # fmt: skip
    _leave_out(
        rigor, "subject_seen", "warning",
        "Other films of these subjects were learned from, in training or calibration.",
        [one for one in pairs if subject_key(one.subject) in subjects and one.film_id not in known.films],
    )  # fmt: skip
    if known.unread:
        sentence = (
            f"{known.unread} films that were learned from are not on this disk: only their subjects are compared."
        )
        rigor.findings.append(Finding("known_films_missing", "note", sentence))


def _implausible(rigor: Rigor, pairs: Sequence[Pair]) -> None:
    low, high = PLAUSIBLE_GCM2
    odd = [
        one for one in pairs if any(value is not None and not low <= value <= high for value in one.dexa_gcm2.values())
    ]
    sentence = (
        f"DEXA outside {low:g}-{high:g} g/cm2 on the Hologic scale cannot be right: check unit, column and scale."
    )
    _leave_out(rigor, "impossible_dexa", "warning", sentence, odd)


# -- said, and left in --------------------------------------------------------------------------------------------


def _unusual(rigor: Rigor, pairs: Sequence[Pair]) -> None:
    odd = [
        one
        for one in pairs
        for site, value in one.dexa_gcm2.items()
        if value is not None and not REFERENCES[site].lowest_gcm2 <= value <= REFERENCES[site].highest_gcm2
    ]
    if odd:
        sentence = "DEXA outside the range of community samples; kept, but worth a second look."
        rigor.findings.append(_of_rows("unusual_dexa", "note", sentence, odd))


def _wrong_side_films(rigor: Rigor, pairs: Sequence[Pair], precision: str) -> None:
    odd = [one for one in pairs if one.answers[precision].reason == "other_side"]
    if odd:
        sentence = "The film shows a hip of the other side only: check the side in the table; the row has no estimate."
        rigor.findings.append(_of_rows("other_side", "warning", sentence, odd))


def _scales(rigor: Rigor, pairs: Sequence[Pair]) -> None:
    used = sorted({one.scale for one in pairs if one.scale})
    if used and used != ["hologic"]:
        counts = ", ".join(f"{scale} {sum(one.scale == scale for one in pairs)}" for scale in used)
        sentence = (
            f"DEXA of other scales is converted to Hologic through the standardized BMD (hips: {counts}); the "
            "conversion adds an error of its own."
        )
        rigor.findings.append(Finding("scales_converted", "note", sentence))


def _few(rigor: Rigor, pairs: Sequence[Pair], precision: str) -> None:
    subjects = {one.subject for one in pairs if one.answers[precision].bmd_gcm2 and _labelled(one)}
    if len(subjects) < MIN_SUBJECTS:
        sentence = f"Only {len(subjects)} subjects have both numbers; with less than {MIN_SUBJECTS} little can be said."
        rigor.findings.append(Finding("few_subjects", "warning", sentence))


def _labelled(one: Pair) -> bool:
    return any(value is not None for value in one.dexa_gcm2.values())


def _of_rows(code: str, severity: str, sentence: str, pairs: Sequence[Pair]) -> Finding:
    """A finding on some rows, which end its sentence; the films by film_id alone, for their names may name persons."""
    films = tuple(sorted({one.film_id or one.film for one in pairs}))
    return Finding(code, severity, f"{sentence} Found in {named_rows(pairs)} of the table.", len(pairs), films)
