from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics

from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.measure.t_score import t_score
from bmd_edge.sites import SITES
from calibration.pairs.learned_from import Known
from calibration.validate.int8_shift import headlines
from calibration.validate.validate import compare
from tests.calibration.validate.pairs_oracle import EXACT, classes, values
from tests.support.cohorts import cohort, made_bundle, table_of


@pytest.mark.parametrize("site", SITES)
def test_int8_against_fp32(made, site):
    validation, pairs, _ = made
    facts = validation.facts["quantized"]["int8"]["sites"][site]
    rows = [row for row in pairs if row[f"fp32_bmd_{site}_gcm2"]]
    fp32, int8 = (np.array([float(row[f"{name}_bmd_{site}_gcm2"]) for row in rows]) for name in ("fp32", "int8"))
    dexa = np.array([float(row[f"dexa_hologic_{site}_gcm2"]) for row in rows])
    found = values(facts["figures"])
    assert found["mean_shift_gcm2"] == pytest.approx(np.mean(int8 - fp32), **EXACT)
    for name, share in (("p95_shift_gcm2", 0.95), ("p99_shift_gcm2", 0.99)):
        assert found[name] == pytest.approx(np.quantile(np.abs(int8 - fp32), share, method="inverted_cdf"), **EXACT)
    assert facts["max_shift_gcm2"] == pytest.approx(np.abs(int8 - fp32).max(), **EXACT)
    change = metrics.root_mean_squared_error(dexa, int8) / metrics.root_mean_squared_error(dexa, fp32) - 1
    assert found["rmse_change"] == pytest.approx(change, abs=1e-4)
    assert facts["figures"]["mean_shift_gcm2"]["low"] < 0.002 < facts["figures"]["mean_shift_gcm2"]["high"]
    assert facts["verdict"] == "not_shown"  # the planted shift of 0.002 is the limit itself
    assert any("mean shift" in sentence for sentence in facts["beyond"])
    turned = [
        row
        for row, a, b in zip(rows, fp32, int8, strict=True)
        if classes(np.array(t_score(site, a))) != classes(np.array(t_score(site, b)))
    ]
    assert facts["hips_in_another_range"] == len(turned) > 0
    listed = [one for one in validation.facts["quantized"]["int8"]["flips"] if one["what"] == site]
    classed = [row for row in turned if float(row["age_years"]) >= 50]
    assert sorted(one["film_id"] for one in listed) == sorted(row["film_id"] for row in classed)


def test_headlines_of_the_films(made):
    validation, _, folder = made
    facts = validation.facts["quantized"]["int8"]
    found = facts["headline"]
    bands = [[film.reports[name].band for name in ("fp32", "int8")] for film in validation.films]
    assert found["films"] == sum(any(pair) for pair in bands) > 0
    assert found["films_with_another"] == sum(one["what"] == "band" for one in facts["flips"])
    page = (folder / "validation.html").read_text(encoding="utf-8")
    assert f"Headlines: {found['films_with_another']} of {found['films']} films get another one, allowed" in page


@pytest.mark.parametrize(("turned", "verdict"), [(0, "non_inferior"), (3, "non_inferior"), (4, "not_shown")])
@pytest.mark.parametrize("other", ["refer_for_dxa", None])
def test_more_headlines_than_the_budget_of_both_sites_may_not_turn(made, turned, verdict, other):
    """Two sites of 1.5 % each: 3 of 100 films. One that loses its headline is turned too."""
    film = next(one for one in made[0].films if one.reports["fp32"].band == "not_suspected")
    alike, another = (
        replace(film, reports={name: replace(film.reports["fp32"], band=band) for name, band in both.items()})
        for both in ({"fp32": "not_suspected", "int8": "not_suspected"}, {"fp32": "not_suspected", "int8": other})
    )
    films = [another] * turned + [alike] * (100 - turned)
    found = headlines(films, "int8", dict.fromkeys(SITES, LIMITS))
    assert (found["films"], found["films_with_another"], found["verdict"]) == (100, turned, verdict)
    assert headlines(films, "int8", {})["verdict"] is None  # a bundle without a budget
    assert headlines([], "int8", dict.fromkeys(SITES, LIMITS))["verdict"] is None


def test_a_validation_says_that_headlines_turn(tmp_path):
    rows, films = cohort()
    other = {"low_suspected": "not_suspected", "not_suspected": "low_suspected"}
    films = [
        replace(film, reports=film.reports | {"int8": replace(one := film.reports["int8"], band=other.get(one.band))})
        for film in films
    ]
    made = compare(made_bundle(), table_of(tmp_path, rows), "test", Known(), films, "cpu")
    assert made.facts["quantized"]["int8"]["headline"]["verdict"] == "not_shown"
    assert any("films get another headline, allowed 3.0%" in finding["sentence"] for finding in made.facts["findings"])
