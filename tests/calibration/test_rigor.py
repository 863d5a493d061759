"""What falsifies a validation becomes a finding, and sound tables give none."""

import datetime
import json
from dataclasses import replace

import numpy as np
import pytest

from bmd_edge.errors import TableError
from bmd_edge.film.film import film_id
from bmd_edge.table.film_table import HipRow, write_table
from calibration.pairs import learned_from, table_checks
from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import pair
from calibration.validate.validate import compare
from tests.calibration.cohorts import answers, cohort, made_bundle, table_of

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
    assert {film for film, _ in left_out} == {name}


def test_a_film_of_two_subjects_counts_nowhere():
    rows, films = cohort(30)
    films[-1] = replace(films[-1], film_id=films[0].film_id)
    findings, left_out = examined(rows, films)
    assert "film_of_two_subjects" in findings
    assert {film for film, _ in left_out} == {films[0].film, films[-1].film}


def test_films_and_subjects_that_were_learned_from_are_left_out(tmp_path):
    rows, films = cohort(40)
    (tmp_path / "split.json").write_text(json.dumps({"train": [rows[0].subject], "val": []}))
    known = learned_from.read_known([tmp_path])
    known = known.joined(Known(films=frozenset([films[-1].film_id]), unread=2))
    findings, left_out = examined(rows, films, known)
    assert findings["subject_seen"].hips == sum(row.subject == rows[0].subject for row in rows)
    assert findings["film_seen"].films == (films[-1].film_id,)
    assert findings["known_films_missing"].severity == "note"
    assert films[-1].film in {film for film, _ in left_out}
    made = compare(made_bundle(), table_of(tmp_path, rows), "test", known, films, "cpu")
    used = made.facts["precisions"]["int8"]["sites"]["total_hip"]
    assert used["subjects"] < 40
    assert {one["code"] for one in made.facts["findings"]} >= {"film_seen", "subject_seen"}


def test_a_table_that_was_learned_from_names_its_films_by_their_bytes(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"some film")
    rows = [
        HipRow(film="a.dcm", subject="P1", side="R", split="train"),
        HipRow(film="gone.dcm", subject="P2", side="R", split="calibrate"),
        HipRow(film="b.dcm", subject="P3", side="R", split="test"),
    ]
    write_table(tmp_path / "table.csv", rows)
    known = learned_from.read_known([tmp_path / "table.csv"])
    assert known == Known(frozenset({"P1", "P2"}), frozenset({film_id(b"some film")}), 1)
    with pytest.raises(TableError, match="neither"):
        learned_from.read_known([tmp_path / "nothing"])


def test_impossible_dexa_is_left_out_and_unusual_dexa_is_said():
    rows, films = cohort(30)
    rows[0] = replace(rows[0], bmd_gcm2={"femoral_neck": 1.9, "total_hip": 0.9}, scale="hologic")
    rows[5] = replace(rows[5], bmd_gcm2={"femoral_neck": 0.35, "total_hip": 0.5}, scale="hologic")
    findings, left_out = examined(rows, films)
    assert left_out == {(rows[0].film, rows[0].side): "impossible_dexa"}
    assert findings["unusual_dexa"].hips == 1
    assert not findings["unusual_dexa"].left_out


def apart(k, size):
    """A subject whose right hip is denser than the left by `size` g/cm2."""
    rng = np.random.default_rng(k)
    dexa = {"R": np.array([0.7, 0.83]) + size, "L": np.array([0.7, 0.83])}
    film = answers(f"p{k}.dcm", f"{k:016x}", {side: (value, None) for side, value in dexa.items()}, rng,
                   age_years=70.0, sex="F", maker="A")  # fmt: skip
    facts = {"film": film.film, "subject": f"P{k}", "split": "test", "scale": "hologic"}
    rows = [
        HipRow(
            side=side, bmd_gcm2=dict(zip(("femoral_neck", "total_hip"), map(float, dexa[side]), strict=True)), **facts
        )
        for side in "RL"
    ]
    return rows, film


def exchanged(rows):
    other = {row.side: row.bmd_gcm2 for row in rows}
    return [replace(row, bmd_gcm2=other["L" if row.side == "R" else "R"]) for row in rows]


def test_a_subject_with_exchanged_sides_is_an_outlier():
    people = [apart(k, 0.35 if k == 7 else 0.03 * (k % 3 - 1)) for k in range(60)]
    films = [film for _, film in people]
    assert not examined([row for rows, _ in people for row in rows], films)[0]
    rows = [row for k, (rows, _) in enumerate(people) for row in (exchanged(rows) if k == 7 else rows)]
    findings, left_out = examined(rows, films)
    assert findings["sides_swapped_subject"].films == (films[7].film_id,)
    assert not left_out


def test_a_table_with_exchanged_sides_cannot_be_trusted(tmp_path):
    rng = np.random.default_rng(1)
    people = [apart(k, float(np.clip(rng.normal(0, 0.12), -0.25, 0.25))) for k in range(60)]
    films = [film for _, film in people]
    assert not examined([row for rows, _ in people for row in rows], films)[0]
    findings, _ = examined([row for rows, _ in people for row in exchanged(rows)], films)
    assert findings["sides_swapped"].severity == "error"


def test_a_row_of_the_other_side_is_found():
    people = [apart(k, 0.0) for k in range(30)]
    films = [film for _, film in people]
    only_right = {
        name: replace(report, hips=tuple(hip for hip in report.hips if hip.side == "R"))
        for name, report in films[3].reports.items()
    }
    films[3] = replace(films[3], reports=only_right)
    findings, _ = examined([row for rows, _ in people for row in rows], films)
    assert findings["other_side"].films == (films[3].film_id,)


def test_dates_far_apart_few_subjects_and_other_persons_are_said():
    rows, films = cohort(12)
    day = datetime.date(2024, 1, 1)
    rows[0] = replace(rows[0], film_date=day, dxa_date=day + datetime.timedelta(days=400))
    findings, _ = examined(rows, films)
    assert findings["dates_apart"].hips == 1
    assert "11 subjects" in findings["few_subjects"].sentence  # one has an implant
    header = {row.film: (row.age_years, row.sex) for row in rows}
    header[rows[0].film] = (rows[0].age_years + 10, rows[0].sex)
    (found,) = table_checks.contradictions(rows, pair(rows, films), header)
    assert found.code == "header_contradicts_table"
    assert found.films == (films[0].film_id,)
    assert not table_checks.contradictions(rows[3:], pair(rows[3:], films), dict.fromkeys(header, (None, None)))
