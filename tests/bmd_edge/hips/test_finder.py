"""The geometry and the refusals of the finder line, with a finder that recognizes six painted gray levels."""

import numpy as np
import pytest

from bmd_edge.bundle.manifest import LANDMARKS
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import FilmRefused
from bmd_edge.hips.finder import peaks_of
from bmd_edge.hips.region import Hip
from tests.bmd_edge.hips.painted_hips import HEAT, found, painted_film, painted_finder, points_mm


@pytest.mark.parametrize("spacing_mm", [(0.5, 0.5), (0.25, 0.25), (0.6, 0.4)])
@pytest.mark.parametrize("side", ["R", "L"])
def test_landmarks_and_side_of_a_single_hip(side, spacing_mm):
    film = painted_film({side: (200, 120)}, spacing_mm)
    (hip,) = found(film, painted_finder())
    assert isinstance(hip, Hip)
    assert hip.side == side
    truth = points_mm(side, (200, 120))
    for name, point in zip(LANDMARKS, truth, strict=True):
        seen = np.array(hip.landmarks_px[name]) * (spacing_mm[1], spacing_mm[0])
        assert np.hypot(*(seen - point)) < 2.0, name


def test_a_pelvis_gives_the_right_hip_first():
    film = painted_film({"R": (120, 120), "L": (290, 124)})
    hips = found(film, painted_finder())
    assert [hip.side for hip in hips] == ["R", "L"]


def test_nothing_on_the_film():
    with pytest.raises(FilmRefused) as refusal:
        found(painted_film({}), painted_finder(kind=5))
    assert refusal.value.code == "not_a_hip"


def test_a_film_without_hip_that_the_finder_names():
    with pytest.raises(FilmRefused) as refusal:
        found(painted_film({}), painted_finder(kind=4))
    assert refusal.value.code == "immature"


@pytest.mark.parametrize("side", ["R", "L"])
def test_a_hip_that_both_orientations_see_is_one_hip(side):
    """Of the two the surer one counts: the other would give the hip's number, or its refusal, a second time."""
    plain = painted_finder()
    seen = "RL".index(side)

    def run(feeds):
        raw = plain.run(feeds)
        if len(raw["heatmaps"]) == 2:
            raw["heatmaps"][1 - seen] = raw["heatmaps"][seen][:, :, ::-1] - 4
        return raw

    with FunctionEngine(run, plain.inputs, plain.outputs) as finder:
        (hip,) = found(painted_film({side: (200, 120)}), finder)
    assert isinstance(hip, Hip)
    assert hip.side == side


def test_little_shaft_below_the_lesser_trochanter_is_flagged():
    """The painted hip shows 56 mm of it; a finder that sees its end higher has less."""

    def higher(maps, _):
        maps[5] = np.roll(maps[5], -15, axis=0)
        return maps

    film = painted_film({"R": (200, 120)})
    for alter, flagged in ((lambda maps, _: maps, False), (higher, True)):
        (hip,) = found(film, painted_finder(alter=alter))
        assert ("shaft_short" in hip.flags) is flagged


def test_peaks_are_found_between_cells():
    yy, xx = np.mgrid[:HEAT, :HEAT] + 0.5
    truth = np.array([[40.3, 70.8], [3.0, 3.0], [100.5, 20.2], [64, 64], [12.7, 90.1], [90, 120]])
    maps = np.stack([4 - ((xx - x) ** 2 + (yy - y) ** 2) / 2 for x, y in truth]).astype(np.float32)
    points, peaks = peaks_of(maps, 256)
    assert points / 2 == pytest.approx(truth, abs=0.15)
    assert (peaks > 0.9).all()
