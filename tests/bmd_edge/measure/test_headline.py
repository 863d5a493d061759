"""The band of a headline."""

import pytest

from bmd_edge.bundle.calibration import HeadlineCuts
from bmd_edge.measure.estimate import estimates
from bmd_edge.measure.headline import HEADLINES, headline, lowest_t_score
from tests.bmd_edge.measure.woman_of_70 import CALIBRATION, woman_of_70

POINTS = HeadlineCuts(low_suspected_t=-2.4, refer_for_dxa_t=-1.8, cases=50, others=200)


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
    assert headline(woman_of_70(neck, hip), POINTS) == expected
    assert expected in HEADLINES
    other_side = woman_of_70(0.858, 0.942)
    assert headline((*other_side, *woman_of_70(neck, hip)), POINTS) == expected


def test_there_is_no_band_without_operating_points_or_t_scores() -> None:
    assert headline(woman_of_70(0.5), None) is None
    assert headline((), POINTS) is None
    for age, sex in ((49.0, "F"), (None, "F"), (70.0, None)):
        found = estimates((0.5, 0.6), (0.03, 0.03), CALIBRATION, age, sex)
        assert lowest_t_score(found) is None
        assert headline(found, POINTS) is None
