"""Every figure recomputed by hand with numpy and scipy from hips whose fate is known."""

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.sites import SITES
from calibration.statistics.bootstrap import RESAMPLES, SEED
from calibration.world.figures import CORE, MIN_SUBJECTS
from tests.calibration.worlds import MM_PER_PX, made

REMARKS = {"assumed_postmenopausal", "outside_reference_range"}
UNFIT = ("fracture", "implant", "immature")
NEAR = {"abs": 1e-9}


def part(facts, division, name):
    return next(row for row in facts["groups"] if (row["division"], row["part"]) == (division, name))


def matched(hip):
    """A hip that was put 50 mm away is found on no film."""
    return hip.answer if hip.fate != "far" else None


def flagged(hip):
    return bool({flag for one in matched(hip).estimates for flag in one.flags} - REMARKS)


def read(hips):
    return [hip for hip in hips if matched(hip) and matched(hip).estimates]


def agreement(hips, site):
    hips = read(hips)
    y = np.array([hip.row.bmd_gcm2[site] for hip in hips])
    numbers = [next(one for one in hip.answer.estimates if one.site == site) for hip in hips]
    x, low, high = (np.array([getattr(one, f"{end}_gcm2") for one in numbers]) for end in ("bmd", "low", "high"))
    return {
        "r": stats.pearsonr(x, y).statistic,
        "slope_on_truth": stats.linregress(y, x).slope,
        "rmse_gcm2": np.sqrt(np.mean((x - y) ** 2)),
        "bias_gcm2": np.mean(x - y),
        "coverage": np.mean((low <= y) & (y <= high)),
        "width_gcm2": np.mean(high - low),
    }


def mm(hips, names):
    """Landmark errors: plain distances of the core landmarks; of the others only across the true axis."""
    errors = []
    for hip in hips:
        for name in names if matched(hip) else ():
            off = np.subtract(matched(hip).landmarks_px[name], hip.points[name])
            if name not in CORE:
                ends = ("head_center", name) if name == "neck_center" else ("shaft_proximal", "shaft_distal")
                along = np.subtract(hip.points[ends[1]], hip.points[ends[0]])
                off = off - along * (off @ along) / (along @ along)
            errors.append(np.linalg.norm(off) * MM_PER_PX)
    return np.array(errors)


def test_figures_of_all_and_of_every_group_are_those_of_scipy(foreign):
    some, facts, _ = foreign
    divisions = {
        "all": lambda _: "hips",
        "style": lambda hip: hip.row.extra["x_style"],
        "style, unflagged": lambda hip: hip.row.extra["x_style"] if hip in read([hip]) and not flagged(hip) else None,
        "maker": lambda hip: hip.row.maker,
        "sex": lambda hip: {"F": "female", "M": "male"}[hip.row.sex],
        "age": lambda hip: age_band(hip.row.age_years),
        "flag": lambda hip: ("flagged" if flagged(hip) else "unflagged") if hip in read([hip]) else None,
    }
    expected = {(division, of(hip)) for division, of in divisions.items() for hip in some.hips if of(hip)}
    assert {(row["division"], row["part"]) for row in facts["groups"]} == expected
    for row in facts["groups"]:
        hips = [hip for hip in some.hips if divisions[row["division"]](hip) == row["part"]]
        assert (row["hips"], row["read"], row["found"]) == (
            len(hips),
            len(read(hips)),
            sum(map(bool, map(matched, hips))),
        )
        assert row["subjects"] == len({hip.row.subject for hip in hips})
        assert row["read_share"]["value"] == pytest.approx(len(read(hips)) / len(hips))
        assert row["flagged_share"]["value"] == pytest.approx(np.mean([flagged(hip) for hip in read(hips)]))
        for name, names in {"core": CORE, **{name: (name,) for name in LANDMARKS}}.items():
            errors, found = mm(hips, names), row["landmarks"][name]
            assert found["n"] == len(errors)
            assert found["median_mm"]["value"] == pytest.approx(np.median(errors), **NEAR)
            assert found["p95_mm"]["value"] == pytest.approx(np.percentile(errors, 95), **NEAR)
        for site in SITES:
            found = row["sites"][site]
            assert found["hips"] == len(read(hips))
            values = {name: figure["value"] for name, figure in found["figures"].items()}
            assert values == pytest.approx(agreement(hips, site), **NEAR)


def age_band(age):
    edges = [0, 50, 60, 70, 80, 200]
    low = max(edge for edge in edges if edge <= age)
    return {0: "under 50 years", 80: "80 years or more"}.get(low, f"{low} to {low + 10} years")


def test_every_true_status_is_counted_with_what_became_of_it(real):
    some, facts, _ = real
    for row in facts["statuses"]:
        hips = [hip for hip in some.hips if hip.row.extra["x_status"] == row["status"]]
        assert row["hips"] == len(hips) > 5
        assert row["found"] == sum(matched(hip) is not None for hip in hips)
        assert row["read"] == len(read(hips))
        assert row["read_unflagged"] == sum(not flagged(hip) for hip in read(hips))
        assert sum(row["codes"].values()) == len(hips) - len(read(hips))
        assert row["codes"]["fracture"] == sum(hip.fate == "fracture" for hip in hips)
    unfit = [hip for hip in some.hips if hip.row.extra["x_status"] in UNFIT]
    assert facts["false_reads"] == {"hips": len(unfit), "read": len(read(unfit))}
    assert facts["false_reads"]["read"] > 0
    fates = Counter(hip.fate for hip in some.hips)
    assert facts["stray_numbers"] == fates["far"] > 0
    assert facts["wrong_side"] == fates["wrong_side"] > 0
    intact = [hip for hip in some.hips if hip.row.extra["x_status"] == "intact"]
    assert part(facts, "all", "hips")["hips"] == len(intact)
    assert part(facts, "all", "hips")["landmarks"]["core"]["n"] == len(mm(intact, CORE))


def test_intervals_draw_whole_subjects(foreign):
    some, facts, _ = foreign
    subjects = sorted({hip.row.subject for hip in some.hips})
    of = [[hip for hip in some.hips if hip.row.subject == one] for one in subjects]
    figures = {
        "r": lambda hips: agreement(hips, "total_hip")["r"],
        "coverage": lambda hips: agreement(hips, "total_hip")["coverage"],
        "p95_mm": lambda hips: np.percentile(mm(hips, CORE), 95),
    }
    whole = part(facts, "all", "hips")
    got = {**whole["sites"]["total_hip"]["figures"], **whole["landmarks"]["core"]}
    for name, figure in figures.items():

        def drawn(index, figure=figure):
            return figure([hip for k in index for hip in of[k]])

        interval = stats.bootstrap(
            (np.arange(len(of)),), drawn, n_resamples=RESAMPLES, vectorized=False, rng=np.random.default_rng(SEED)
        ).confidence_interval
        assert (got[name]["low"], got[name]["high"]) == pytest.approx((interval.low, interval.high), abs=1e-6), name


def test_few_subjects_get_no_interval(tmp_path):
    for subjects in (MIN_SUBJECTS - 1, MIN_SUBJECTS):
        facts, _ = made(subjects=subjects).scored(tmp_path)
        figure = part(facts, "all", "hips")["sites"]["femoral_neck"]["figures"]["rmse_gcm2"]
        assert (figure["low"] is not None) == (subjects == MIN_SUBJECTS)
        assert "few_subjects" in {finding["code"] for finding in facts["findings"]}
