"""What falsifies a validation becomes a finding, and sound tables give none."""

import datetime
from dataclasses import replace

from bmd_edge.measure.network_answer import NetworkAnswer
from calibration.pairs import table_checks
from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import pair
from tests.support.cohorts import cohort

NONE = Known()


def examined(rows, films, known=NONE):
    found = table_checks.examine(rows, pair(rows, films), known, "int8")
    return {finding.code: finding for finding in found.findings}, found.left_out


def test_a_sound_table_has_no_finding_but_its_scales():
    findings, left_out = examined(*cohort())
    assert set(findings) == {"scales_converted"}
    assert "lunar" in findings["scales_converted"].sentence
    assert not left_out


def test_a_film_under_two_names_counts_once():
    rows, films = cohort(30)
    films[-1] = replace(films[-1], film_id=films[0].film_id)
    name, first = films[-1].film, films[0].film
    subject = next(row.subject for row in rows if row.film == first)
    rows = [replace(row, subject=subject) if row.film == name else row for row in rows]
    findings, left_out = examined(rows, films)
    assert findings["duplicate_film"].left_out
    assert findings["duplicate_film"].films == (films[0].film_id,)
    rows = [replace(row, table_row=number) for number, row in enumerate(rows, start=2)]
    again = [str(row.table_row) for row in rows if row.film == name]
    said = examined(rows, films)[0]["duplicate_film"].sentence
    assert said.endswith(f"Found in row{'s' * (len(again) > 1)} {' and '.join(again)} of the table.")
    assert {film for film, _ in left_out} == {name}


def test_a_film_of_two_subjects_counts_nowhere():
    rows, films = cohort(30)
    films[-1] = replace(films[-1], film_id=films[0].film_id)
    findings, left_out = examined(rows, films)
    assert "film_of_two_subjects" in findings
    assert {film for film, _ in left_out} == {films[0].film, films[-1].film}


def test_impossible_dexa_is_left_out_and_unusual_dexa_is_said():
    rows, films = cohort(30)
    rows[0] = replace(rows[0], bmd_gcm2={"femoral_neck": 1.9, "total_hip": 0.9}, scale="hologic")
    rows[5] = replace(rows[5], bmd_gcm2={"femoral_neck": 0.35, "total_hip": 0.5}, scale="hologic")
    findings, left_out = examined(rows, films)
    assert left_out == {(rows[0].film, rows[0].side): "impossible_dexa"}
    assert findings["unusual_dexa"].hips == 1
    assert not findings["unusual_dexa"].left_out


def test_dates_far_apart_few_subjects_and_other_persons_are_said():
    rows, films = cohort(12)
    day = datetime.date(2024, 1, 1)
    rows[0] = replace(rows[0], film_date=day, dxa_date=day + datetime.timedelta(days=400))
    findings, _ = examined(rows, films)
    assert findings["dates_apart"].hips == 1
    assert "11 subjects" in findings["few_subjects"].sentence  # one has an implant
    older = [replace(rows[0], age_years=rows[0].age_years - 10), *rows[1:]]
    (found,) = table_checks.contradictions(older, pair(rows, films), films)
    assert found.code == "header_contradicts_table"
    assert found.films == (films[0].film_id,)
    assert not table_checks.contradictions(rows, pair(rows, films), films)


def test_one_film_under_two_headers_is_one_film():
    """Anonymized twice, its bytes differ and its pixels do not: the network answers the same to the last bit."""
    rows, films = cohort(30)
    answer = NetworkAnswer((0.7, 0.8), (0.1, 0.1), (1.5, -0.25), (0.5,))
    hips = [len(film.reports["fp32"].hips) for film in films]
    same = next(k for k, n in enumerate(hips) if n == hips[0] and films[k].film[:9] != films[0].film[:9])
    other = next(k for k, n in enumerate(hips) if n == hips[0] and k > same)
    for k, seen in ((0, answer), (other, replace(answer, embedding=(1.5, -0.26))), (same, answer)):
        reports = {
            name: replace(report, hips=tuple(replace(hip, network=seen) for hip in report.hips))
            for name, report in films[k].reports.items()
        }
        films[k] = replace(films[k], reports=reports)
    findings, left_out = examined(rows, films)
    assert findings["film_of_two_subjects"].films == tuple(sorted({films[0].film_id, films[same].film_id}))
    assert {film for film, _ in left_out} == {films[0].film, films[same].film}
