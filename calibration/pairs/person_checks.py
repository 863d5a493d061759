"""What the rows of a table show to be wrong with its subjects and dates."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date

from bmd_edge.table.film_table import HipRow
from bmd_edge.table.names import subject_key
from calibration.pairs.dexa_checks import named_rows
from calibration.pairs.finding import Finding

BIRTH_APART_YEARS = 1.5
"""Ages in whole years put the births of one person up to a year apart."""

FIRST_YEAR = 1970
"""No DEXA and no digital film is older."""


def person_findings(rows: Sequence[HipRow], today: date) -> Iterator[Finding]:
    """Dates that cannot be, and subjects whose sex or birth changes between their rows."""
    odd = [row for row in rows if any(day and not _possible(day, today) for day in (row.film_date, row.dxa_date))]
    if odd:
        sentence = (
            f"A date lies in the future or before {FIRST_YEAR} in {named_rows(odd)} (columns film_date and dxa_date):"
            " correct it."
        )
        yield Finding("impossible_date", "warning", sentence, len(odd))
    subjects: dict[str, list[HipRow]] = defaultdict(list)
    for row in rows:
        subjects[subject_key(row.subject)].append(row)
    for code, what, changes in (
        ("sex_changes", "sex (column sex)", lambda some: len({row.sex for row in some if row.sex}) > 1),
        ("birth_changes", "year of birth (columns age_years, film_date or dxa_date)", _birth_changes),
    ):
        torn = [row for some in subjects.values() if changes(some) for row in some]
        if torn:
            sentence = (
                f"The {what} of one subject changes between its rows, in {named_rows(torn)}: two persons under one"
                " name, or a slip. Name them apart, or correct it."
            )
            yield Finding(code, "warning", sentence, len(torn))


def _possible(day: date, today: date) -> bool:
    return day.year >= FIRST_YEAR and day <= today


def _birth_changes(rows: Sequence[HipRow]) -> bool:
    births = [
        day.year + day.timetuple().tm_yday / 365.25 - row.age_years
        for row in rows
        if row.age_years is not None and (day := row.film_date or row.dxa_date)
    ]
    return bool(births) and max(births) - min(births) > BIRTH_APART_YEARS
