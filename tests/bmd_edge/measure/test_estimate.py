"""Estimates: interval, T-score rules and WHO range, against the published table."""

import itertools
import math

import numpy as np
import pytest

from bmd_edge.errors import HipRefused
from bmd_edge.measure.estimate import estimates, over_scales
from bmd_edge.measure.t_score import (
    SHOWN_CUTS,
    WHO_CUTS,
    bmd_at,
    shown_range,
)
from bmd_edge.sites import SITES
from tests.bmd_edge.measure.woman_of_70 import CALIBRATION, woman_of_70


def test_interval_is_estimate_plus_minus_scale_times_spread() -> None:
    neck, hip = estimates((0.7, 0.8), (0.03, 0.04), CALIBRATION, 70.0, "M")
    assert (neck.site, hip.site) == SITES
    assert (neck.bmd_gcm2, neck.low_gcm2, neck.high_gcm2) == (0.7, 0.64, 0.76)
    assert (hip.bmd_gcm2, hip.low_gcm2, hip.high_gcm2) == (0.8, 0.74, 0.86)
    assert neck.flags == hip.flags == ()


def test_the_doubt_of_the_scale_widens_the_interval_and_moves_nothing() -> None:
    """Conformal .06 and .08; a doubt of .045 and .06 makes them .075 and .1."""
    neck, hip = estimates((0.7, 0.8), (0.03, 0.04), CALIBRATION, 70.0, "M", scale_doubt_gcm2=(0.045, 0.0825))
    assert (neck.bmd_gcm2, neck.low_gcm2, neck.high_gcm2) == (0.7, 0.625, 0.775)
    assert hip.bmd_gcm2 == 0.8
    assert hip.high_gcm2 - hip.bmd_gcm2 == pytest.approx(math.hypot(0.06, 0.0825), abs=1e-4)


def test_answers_at_several_scales_are_their_mean_and_half_their_range() -> None:
    mean, doubt = over_scales(np.array([[0.70, 0.90], [0.76, 0.90], [0.73, 0.84]], np.float32))
    assert mean == pytest.approx([0.73, 0.88])
    assert doubt == pytest.approx([0.03, 0.03])


def test_interval_is_never_clipped() -> None:
    (neck, hip) = woman_of_70(0.26, 1.59, spread=0.4)
    assert neck.low_gcm2 == pytest.approx(0.26 - 0.8)
    assert hip.high_gcm2 == pytest.approx(1.59 + 0.6)


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


@pytest.mark.parametrize("site", SITES)
def test_the_shown_range_changes_at_the_shown_cuts_and_nowhere_else(site: str) -> None:
    """Every BMD that can be shown, from above: where the rounded T-score passes a cut of the WHO."""
    shown = [(gcm2 / 10_000, shown_range(site, gcm2 / 10_000)) for gcm2 in range(16_000, 2_500, -1)]
    changes = [(low, name) for (_, before), (low, name) in itertools.pairwise(shown) if name != before]
    assert [name for _, name in changes] == ["low_bone_mass_range", "osteoporosis_range"]
    for (low, _), cut in zip(changes, WHO_CUTS, strict=True):
        assert low <= bmd_at(site, SHOWN_CUTS[cut]) + 1e-9 < low + 1e-4
