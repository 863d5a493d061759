"""What the rows of a table alone show to be wrong with their DEXA, before any film is read.

Every command that takes a table with DEXA runs these checks. What cannot be true of any clinic is of severity "error";
what is rare is said with its rows, and left to who knows them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from bmd_edge.errors import TableError
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import hologic_gcm2, to_hologic
from bmd_edge.table.film_table import SCALES, HipRow
from calibration.pairs.finding import Finding
from calibration.pairs.pairs import Pair

MAX_GAP_DAYS = 365
"""Between film and DEXA: bone changes by about one DXA precision error a year."""

EXCHANGED_ROWS = 5
"""Rows from which on a majority with the neck above the total hip is no chance: it is one hip in fifty."""

_RARE = 0.1  # share of hips with the neck above the total hip that no clinic reaches
_FAR_ABOVE_GCM2 = 0.05  # one hip in fifty has its neck above the total hip, hardly one in a thousand so far
_NAMED = 5  # rows that a sentence names; it counts the rest

MISNAMED_SUBJECTS = 20
_NECK_GCM2 = ((40, 0.858), (60, 0.790), (75, 0.717), (200, 0.642))
_LEVEL_SD, _HIGHER_GCM2, _HIGHER_SD = 0.08, 0.12, 0.035
_FITS_BETTER = 6.0
"""What a clinic's median DEXA is expected to be on the Hologic scale: the neck by age (up to each of these years; of
women of 20-29, Looker 1998, and of both sexes in Taiwan), and the total hip above it (0.084 in women of 20-29, more in
men and with age). The SDs are between clinics, so wide that one of osteoporotic women or of heavy men is no surprise.
Another scale fits better if the square of the distance in these SDs is smaller by more than 6."""


def dexa_findings(rows: Sequence[HipRow]) -> list[Finding]:
    """Findings of rows of a table; hips without DEXA say nothing. Films are not looked at."""
    return [*_exchanged_sites(rows), *_misnamed_scales(rows), *_dates_apart(rows)]


def refuse_errors(table: str, findings: Iterable[Finding]) -> list[Finding]:
    """The findings that leave a table usable.

    Raises:
        TableError: one is of severity "error"; nothing may be fitted to or learned from such a table.
    """
    findings = list(findings)
    for finding in findings:
        if finding.severity == "error":
            raise TableError(f"{table}: {finding.sentence}")
    return findings


def named_rows(rows: Iterable[HipRow | Pair]) -> str:
    """Rows as a spreadsheet numbers them: "rows 2, 5 and 9"; their films where they are of no spreadsheet."""
    names = [str(row.table_row) if row.table_row else row.film for row in rows]
    shown = names[:_NAMED] + ([f"{len(names) - _NAMED} more"] if len(names) > _NAMED else [])
    joined = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"row{'s' if len(names) > 1 else ''} {joined}"


# -- femoral neck and total hip -----------------------------------------------------------------------------------


def _exchanged_sites(rows: Sequence[HipRow]) -> Iterator[Finding]:
    """The columns of the two sites exchanged, in all rows or in those of one scale, maker or split; or one twice.

    On the Hologic scale no sound table has a majority with the neck above the total hip. As other scanners tell it the
    two lie so close together that a clinic might: there it is a warning.
    """
    both = [row for row in rows if all(row.bmd_gcm2[site] is not None for site in SITES)]
    columns = "columns bmd_femoral_neck_gcm2 and bmd_total_hip_gcm2"
    same = [row for row in both if len(set(row.bmd_gcm2.values())) == 1]
    if len(same) >= EXCHANGED_ROWS and len(same) > len(both) / 2:
        sentence = (
            f"The {columns} hold the same numbers in {len(same)} of {len(both)} hips ({named_rows(same)}): one of them"
            " is a copy of the other. Put the DEXA of each there."
        )
        yield Finding("sites_copied", "error", sentence, len(same))
        return
    for severity, above in (("error", _neck_above), ("warning", _neck_above_as_written)):
        for part, some in _parts(both):
            odd = [row for row in some if above(row)]
            if len(some) >= EXCHANGED_ROWS and len(odd) > len(some) / 2:
                where = f" of {part}" if part else ""
                sentence = (
                    f"The {columns} look exchanged: the femoral neck lies above the total hip in {len(odd)} of"
                    f" {len(some)} hips{where} ({named_rows(odd)}), where it lies below in nearly everybody. Exchange"
                    " them there."
                )
                yield Finding("sites_exchanged", severity, sentence, len(odd))
                return
    odd = [row for row in both if _neck_above(row)]
    many = len(odd) > _RARE * len(both) and len(odd) >= EXCHANGED_ROWS
    odd = odd if many else [row for row in odd if _neck_above(row, _FAR_ABOVE_GCM2)]
    if odd:
        severity = "warning" if many else "note"
        sentence = (
            f"The femoral neck lies above the total hip in {len(odd)} of {len(both)} hips, which is rare: check"
            f" whether the {columns} are exchanged in {named_rows(odd)}."
        )
        yield Finding("neck_above_hip", severity, sentence, len(odd))


def _parts(rows: Sequence[HipRow]) -> Iterator[tuple[str, list[HipRow]]]:
    """All rows, and those that may come from one export of their own."""
    yield "", list(rows)
    for column in ("scale", "maker", "split"):
        for value in sorted({getattr(row, column) for row in rows if getattr(row, column)}):
            yield f"{column} {value}", [row for row in rows if getattr(row, column) == value]


def _neck_above(row: HipRow, by_gcm2: float = 0.0) -> bool:
    found = hologic_gcm2(row)
    return (found["femoral_neck"] or 0.0) > (found["total_hip"] or 0.0) + by_gcm2


def _neck_above_as_written(row: HipRow) -> bool:
    return (row.bmd_gcm2["femoral_neck"] or 0.0) > (row.bmd_gcm2["total_hip"] or 0.0)


# -- DXA scales ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Median:
    """Median of the hips named by one scale: DEXA by site as it stands in the table, g/cm2, and age."""

    bmd_gcm2: dict[str, float]
    age_years: float

    def distance(self, scale: str) -> float:
        """Squared distance from what is expected, if the numbers were of this scale."""
        neck, hip = (to_hologic(self.bmd_gcm2[site], site, scale) for site in ("femoral_neck", "total_hip"))
        expected = next(level for until, level in _NECK_GCM2 if self.age_years < until)
        return ((neck - expected) / _LEVEL_SD) ** 2 + ((hip - neck - _HIGHER_GCM2) / _HIGHER_SD) ** 2


def _misnamed_scales(rows: Sequence[HipRow]) -> Iterator[Finding]:
    """Numbers of one maker's scanners under another's name: the two sites move apart or together, and both move."""
    for scale in SCALES:
        some = [
            row
            for row in rows
            if row.scale == scale and row.age_years is not None and all(row.bmd_gcm2[site] for site in SITES)
        ]
        if len({row.subject for row in some}) < MISNAMED_SUBJECTS or sum(map(_neck_above, some)) > len(some) / 2:
            continue
        level = {site: median(row.bmd_gcm2[site] or 0.0 for row in some) for site in SITES}
        middle = _Median(level, median(row.age_years or 0.0 for row in some))
        fitting = min(SCALES, key=middle.distance)
        if middle.distance(scale) - middle.distance(fitting) > _FITS_BETTER:
            sentence = (
                f"DEXA named {scale} does not look like it: with a median of {level['femoral_neck']:.3f} (neck) and"
                f" {level['total_hip']:.3f} g/cm2 (total hip) at {middle.age_years:.0f} years it fits {fitting} better."
                f" Correct the column scale in {named_rows(some)}."
            )
            yield Finding("scale_misnamed", "error", sentence, len(some))


# -- dates --------------------------------------------------------------------------------------------------------


def _dates_apart(rows: Sequence[HipRow]) -> Iterator[Finding]:
    far = [row for row in rows if _days(row.film_date, row.dxa_date) > MAX_GAP_DAYS]
    if far:
        sentence = (
            f"Film and DEXA lie more than {MAX_GAP_DAYS} days apart in {named_rows(far)} (columns film_date and"
            " dxa_date): the bone may have changed between them. Correct the dates, or leave these rows out."
        )
        yield Finding("dates_apart", "warning", sentence, len(far))


def _days(first: date | None, second: date | None) -> int:
    return abs((first - second).days) if first and second else 0
