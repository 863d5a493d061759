"""Every figure of a site, recomputed by oracle libraries from the pairs."""

import re

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.regression.linear_model import OLS

from bmd_edge.table.film_table import read_table
from calibration.statistics.bootstrap import RESAMPLES, SEED
from calibration.validate.page import ROWS, said
from tests.calibration.validate.pairs_oracle import CASES, EXACT, Numbers, classes, oracle, values


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


def test_the_largest_differences_name_the_rows_of_the_table(made):
    """By these a film is found; its name may be a patient's, and stands in pairs.csv only."""
    validation, _, folder = made
    rows = {(row.film, row.side): row for row in read_table(folder / "films.csv")}
    films = {one.film_id: one.film for one in validation.pairs}
    page = (folder / "validation.html").read_text()
    assert page.count('<th scope="col">Row of films.csv</th>') == 2
    for site in ("femoral_neck", "total_hip"):
        for one in validation.facts["precisions"]["int8"]["sites"][site]["largest_differences"]:
            row = rows[films[one["film_id"]], one["side"]]
            assert one["table_row"] == row.table_row > 1
            assert f'<tr><td>{row.table_row}</td><td class="mono">{one["film_id"]}</td>' in page


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
