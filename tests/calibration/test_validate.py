"""Every figure of a validation, recomputed by oracle libraries from the pairs it wrote."""

import csv
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn import metrics
from statsmodels.regression.linear_model import OLS
from statsmodels.tools import add_constant

from bmd_edge.errors import TableError
from bmd_edge.measure.t_score import REFERENCES, t_score
from bmd_edge.sites import SITES
from calibration.pairs.learned_from import Known
from calibration.pairs.pairs import write_pairs
from calibration.statistics.bootstrap import RESAMPLES, SEED
from calibration.validate.page import ROWS, said, write_page
from calibration.validate.validate import compare
from tests.calibration.cohorts import POINTS, cohort, made_bundle, table_of

CASES = [(precision, site) for precision in ("fp32", "int8") for site in SITES]
CV = {"hologic": {"femoral_neck": 0.015, "total_hip": 0.013}, "lunar": {"femoral_neck": 0.020, "total_hip": 0.013}}
EXACT = {"abs": 2e-6}  # validation.json keeps six decimals


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("validation")
    rows, films = cohort()
    made = compare(made_bundle(), table_of(folder, rows), "test", Known(), films, "cpu")
    write_pairs(folder / "pairs.csv", made.pairs, made.left_out)
    write_page(folder / "validation.html", made)
    with (folder / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    return made, pairs, folder


class Numbers:
    """Hips of pairs.csv with both numbers of a site."""

    def __init__(self, pairs, precision, site):
        name = f"{precision}_bmd_{site}_gcm2"
        self.rows = [row for row in pairs if row[name] and row[f"dexa_hologic_{site}_gcm2"] and not row["left_out"]]
        self.x, self.low, self.high = (
            np.array([float(row[f"{precision}_{part}_{site}_gcm2"]) for row in self.rows])
            for part in ("bmd", "low", "high")
        )
        self.y = np.array([float(row[f"dexa_hologic_{site}_gcm2"]) for row in self.rows])
        self.cv = np.array([CV[row["scale"]][site] for row in self.rows])
        self.subject = np.array([row["subject"] for row in self.rows])
        self.classed = np.array([float(row["age_years"]) >= 50 for row in self.rows])
        self.tx, self.ty = (np.array([t_score(site, value) for value in values]) for values in (self.x, self.y))


def values(facts):
    return {name: figure["value"] for name, figure in facts.items()}


def oracle(n):
    line, difference = OLS(n.y, add_constant(n.x)).fit(), n.x - n.y
    sd = np.std(difference, ddof=1)
    ratio = np.mean((n.cv * n.y) ** 2) / (np.mean(difference**2) - np.mean((n.cv * n.y) ** 2))
    deming = optimize.minimize(
        lambda ab: np.sum((n.y - ab[0] * n.x - ab[1]) ** 2 / (ratio + ab[0] ** 2)),
        line.params[::-1],
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-14},
    ).x
    return {
        "r": stats.pearsonr(n.x, n.y).statistic,
        "ccc": 2 * np.cov(n.x, n.y, ddof=0)[0, 1] / (n.x.var() + n.y.var() + difference.mean() ** 2),
        "rmse_gcm2": metrics.root_mean_squared_error(n.y, n.x),
        "mae_gcm2": metrics.mean_absolute_error(n.y, n.x),
        "bias_gcm2": difference.mean(),
        "sd_difference_gcm2": sd,
        "loa_low_gcm2": difference.mean() - stats.norm.ppf(0.975) * sd,
        "loa_high_gcm2": difference.mean() + stats.norm.ppf(0.975) * sd,
        "slope": line.params[1],
        "intercept_gcm2": line.params[0],
        "within_lsc": np.mean(np.abs(difference) <= 2.77 * n.cv * n.y),
        "coverage": np.mean((n.low <= n.y) & (n.y <= n.high)),
        "deming_slope": deming[0],
        "deming_intercept_gcm2": deming[1],
    }


