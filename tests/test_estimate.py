"""Estimates: interval, T-score rules and WHO range, against the published table."""

import itertools
import math

import pytest

from bmd_edge.bundle.calibration import OperatingPoints, PrecisionCalibration, SiteCalibration
from bmd_edge.errors import FLAGS, HipRefused
from bmd_edge.measure.estimate import Estimate, estimates, who_range
from bmd_edge.measure.headline import BANDS, band, lowest_t_score
from bmd_edge.measure.t_score import (
    REFERENCES,
    SHOWN_CUTS,
    T_SCORE_REASONS,
    WHO_CUTS,
    WHO_RANGES,
    bmd_at,
    shown_range,
    t_score,
)
from bmd_edge.sites import SITES

CALIBRATION = PrecisionCalibration(
    "0" * 64, {"femoral_neck": SiteCalibration(2.0, 0.9, 500), "total_hip": SiteCalibration(1.5, 0.9, 500)}, None
)


def woman_of_70(neck: float, hip: float = 0.8, spread: float = 0.03) -> tuple[Estimate, ...]:
    return estimates((neck, hip), (spread, spread), CALIBRATION, 70.0, "F")


def test_interval_is_estimate_plus_minus_scale_times_spread() -> None:
    neck, hip = estimates((0.7, 0.8), (0.03, 0.04), CALIBRATION, 70.0, "M")
    assert (neck.site, hip.site) == SITES
    assert (neck.bmd_gcm2, neck.low_gcm2, neck.high_gcm2) == (0.7, 0.64, 0.76)
    assert (hip.bmd_gcm2, hip.low_gcm2, hip.high_gcm2) == (0.8, 0.74, 0.86)
    assert neck.flags == hip.flags == ()


def test_interval_is_never_clipped() -> None:
    (neck, hip) = woman_of_70(0.26, 1.59, spread=0.4)
    assert neck.low_gcm2 == pytest.approx(0.26 - 0.8)
    assert hip.high_gcm2 == pytest.approx(1.59 + 0.6)


# clinical.md's table: the BMD at T = -1 and T = -2.5 of each site.
@pytest.mark.parametrize(
    ("site", "bmd", "t"),
    [
        ("femoral_neck", 0.858, 0.0),
        ("femoral_neck", 0.738, -1.0),
        ("femoral_neck", 0.558, -2.5),
        ("total_hip", 0.942, 0.0),
        ("total_hip", 0.820, -1.0),
        ("total_hip", 0.637, -2.5),
        ("femoral_neck", 0.792, -0.6),  # exactly -0.55
        ("femoral_neck", 0.924, 0.6),  # exactly +0.55
        ("femoral_neck", 0.7921, -0.5),
        ("femoral_neck", 0.857, 0.0),
    ],
)
def test_t_scores(site: str, bmd: float, t: float) -> None:
    assert t_score(site, bmd) == t
    assert math.copysign(1, t_score(site, bmd)) == 1 or t < 0  # never "-0.0"


@pytest.mark.parametrize(
    ("age", "sex", "reason", "flags"),
    [
        (50.0, "F", None, ("assumed_postmenopausal",)),
        (50.0, "M", None, ()),
        (49.9, "F", "under_50", ()),
        (49.9, None, "under_50", ()),
        (70.0, None, "sex_unknown", ()),
        (None, "F", "age_unknown", ()),
        (None, None, "age_unknown", ()),
    ],
)
def test_who_gets_a_t_score(age: float | None, sex: str | None, reason: str | None, flags: tuple[str, ...]) -> None:
    for estimate in estimates((0.7, 0.8), (0.03, 0.03), CALIBRATION, age, sex, ("low_contrast",)):
        assert estimate.t_score_reason == reason
        assert (estimate.t_score is None) == (reason is not None)
        assert (who_range(estimate) is None) == (reason is not None)
        assert estimate.flags == ("low_contrast", *flags)
        assert estimate.bmd_gcm2 > 0
        assert reason is None or reason in T_SCORE_REASONS


def test_outside_community_samples_is_flagged_per_site() -> None:
    for site, index in zip(SITES, (0, 1), strict=True):
        for value, flagged in ((REFERENCES[site].lowest_gcm2, False), (REFERENCES[site].lowest_gcm2 - 0.001, True)):
            values = [0.8, 0.8]
            values[index] = value
            result = estimates(values, (0.03, 0.03), CALIBRATION, 70.0, "M")
            assert ("outside_reference_range" in result[index].flags) is flagged
            assert result[1 - index].flags == ()
    assert "outside_reference_range" in FLAGS
    assert "outside_reference_range" in woman_of_70(1.362)[0].flags


