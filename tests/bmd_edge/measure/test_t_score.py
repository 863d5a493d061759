"""T-scores and WHO ranges against the published table, and who gets one."""

import math

import pytest

from bmd_edge.errors import FLAGS
from bmd_edge.measure.estimate import estimates, who_range
from bmd_edge.measure.t_score import (
    REFERENCES,
    T_SCORE_REASONS,
    WHO_RANGES,
    t_score,
)
from bmd_edge.sites import SITES
from tests.bmd_edge.measure.woman_of_70 import CALIBRATION, woman_of_70


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