@pytest.mark.parametrize(("precision", "site"), CASES)
def test_agreement_and_its_place_on_the_page(made, precision, site):
    validation, pairs, folder = made
    facts, n = validation.facts["precisions"][precision]["sites"][site], Numbers(pairs, precision, site)
    assert facts["hips"] == len(n.x) > 100
    assert facts["subjects"] == len(set(n.subject))
    assert facts["films"] == len({row["film"] for row in n.rows})
    assert facts["distinct_hips"] == len({(row["subject"], row["side"]) for row in n.rows}) < facts["hips"]
    expected = oracle(n)
    # pairs.csv holds DEXA to four decimals, converted from Lunar
    assert values(facts["figures"]) == pytest.approx(expected, abs=3e-5)
    page = re.sub(r"\s+", " ", (folder / "validation.html").read_text())
    for name, label, kind in ROWS:
        shown = said(facts["figures"][name], kind)
        assert shown in page, label
        assert shown.startswith(said({"value": expected[name], "low": None, "high": None}, kind)[:5])


def test_exact_limits_and_bins(made):
    validation, pairs, _ = made
    facts, n = validation.facts["precisions"]["int8"]["sites"]["total_hip"], Numbers(pairs, "int8", "total_hip")
    difference, count = n.x - n.y, len(n.x)
    root = np.sqrt(count)
    upper = stats.nct(count - 1, stats.norm.ppf(0.975) * root)
    ends = difference.mean() + upper.ppf([0.025, 0.975]) / root * difference.std(ddof=1)
    assert [facts["exact_limits"]["high"][end] for end in ("low", "high")] == pytest.approx(list(ends), abs=3e-5)
    assert sum(one["hips"] for one in facts["calibration_bins"]) == count
    parts = np.array_split(np.argsort(n.x, kind="stable"), len(facts["calibration_bins"]))
    assert [one["mean_estimate_gcm2"] for one in facts["calibration_bins"]] == pytest.approx(
        [n.x[part].mean() for part in parts], **EXACT
    )
    assert [one["dexa"]["value"] for one in facts["calibration_bins"]] == pytest.approx(
        [n.y[part].mean() for part in parts], abs=1e-4
    )
    worst = np.argsort(-np.abs(difference), kind="stable")[:10]
    shown = [one["difference_gcm2"] for one in facts["largest_differences"]]
    assert np.abs(shown) == pytest.approx(np.abs(difference[worst]), abs=1e-4)


