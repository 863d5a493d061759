"""Subjects and dates that cannot be, from the rows of a table alone."""

from dataclasses import replace
from datetime import date

from calibration.pairs.dexa_checks import dexa_findings
from calibration.pairs.person_checks import person_findings
from tests.calibration.pairs.test_dexa_checks import clinic

TODAY = date(2026, 6, 1)


def test_a_row_with_two_dates_that_cannot_be_is_named_once() -> None:
    rows = clinic(3)
    rows[1] = replace(rows[1], film_date=date(2027, 1, 1), dxa_date=date(2027, 1, 2))
    (finding,) = person_findings(rows, TODAY)
    assert "in row 3 (columns" in finding.sentence
    assert finding.hips == 1


def test_one_subject_with_both_sexes_is_said_once() -> None:
    rows = clinic(6)
    assert not list(person_findings(rows, TODAY))
    rows[1:4] = [replace(rows[1], sex="M"), replace(rows[2], subject="S1"), replace(rows[3], subject=" s1 ", sex=None)]
    (finding,) = [*dexa_findings(rows), *person_findings(rows, TODAY)]
    assert (finding.code, finding.severity, finding.hips) == ("sex_changes", "warning", 3)
    assert "in rows 3, 4 and 5: two persons under one name, or a slip. Name them apart" in finding.sentence
