"""Several clinics together, against the raw analysis, published numbers and other ways to compute them."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from bmd_edge.errors import UsageError
from calibration.study.pool import combined, pooled, tau2_interval
from calibration.study.summary import FIGURES, KIND, SCHEMA, Estimate, Summary

# Colditz et al., JAMA 1994;271:698-702: tuberculosis after BCG in 13 trials (ill, well with it; ill, well without)
# as the example of metafor in R has it; the figures below are those that its pages print.
TRIALS = np.array([
    (4, 119, 11, 128), (6, 300, 29, 274), (3, 228, 11, 209), (62, 13536, 248, 12619), (33, 5036, 47, 5761),
    (180, 1361, 372, 1079), (8, 2537, 10, 619), (505, 87886, 499, 87892), (29, 7470, 45, 7232), (17, 1699, 65, 1600),
    (186, 50448, 141, 27197), (5, 2493, 3, 2338), (27, 16886, 29, 17825),
], float).T  # fmt: skip
ILL, WELL, ILL_WITHOUT, WELL_WITHOUT = TRIALS
BCG = np.log(ILL / (ILL + WELL) / (ILL_WITHOUT / (ILL_WITHOUT + WELL_WITHOUT)))
BCG_VARIANCES = 1 / ILL - 1 / (ILL + WELL) + 1 / ILL_WITHOUT - 1 / (ILL_WITHOUT + WELL_WITHOUT)


def clinic(name: str, estimates: dict[str, Estimate], **other: object) -> Summary:
    facts = {
        "kind": KIND, "schema": SCHEMA, "use": "", "version": "", "clinic": name, "bundle": "b", "bundle_digest": "d",
        "precision": "int8", "recalibration": None, "plan": None, "refusals": None, "subjects": 100,
        "without_a_number": {},
        "estimates": estimates, "table": None, "withheld": {},
    }  # fmt: skip
    return Summary(**{**facts, **other})


def clinics(values: list[float], variance: float = 4e-6) -> dict[str, Summary]:
    found = enumerate(values)
    return {f"c{k}": clinic(f"c{k}", {"femoral_neck.bias_gcm2": Estimate(one, variance)}) for k, one in found}


def test_equal_clinics_give_the_pooled_raw_analysis() -> None:
    """Five clinics with the same number of subjects and the same spread: the pooled mean is that of all subjects, its
    interval that of a regression on the clinics.
    """
    rng = np.random.default_rng(5)
    differences = rng.normal(0.003, 0.06, (5, 200))
    spread = 0.06 * np.sqrt(199 / 200)
    differences = (differences - differences.mean(1, keepdims=True)) / differences.std(1, keepdims=True) * spread
    differences += np.array([[-0.002], [0.004], [0.001], [0.003], [0.009]])
    found = combined(differences.mean(1), differences.var(1, ddof=1) / 200)
    assert found["fixed"][0] == pytest.approx(differences.mean(), abs=1e-6)
    assert found["random"][0] == pytest.approx(differences.mean(), abs=1e-6)
    indicators = np.kron(np.eye(5), np.ones((200, 1)))
    raw = sm.OLS(differences.ravel(), indicators).fit()
    error = np.sqrt(np.full(5, 0.2) @ raw.cov_params() @ np.full(5, 0.2))
    assert (found["fixed"][2] - found["fixed"][1]) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, abs=1e-6)


def test_the_trials_of_bcg_are_pooled_as_by_metafor() -> None:
    found = combined(BCG, BCG_VARIANCES)
    assert found["fixed"] == pytest.approx((-0.4303, -0.5097, -0.3509), abs=2e-4)
    assert found["q"] == pytest.approx(152.23, abs=0.3)
    assert found["random"][0] == pytest.approx(-0.715, abs=2e-3)
    assert found["tau2"]["value"] == pytest.approx(0.318, abs=2e-3)
    assert (found["tau2"]["low"], found["tau2"]["high"]) == pytest.approx((0.1197, 1.1115), abs=2e-3)
    assert (found["i2"]["low"], found["i2"]["high"]) == pytest.approx((0.8177, 0.9766), abs=2e-3)


def test_hartung_and_knapp_by_hand_and_a_new_clinic() -> None:
    effects, variances = np.array([0.01, -0.02, 0.05, 0.0]), np.array([1e-4, 2e-4, 1.5e-4, 1e-4])
    found = combined(effects, variances)
    tau2 = found["tau2"]["value"]
    weights = 1 / (variances + tau2)
    mean = (weights * effects).sum() / weights.sum()
    scale = (weights * (effects - mean) ** 2).sum() / 3
    assert scale == pytest.approx(1.0, abs=1e-5)  # what Paule and Mandel solve
    wide = stats.t.ppf(0.975, 3) * np.sqrt(scale / weights.sum())
    assert found["random"] == pytest.approx((mean, mean - wide, mean + wide))
    wide = stats.t.ppf(0.975, 3) * np.sqrt(tau2 + scale / weights.sum())
    assert found["prediction"] == pytest.approx((mean, mean - wide, mean + wide))
    assert combined(effects[:2], variances[:2])["prediction"] is None


def test_clinics_that_happen_to_agree_do_not_make_the_interval_narrow() -> None:
    found = combined(np.array([0.85, 0.8501, 0.8499]), np.full(3, 1e-3))
    error = np.sqrt(1e-3 / 3)
    assert found["random"][2] - found["random"][0] == pytest.approx(stats.t.ppf(0.975, 2) * error)


def test_clinics_alike_have_no_variance_between_them() -> None:
    found = combined(np.array([0.01, 0.0101, 0.0099]), np.full(3, 1e-4))
    assert found["tau2"]["value"] == found["tau2"]["low"] == found["i2"]["value"] == 0
    low, high = tau2_interval(np.zeros(3), np.full(3, 1e-4))
    assert (low, high) == (0.0, 0.0)


def test_shares_come_back_from_their_scale_and_what_is_withheld_is_said() -> None:
    logit = float(np.log(0.9 / 0.1))
    named = {
        f"c{k}": clinic(f"c{k}", {"sensitivity": Estimate(logit + shift, 0.1)})
        for k, shift in enumerate((0, 0.2, -0.2))
    }
    named["c2"] = replace(named["c2"], estimates={}, withheld={"sensitivity": "a cell below five"})
    facts = pooled(named)
    one = facts["figures"]["sensitivity"]
    assert one["clinics"]["c0"]["value"] == pytest.approx(0.9)
    assert 0.9 < one["pooled"]["random"]["value"] < 0.92
    assert one["not_told"] == ["c2"]
    assert any(text.startswith("sensitivity: not told by c2") for text in facts["findings"])
    (nowhere,) = (text for text in facts["findings"] if text.startswith("Told by no clinic: "))
    told = {figure for figure, one in facts["figures"].items() if one["clinics"]}
    assert set(nowhere.partition(": ")[2].partition(";")[0].split(", ")) == set(FIGURES) - told
    assert set(facts["figures"]) == set(FIGURES)
    assert facts["figures"]["auroc"]["pooled"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bundle_digest": "e"}, "c0 and c2 are not one study: they are of different bundles"),
        ({"precision": "fp32"}, "of different precisions"),
        ({"recalibration": "x"}, "of different recalibrations"),
        ({"clinic": "c1"}, "c1 and c2 are of one clinic"),
        ({"estimates": {"femoral_neck.bias_gcm2": Estimate(0.01, 4e-6)}}, "one set of subjects twice"),
        (
            {"estimates": {"femoral_neck.bias_gcm2": Estimate(0.01, 4e-6), "sensitivity": Estimate(2.0, 0.1)}},
            "one set of subjects twice",
        ),
    ],
)
def test_what_is_not_one_study_is_refused(change: dict, said: str) -> None:
    named = clinics([0.01, 0.02, 0.03])
    named["c2"] = replace(named["c2"], **change)
    with pytest.raises(UsageError, match=said):
        pooled(named)


def test_one_clinic_is_no_pool() -> None:
    with pytest.raises(UsageError, match="two clinics"):
        pooled(clinics([0.01]))


def test_plans_are_compared() -> None:
    named = {name: replace(one, plan="p") for name, one in clinics([0.01, 0.02]).items()}
    assert pooled(named)["one_plan"]
    named["c1"] = replace(named["c1"], plan="q")
    assert not pooled(named)["one_plan"]
    assert any("not the same one" in text for text in pooled(named)["findings"])


def test_films_without_a_number_counted_in_two_ways_are_told() -> None:
    named = {name: replace(one, plan=name, refusals="against") for name, one in clinics([0.01, 0.02]).items()}
    told = "wrong answers for sensitivity and specificity in c0, and left out"
    assert not any(told in text for text in pooled(named)["findings"])
    for how in ("left_out", None):
        named["c1"] = replace(named["c1"], refusals=how)
        assert any(told in text for text in pooled(named)["findings"])
    assert pooled(named)["clinics"]["c1"]["refusals"] is None