@pytest.mark.parametrize("bad", [0.2499, 1.6001, math.nan, math.inf, -0.7, 0.0])
@pytest.mark.parametrize("index", [0, 1])
def test_an_implausible_answer_is_refused_not_clipped(bad: float, index: int) -> None:
    values = [0.8, 0.8]
    values[index] = bad
    with pytest.raises(HipRefused) as caught:
        estimates(values, (0.03, 0.03), CALIBRATION, 70.0, "F")
    assert caught.value.code == "implausible_estimate"


@pytest.mark.parametrize("spread", [0.0, -0.01, math.nan, math.inf])
def test_a_spread_that_means_nothing_is_refused(spread: float) -> None:
    with pytest.raises(HipRefused, match="implausible_estimate"):
        woman_of_70(0.8, spread=spread)


@pytest.mark.parametrize("edge", [0.25, 1.60])
def test_the_edges_are_accepted(edge: float) -> None:
    assert woman_of_70(edge)[0].bmd_gcm2 == edge


@pytest.mark.parametrize(
    ("neck", "spread", "expected"),
    [
        (0.858, 0.01, "at_or_above_minus_1"),
        (0.65, 0.01, "low_bone_mass_range"),
        (0.45, 0.01, "osteoporosis_range"),
        (0.738, 0.01, "spans"),
        (0.65, 0.05, "spans"),
        (0.558, 1e-6, "osteoporosis_range"),  # T = -2.5 belongs to the lower class
        (0.738, 1e-6, "at_or_above_minus_1"),  # T = -1.0 to the upper one
        (0.734, 1e-6, "at_or_above_minus_1"),  # T = -1.03 is classed after rounding to -1.0
    ],
)
def test_a_who_range_is_named_only_for_a_whole_interval(neck: float, spread: float, expected: str) -> None:
    assert who_range(woman_of_70(neck, spread=spread)[0]) == expected
    assert expected in WHO_RANGES


@pytest.mark.parametrize("site", SITES)
def test_the_shown_range_changes_at_the_shown_cuts_and_nowhere_else(site: str) -> None:
    """Every BMD that can be shown, from above: where the rounded T-score passes a cut of the WHO."""
    shown = [(gcm2 / 10_000, shown_range(site, gcm2 / 10_000)) for gcm2 in range(16_000, 2_500, -1)]
    changes = [(low, name) for (_, before), (low, name) in itertools.pairwise(shown) if name != before]
    assert [name for _, name in changes] == ["low_bone_mass_range", "osteoporosis_range"]
    for (low, _), cut in zip(changes, WHO_CUTS, strict=True):
        assert low <= bmd_at(site, SHOWN_CUTS[cut]) + 1e-9 < low + 1e-4


POINTS = OperatingPoints(low_suspected_t=-2.4, refer_for_dxa_t=-1.8, cases=50, others=200)


@pytest.mark.parametrize(
    ("neck", "hip", "expected"),
    [
        (0.858 - 2.41 * 0.12, 0.942, "low_suspected"),
        (0.858 - 2.39 * 0.12, 0.942, "refer_for_dxa"),
        (0.858, 0.942 - 2.5 * 0.122, "low_suspected"),  # the lower site decides
        (0.858 - 1.81 * 0.12, 0.942, "refer_for_dxa"),
        (0.858 - 1.79 * 0.12, 0.942, "not_suspected"),
    ],
)
def test_the_band_is_set_by_the_lowest_t_score(neck: float, hip: float, expected: str) -> None:
    assert band(woman_of_70(neck, hip), POINTS) == expected
    assert expected in BANDS
    other_side = woman_of_70(0.858, 0.942)
    assert band((*other_side, *woman_of_70(neck, hip)), POINTS) == expected


def test_there_is_no_band_without_operating_points_or_t_scores() -> None:
    assert band(woman_of_70(0.5), None) is None
    assert band((), POINTS) is None
    for age, sex in ((49.0, "F"), (None, "F"), (70.0, None)):
        found = estimates((0.5, 0.6), (0.03, 0.03), CALIBRATION, age, sex)
        assert lowest_t_score(found) is None
        assert band(found, POINTS) is None
