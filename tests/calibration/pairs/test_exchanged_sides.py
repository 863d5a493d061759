from dataclasses import replace

import numpy as np

from bmd_edge.table.film_table import HipRow
from calibration.pairs import table_checks
from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import pair
from tests.support.cohorts import answers

NONE = Known()


def examined(rows, films, known=NONE):
    found = table_checks.examine(rows, pair(rows, films), known, "int8")
    return {finding.code: finding for finding in found.findings}, found.left_out


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