@pytest.mark.parametrize("name", ["r", "rmse_gcm2", "slope", "kappa", "auroc"])
def test_intervals_are_those_of_scipys_bootstrap_over_subjects(made, name):
    """The same resamples of subjects, each figure by its library on the hips drawn."""
    validation, pairs, _ = made
    site = "femoral_neck"
    facts, n = validation.facts["precisions"]["int8"]["sites"][site], Numbers(pairs, "int8", site)
    chosen = n.classed if name in ("kappa", "auroc") else np.ones(len(n.x), bool)
    x, y, tx, ty, subject = n.x[chosen], n.y[chosen], n.tx[chosen], n.ty[chosen], n.subject[chosen]
    own = [np.flatnonzero(subject == one) for one in np.unique(subject)]
    figure = {
        "r": lambda h: np.corrcoef(x[h], y[h])[0, 1],
        "rmse_gcm2": lambda h: np.sqrt(np.mean((x[h] - y[h]) ** 2)),
        "slope": lambda h: stats.linregress(x[h], y[h]).slope,
        "kappa": lambda h: metrics.cohen_kappa_score(classes(tx[h]), classes(ty[h])),
        "auroc": lambda h: metrics.roc_auc_score(ty[h] <= -2.5, -x[h]),
    }[name]
    found = stats.bootstrap(
        (np.arange(len(own)),),
        lambda index: figure(np.concatenate([own[k] for k in index])),
        vectorized=False,
        n_resamples=RESAMPLES,
        method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    detection = facts["detection"]
    reported = {"kappa": detection["kappa"].get(name), "auroc": detection["targets"]["-2.5"].get(name)}.get(
        name, facts["figures"].get(name)
    )
    assert (reported["low"], reported["high"]) == pytest.approx((found.low, found.high), abs=1e-4)


def classes(t):
    return np.where(t >= -1, 0, np.where(t <= -2.5, 2, 1))


@pytest.mark.parametrize(("precision", "site"), CASES)
def test_detection(made, precision, site):
    validation, pairs, _ = made
    facts = validation.facts["precisions"][precision]["sites"][site]["detection"]
    n = Numbers(pairs, precision, site)
    x, tx, ty = n.x[n.classed], n.tx[n.classed], n.ty[n.classed]
    assert facts["hips"] == len(x) < len(n.x)
    for target in (-1.0, -2.5):
        found, low = facts["targets"][f"{target:g}"], ty <= target
        assert found["n_low"] == low.sum()
        assert found["auroc"]["value"] == pytest.approx(metrics.roc_auc_score(low, -x), **EXACT)
        assert found["auprc"]["value"] == pytest.approx(metrics.average_precision_score(low, -x), **EXACT)
    assert facts["dexa_by_estimate"] == metrics.confusion_matrix(classes(ty), classes(tx)).tolist()
    kappa = metrics.cohen_kappa_score(classes(ty), classes(tx), weights="linear")
    assert facts["kappa"]["kappa_linear"]["value"] == pytest.approx(kappa, **EXACT)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_headline_by_film(made, precision):
    validation, pairs, _ = made
    facts = validation.facts["precisions"][precision]["headline"]
    estimate, dexa = {}, {}
    for row in pairs:
        if float(row["age_years"]) >= 50 and row[f"{precision}_bmd_total_hip_gcm2"]:
            for site in SITES:
                value = float(row[f"{precision}_bmd_{site}_gcm2"])
                exact = (value - REFERENCES[site].mean_gcm2) / REFERENCES[site].sd_gcm2
                estimate[row["film"]] = min(exact, estimate.get(row["film"], 9))
                true = t_score(site, float(row[f"dexa_hologic_{site}_gcm2"]))
                dexa[row["film"]] = min(true, dexa.get(row["film"], 9))
    assert facts["films"] == len(estimate)
    score, truth = (np.array([one[film] for film in estimate]) for one in (estimate, dexa))
    for target in (-1.0, -2.5):
        low = truth <= target
        area = facts["targets"][f"{target:g}"]["auroc"]["value"]
        assert area == pytest.approx(metrics.roc_auc_score(low, -score), **EXACT)
        for cut, t in (("low_suspected", POINTS.low_suspected_t), ("refer_for_dxa", POINTS.refer_for_dxa_t)):
            found = facts["at_operating_points"][f"{target:g}"][cut]
            tn, fp, fn, tp = metrics.confusion_matrix(low, score <= t).ravel()
            assert [found[k] for k in ("true_low", "missed", "false_low", "true_other")] == [tp, fn, fp, tn]
            assert found["sensitivity"]["value"] == pytest.approx(metrics.recall_score(low, score <= t), **EXACT)
            assert found["specificity"]["value"] == pytest.approx(metrics.recall_score(~low, score > t), **EXACT)
            assert found["ppv"]["value"] == pytest.approx(metrics.precision_score(low, score <= t), **EXACT)
            assert found["npv"]["value"] == pytest.approx(metrics.precision_score(~low, score > t), **EXACT)


def test_subgroups_repeat_the_figures_of_their_parts(made):
    validation, pairs, _ = made
    n = Numbers(pairs, "int8", "femoral_neck")
    column = {"sex": "sex", "maker": "maker", "spacing": "spacing_source", "side": "side"}
    words = {"female": "F", "male": "M", "right": "R", "left": "L"}
    rows = validation.facts["subgroups"]["femoral_neck"]
    assert {row["division"] for row in rows} == {"sex", "age", "BMI", "maker", "spacing", "side"}
    for row in rows:
        if row["division"] in column:
            mine = [one[column[row["division"]]] == words.get(row["part"], row["part"]) for one in n.rows]
        else:
            name = {"age": "age_years", "BMI": "bmi"}[row["division"]]
            mine = [inside(row["part"], one[name]) for one in n.rows]
        part = Numbers([one for one, is_in in zip(n.rows, mine, strict=True) if is_in], "int8", "femoral_neck")
        assert row["hips"] == len(part.x)
        expected = oracle(part) if len(part.x) > 2 else {}
        found = values(row["figures"])
        assert found == pytest.approx({name: expected[name] for name in found}, abs=2e-4)


def inside(part, text):
    numbers = [float(word) for word in re.findall(r"[\d.]+(?= |$)", part.replace("kg/m2", ""))]
    if part == "unknown" or not text:
        return part == "unknown" and not text
    if part.startswith("under"):
        return float(text) < numbers[0]
    return float(text) >= numbers[0] and (part.endswith("more") or float(text) < numbers[1])


def test_repeated_films(made):
    """All repeated hips are on two films, so the mean square within hips is that of an analysis of variance."""
    validation, pairs, _ = made
    facts = validation.facts["precisions"]["int8"]["sites"]["femoral_neck"]["repeats"]
    groups = {}
    for row in pairs:
        if value := row["int8_bmd_femoral_neck_gcm2"]:
            groups.setdefault((row["subject"], row["side"]), []).append(float(value))
    groups = [group for group in groups.values() if len(group) > 1]
    y = np.concatenate(groups)
    dummies = np.repeat(np.eye(len(groups)), 2, axis=0)
    variance = OLS(y, dummies).fit().mse_resid
    assert (facts["hips"], facts["films"], facts["degrees_of_freedom"]) == (len(groups), len(y), len(groups))
    assert facts["rms_sd_gcm2"] == pytest.approx(np.sqrt(variance), **EXACT)
    assert facts["lsc_gcm2"] == pytest.approx(2.77 * np.sqrt(variance), **EXACT)


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


def test_counts_and_reasons(made):
    validation, pairs, _ = made
    facts = validation.facts["precisions"]["fp32"]
    assert facts["rows_without_a_number"]["implant"] == sum(row["fp32_reason"] == "implant" for row in pairs)
    assert sum(facts["films"].values()) == validation.facts["table"]["films"] == len({row["film"] for row in pairs})
    assert validation.facts["table"]["scales"] == {
        scale: sum(row["scale"] == scale for row in pairs) for scale in ("hologic", "lunar")
    }


def test_the_same_films_give_the_same_bytes(made, tmp_path):
    validation, _, folder = made
    rows, films = cohort()
    again = compare(made_bundle(), table_of(tmp_path, rows), "test", Known(), films, "cpu")
    assert json.dumps(again.facts) == json.dumps(validation.facts)
    write_page(tmp_path / "validation.html", again)
    assert (tmp_path / "validation.html").read_bytes() == (folder / "validation.html").read_bytes()


def test_the_page_stands_alone_and_says_what_it_is(made):
    _, _, folder = made
    page = (folder / "validation.html").read_text()
    assert "Research use only, not for diagnosis" in page
    assert not re.search(r"https?://|<script|src=\"(?!data:)", page)
    assert not re.search(r"\bnormal\b", page, re.IGNORECASE)
    assert str(folder) not in page
    assert "S001" not in page, "subjects are named in pairs.csv only"
    assert page.count("data:image/svg+xml") == 2 * 5 + 2 + 1 + 2  # by site, forests, headline, INT8


def test_without_operating_points_no_sensitivity_is_made_up(tmp_path):
    bundle = made_bundle()
    none = {name: replace(one, operating_points=None) for name, one in bundle.calibration.items()}
    rows, films = cohort(20)
    made = compare(replace(bundle, calibration=none), table_of(tmp_path, rows), "test", Known(), films, "cpu")
    headline = made.facts["precisions"]["int8"]["headline"]
    assert headline["operating_points"] is None
    assert headline["at_operating_points"] is None
    write_page(tmp_path / "validation.html", made)
    assert "holds no operating points" in (tmp_path / "validation.html").read_text()


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
