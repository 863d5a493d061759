"""A clinic's precision by the ISCD recipe, against the analysis of variance, and its file."""

import json
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import TableError, UsageError
from bmd_edge.follow.repeatability import open_repeatability
from bmd_edge.table.film_table import HipRow, read_table, write_table
from calibration.pairs.answers import FilmAnswers
from calibration.repeat import precision as workshop
from calibration.repeat.precision import check_file, said, site_repeatability, write_repeatability
from tests.bmd_edge.follow.made_up import visited


def drawn(n=40, films=(2, 3), sd=0.02, seed=0):
    rng = np.random.default_rng(seed)
    return [(str(k), rng.normal(0.8, 0.1) + rng.normal(0, sd, films[k % 2])) for k in range(n)]


def test_the_sd_is_the_error_of_an_analysis_of_variance_with_its_upper_limit():
    groups = drawn()
    found = site_repeatability(groups)
    table = pd.DataFrame([(name, value) for name, values in groups for value in values], columns=["hip", "bmd"])
    fitted = ols("bmd ~ C(hip)", table).fit()
    assert found.degrees_of_freedom == fitted.df_resid == 60
    assert found.rms_sd_gcm2 == pytest.approx(np.sqrt(fitted.mse_resid), abs=1e-5)
    assert found.rms_sd_high_gcm2 == pytest.approx(np.sqrt(fitted.ssr / stats.chi2.ppf(0.05, 60)), abs=1e-5)
    assert found.lsc_gcm2 == pytest.approx(2.77 * found.rms_sd_gcm2, abs=1e-4)


def test_the_upper_limit_lies_above_the_true_sd_in_95_of_100_studies():
    held = sum(site_repeatability(drawn(30, (2, 2), seed=k)).rms_sd_high_gcm2 >= 0.02 for k in range(1000))
    assert abs(held / 1000 - 0.95) < 4 * (0.95 * 0.05 / 1000) ** 0.5


def test_thirty_degrees_of_freedom_are_the_least_and_both_hips_of_a_subject_count_once():
    pairs = drawn(30, (2, 2))
    assert site_repeatability(pairs).degrees_of_freedom == 30
    both = [(name, values) for name, values in pairs[:15] for _ in range(2)]
    for few in (pairs[:29], both):
        with pytest.raises(UsageError, match="30 are the least"):
            site_repeatability(few)
    with pytest.raises(TableError, match="copies of one film"):
        site_repeatability([(name, np.array([0.7, 0.7])) for name, _ in pairs])


@pytest.fixture
def clinic(tmp_path, monkeypatch):
    """A table of 32 subjects filmed twice within a week, and once more by another unit; the films are never opened."""
    rng, rows, films = np.random.default_rng(1), [], []
    for k in range(32):
        bmd = rng.normal(0.8, 0.1)
        for number, (taken, unit) in enumerate((("2024-01-01", "One"), ("2024-01-05", "One"), ("2024-01-09", "Two"))):
            name = f"{k}-{number}.dcm"
            value = round(bmd + rng.normal(0, 0.02) + 0.05 * (unit == "Two"), 4)
            rows.append(HipRow(film=name, subject=f"P{k}", side="R", split="test", extra={"x_taken_under": "routine"}))
            report = visited(taken, value, model=unit)
            films.append(FilmAnswers(name, None, {"int8": report, "fp32": report}))
    rows[-1] = replace(rows[-1], extra={"x_taken_under": "approval 12/3"})
    rows.append(replace(rows[0], film="learned.dcm", subject="PX", split="train", extra={}))
    write_table(tmp_path / "films.csv", rows)
    monkeypatch.setattr(workshop, "read_films", lambda *_: (films, "cpu"))
    return tmp_path / "films.csv"


def test_a_clinic_measures_its_precision_and_the_file_reads_back(clinic, tmp_path):
    bundle = read_bundle(None)
    found = workshop.measure(bundle, clinic)
    assert set(found.file.precisions) == {"int8", "fp32"}
    hip = found.file.precisions["int8"]["total_hip"]
    assert (hip.degrees_of_freedom, hip.hips, hip.films, hip.slope) == (32, 32, 64, None)
    assert 0.015 < hip.rms_sd_gcm2 < 0.026
    (units,) = found.file.between_units["int8"]
    assert (units.units, units.hips) == (("Drawn One", "Drawn Two"), 32)
    assert units.low_gcm2["total_hip"] < 0.05 < units.high_gcm2["total_hip"]
    assert found.file.taken_under == {"approval 12/3": 1, "routine": 95}
    assert found.file.units == ("Drawn One",)
    assert found.left_out["learned_from"] == 1
    write_repeatability(tmp_path / "clinic.json", found.file)
    assert open_repeatability(tmp_path / "clinic.json") == found.file
    assert "P0" not in (tmp_path / "clinic.json").read_text()
    text = "\n".join(said(found))
    assert "Drawn One | Drawn Two, 32 hips with films of both:\n  femoral neck +0.0" in text
    assert "least significant change of two films 0.0" in text
    assert "no longitudinal slope, so no rates" in text
    assert "95 routine" in text


def test_copies_of_one_exposure_are_no_repeated_films():
    with pytest.raises(TableError, match=r"differ by 0\.2.% \(RMS-CV\).*copies of one exposure.*all but one of each"):
        site_repeatability(drawn(sd=0.0017))


def test_a_subject_of_two_patients_and_dates_that_headers_contradict_are_said(clinic, monkeypatch):
    """Two films a day apart by the table, months by their headers; dates shifted alike say nothing."""
    assert workshop.measure(read_bundle(None), clinic).findings == []
    rows, (films, _) = read_table(clinic), workshop.read_films()
    day = date(2020, 3, 1)
    rows[0], rows[1] = replace(rows[0], film_date=day), replace(rows[1], film_date=day + timedelta(days=1))
    for k, film_date in ((3, day), (4, day + timedelta(days=4))):
        rows[k] = replace(rows[k], film_date=film_date)
    write_table(clinic, rows)

    def film(k, **facts):
        reports = {name: replace(one, **facts) for name, one in films[k].reports.items()}
        return replace(films[k], reports=reports)

    changed = [*films]
    changed[1] = film(1, acquisition_date="2024-09-05")
    changed[7] = film(7, patient_pseudonym="pt-b")
    monkeypatch.setattr(workshop, "read_films", lambda *_: (changed, "cpu"))
    found = {one.code: one.sentence for one in workshop.measure(read_bundle(None), clinic).findings}
    assert set(found) == {"subject_of_patients", "dates_contradict_headers"}
    assert "rows 8, 9 and 10" in found["subject_of_patients"]
    assert "rows 2, 3 and 4" in found["dates_contradict_headers"]


def test_another_file_is_not_written_over(tmp_path):
    check_file(tmp_path / "new.json")
    (tmp_path / "other.json").write_text(json.dumps({"mine": 1}))
    with pytest.raises(UsageError, match="would be lost"):
        check_file(tmp_path / "other.json")
