"""What a validation counts, finds and refuses."""

from dataclasses import replace

import pytest

from bmd_edge.errors import TableError
from bmd_edge.sites import SITES
from calibration.pairs.learned_from import Known
from calibration.validate.page import write_page
from calibration.validate.validate import compare
from tests.support.cohorts import cohort, made_bundle, table_of


def test_counts_and_reasons(made):
    validation, pairs, _ = made
    facts = validation.facts["precisions"]["fp32"]
    assert facts["rows_without_a_number"]["implant"] == sum(row["fp32_reason"] == "implant" for row in pairs)
    assert sum(facts["films"].values()) == validation.facts["table"]["films"] == len({row["film"] for row in pairs})
    assert validation.facts["table"]["scales"] == {
        scale: sum(row["scale"] == scale for row in pairs) for scale in ("hologic", "lunar")
    }


def test_without_operating_points_no_sensitivity_is_made_up(tmp_path):
    bundle = made_bundle()
    none = {name: replace(one, operating_points=None) for name, one in bundle.calibration.items()}
    rows, films = cohort(20)
    made = compare(replace(bundle, calibration=none), table_of(tmp_path, rows), "test", Known(), films, "cpu")
    headline = made.facts["precisions"]["int8"]["headline"]
    assert headline["operating_points"] is None
    assert headline["at_operating_points"] is None
    write_page(tmp_path / "validation.html", made)
    assert "holds no cuts" in (tmp_path / "validation.html").read_text()


def test_an_interval_that_covers_too_little_is_one_finding(tmp_path):
    rows, films = cohort(300)
    made = compare(made_bundle(), table_of(tmp_path, rows), "test", Known(), films, "cpu")
    codes = [one["code"] for one in made.facts["findings"]]
    covered = made.facts["precisions"]["int8"]["sites"]["femoral_neck"]["figures"]["coverage"]
    assert covered["high"] < 0.88  # spread 0.05 x 1.7 against a bias and an error of about 0.06
    (found,) = [
        one for one in made.facts["findings"] if one["code"] == "interval_too_narrow" and "neck" in one["sentence"]
    ]
    assert f"{covered['value']:.1%}" in found["sentence"]
    assert "sex" not in found["sentence"], "parts are named only where the whole does not show it"
    assert codes.count("interval_too_narrow") <= len(SITES)


def test_nothing_to_validate_is_an_error_that_says_why(tmp_path):
    rows, films = cohort(6)
    table = table_of(tmp_path, rows)
    with pytest.raises(TableError, match="no row has split = val"):
        compare(made_bundle(), table, "val", Known(), films, "cpu")
    known = Known(subjects=frozenset(row.subject for row in rows))
    with pytest.raises(TableError, match=r"left out \(subject_seen\)"):
        compare(made_bundle(), table, "test", known, films, "cpu")
