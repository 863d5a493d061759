"""Several clinics together: random and fixed effects of their summaries, heterogeneity, a new clinic.

The engine is statsmodels' meta-analysis; between-clinic variance by Paule and Mandel, intervals by Hartung and Knapp.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import optimize, stats

from bmd_edge.errors import MissingExtra, UsageError
from bmd_edge.report.film_report import RESEARCH_USE
from bmd_edge.version import __version__
from calibration.statistics.bootstrap import F64
from calibration.study.summary import FIGURES, Summary, back
from calibration.validate.validate import rounded

SCHEMA = 1


def pooled(named: Mapping[str, Summary]) -> dict[str, Any]:
    """Everything that is said of clinics (name of the file -> summary), for pool.json.

    Raises:
        UsageError: fewer than two; of different bundles, precisions or recalibrations; or of one clinic, or of the same
            subjects, twice.
    """
    _comparable(named)
    first = next(iter(named.values()))
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "use": RESEARCH_USE,
        "notice": "Pooled from summaries; no value of a patient was seen.",
        "versions": {"bmd-edge": __version__},
        "bundle": first.bundle,
        "bundle_digest": first.bundle_digest,
        "precision": first.precision,
        "clinics": {
            name: {"subjects": one.subjects, "plan": one.plan, "refusals": one.refusals, "withheld": one.withheld}
            for name, one in named.items()
        },
        "one_plan": first.plan is not None and len({one.plan for one in named.values()}) == 1,
        "figures": {figure: _figure(figure, named) for figure in FIGURES},
    }
    facts["findings"] = findings(facts)
    made: dict[str, Any] = rounded(facts)
    return made


def _comparable(named: Mapping[str, Summary]) -> None:
    if len(named) < 2:
        raise UsageError("pool needs the summaries of two clinics or more")
    files = list(named)
    for key, what in (
        ("bundle_digest", "bundles"),
        ("precision", "precisions"),
        ("recalibration", "recalibrations; pool estimates of the bundle itself"),
    ):
        other = next((name for name in files if getattr(named[name], key) != getattr(named[files[0]], key)), None)
        if other:
            raise UsageError(f"{files[0]} and {other} are not one study: they are of different {what}")
    for k, name in enumerate(files):
        for other in files[:k]:
            if named[name].clinic == named[other].clinic:
                raise UsageError(f"{other} and {name} are of one clinic: give its last summary only")
            if _measured(named[name]) and _measured(named[name]) == _measured(named[other]):
                raise UsageError(f"{other} and {name} say the same to the last digit: one set of subjects twice?")


def _measured(one: Summary) -> dict[str, float]:
    """Its figures in g/cm2, which no two sets of subjects share to the last digit; shares can be alike by chance."""
    return {name: told.estimate for name, told in one.estimates.items() if name.endswith("_gcm2")}


def _figure(figure: str, named: Mapping[str, Summary]) -> dict[str, Any]:
    """One figure; None for what two clinics or more do not tell."""
    told = {name: one.estimates[figure] for name, one in named.items() if figure in one.estimates}
    short = figure.rpartition(".")[2]
    clinics = {
        name: _shown(short, one.estimate, *_normal(one.estimate, math.sqrt(one.variance))) for name, one in told.items()
    }
    found: dict[str, Any] = {"clinics": clinics, "not_told": sorted(set(named) - set(told)), "pooled": None}
    if len(told) >= 2:
        effects = np.array([one.estimate for one in told.values()])
        variances = np.array([one.variance for one in told.values()])
        one = combined(effects, variances)
        found["pooled"] = {
            **{name: _shown(short, *one[name]) for name in ("random", "fixed")},
            "prediction": one["prediction"] and _shown(short, *one["prediction"]),
            **{name: one[name] for name in ("q", "q_p", "tau2", "i2")},
        }
    return found


def _normal(estimate: float, error: float) -> tuple[float, float]:
    z = float(stats.norm.ppf(0.975))
    return estimate - z * error, estimate + z * error


def _shown(figure: str, value: float, low: float, high: float) -> dict[str, float]:
    return {"value": back(figure, value), "low": back(figure, low), "high": back(figure, high)}


def combined(effects: F64, variances: F64) -> dict[str, Any]:
    """Effects (k,) with variances, k >= 2, together; 95 % intervals, each (value, low, high).

    fixed: inverse variances, normal; of these clinics alone (Rice et al., J R Stat Soc A 2018;181:205-227). random:
    Paule and Mandel's tau2; Hartung and Knapp's interval (t, k - 1), not narrower than without their factor: clinics
    that happen to agree prove nothing (Rover, BMC Med Res Methodol 2015;15:99). tau2: with Viechtbauer's Q-profile
    interval (Stat Med 2007;26:37-52), and i2 that goes with it. prediction: of the true value of a new clinic
    (t, k - 1); None for two clinics.

    Raises:
        MissingExtra: statsmodels is not installed.
    """
    try:
        from statsmodels.stats.meta_analysis import combine_effects
    except ModuleNotFoundError as error:
        raise MissingExtra("statsmodels", "calibrate") from error
    k = len(effects)
    found = combine_effects(effects, variances, method_re="iterated")
    tau2 = max(float(found.tau2), 0.0)
    low, high = found.conf_int(use_t=False)[0]
    mean, t = float(found.mean_effect_re), float(stats.t.ppf(0.975, k - 1))
    spread = math.sqrt(max(float(found.var_hksj_re), float(found.var_eff_w_re)))
    wide = t * math.hypot(math.sqrt(tau2), spread)
    ends = tau2_interval(effects, variances)
    # Higgins & Thompson, Stat Med 2002;21:1539-1558: the variance that a typical clinic has within
    weights = 1 / variances
    within = (k - 1) * weights.sum() / (weights.sum() ** 2 - (weights**2).sum())
    return {
        "fixed": (float(found.mean_effect_fe), float(low), float(high)),
        "random": (mean, mean - t * spread, mean + t * spread),
        "prediction": (mean, mean - wide, mean + wide) if k > 2 else None,
        "q": float(found.q),
        "q_p": float(stats.chi2.sf(found.q, k - 1)),
        "tau2": {"value": tau2, "low": ends[0], "high": ends[1]},
        "i2": dict(zip(("value", "low", "high"), (t / (t + within) for t in (tau2, *ends)), strict=True)),
    }


def tau2_interval(effects: F64, variances: F64) -> tuple[float, float]:
    """95 % Q-profile interval of the between-clinic variance."""

    def q(tau2: float) -> float:
        weights = 1 / (variances + tau2)
        return float((weights * (effects - (weights * effects).sum() / weights.sum()) ** 2).sum())

    most = 1e3 * float(variances.max() + np.ptp(effects) ** 2)

    def where(level: float) -> float:
        wanted = float(stats.chi2.ppf(level, len(effects) - 1))
        if q(0.0) <= wanted:
            return 0.0
        return most if q(most) > wanted else float(optimize.brentq(lambda t: q(t) - wanted, 0.0, most, xtol=1e-12))

    return where(0.975), where(0.025)


def findings(facts: Mapping[str, Any]) -> list[str]:
    """What a reader of the pooled figures must know."""
    said = []
    if not facts["one_plan"]:
        said.append("The clinics followed no plan, or not the same one.")
    counted = {name: one["refusals"] or "left_out" for name, one in facts["clinics"].items()}
    if len(set(counted.values())) > 1:
        against = ", ".join(name for name, how in counted.items() if how == "against")
        said.append(
            f"Films without a number are wrong answers for sensitivity and specificity in {against}, and left out in"
            " the others: these two figures are of different things; have the summaries written by one plan."
        )
    if nowhere := [figure for figure, one in facts["figures"].items() if not one["clinics"]]:
        said.append(f"Told by no clinic: {', '.join(nowhere)}; each file says why it withholds them.")
    for figure, one in facts["figures"].items():
        if one["not_told"] and one["clinics"]:
            said.append(
                f"{figure}: not told by {', '.join(one['not_told'])}; what is withheld for a small cell is mostly very"
                " good or very bad, so the pooled figure of the others may be off."
            )
    said.append(
        "Subjects who went to two clinics cannot be told: no summary names them. Two clinics with few subjects are few."
    )
    return said
