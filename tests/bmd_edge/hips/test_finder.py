"""The geometry and the refusals of the finder line, with a finder that recognizes six painted gray levels."""

from dataclasses import replace

import numpy as np
import pytest

from bmd_edge.bundle.manifest import KINDS, LANDMARKS
from bmd_edge.engine.base import FunctionEngine
from bmd_edge.errors import FilmRefused, HipRefused
from bmd_edge.film.film import Film
from bmd_edge.hips.class_head import SURE_SURVEY
from bmd_edge.hips.finder import peaks_of, settle_polarity
from bmd_edge.hips.region import Hip
from tests.bmd_edge.hips.painted_hips import HEAT, SIZE_MM, found, painted_film, painted_finder, points_mm
from tests.support.screening import INPUTS


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


def test_a_turned_film_without_hip_is_called_turned():
    """The flag alone refuses nothing, and a class that the finder is sure of is still named."""
    turned = {"flags": ("unusual_orientation",)}
    with pytest.raises(FilmRefused, match="turned_film"):
        found(replace(painted_film({}), **turned), painted_finder(kind=5))
    with pytest.raises(FilmRefused, match="immature"):
        found(replace(painted_film({}), **turned), painted_finder(kind=4))
    film = replace(painted_film({"R": (200, 120)}), **turned)
    assert isinstance(found(film, painted_finder())[0], Hip)
    (hip,) = found(film, painted_finder(tuple(0.9 if kind == "fracture" else 0.02 for kind in KINDS)))
    assert isinstance(hip, HipRefused)
    assert (hip.code, hip.side) == ("turned_film", "R")
    assert set(hip.landmarks_px) == set(LANDMARKS)


@pytest.mark.parametrize("inverted", [False, True])
def test_the_picture_tells_which_end_is_white(inverted):
    film = painted_film({"R": (200, 120)})
    settled = settle_polarity(film.inverted() if inverted else film, painted_finder(), INPUTS)
    np.testing.assert_allclose(settled.lookup, film.lookup, atol=1e-6)


def test_a_film_without_hip_that_the_finder_names():
    with pytest.raises(FilmRefused) as refusal:
        found(painted_film({}), painted_finder(kind=4))
    assert refusal.value.code == "immature"


@pytest.mark.parametrize("name", ["implant", "fracture", "wrong_view", "immature"])
def test_a_film_without_hip_that_the_finder_is_not_sure_of(name):
    """Likelier than all other classes together, and still not named; of a fracture the survey is never sure."""
    for share in (SURE_SURVEY.get(name, 1.0) - 0.01, SURE_SURVEY.get(name, 0.0) + 0.005):
        kinds = tuple(share if kind == name else (1 - share) / 5 for kind in KINDS)
        with pytest.raises(FilmRefused) as refusal:
            found(painted_film({}), painted_finder(kinds))
        assert refusal.value.code == (name if share >= SURE_SURVEY.get(name, 1.0) else "not_a_hip")


def test_a_film_of_an_adult_without_hip_is_not_immature():
    with pytest.raises(FilmRefused) as refusal:
        found(replace(painted_film({}), age_years=71.0), painted_finder(KINDS.index("immature")))
    assert refusal.value.code == "not_a_hip"


def pelvis_with_one_hip(side: str, behind: bool) -> Film:
    """A film that reaches over both hips and shows one; with an image, or only a black border, where the other is."""
    across = 120 if side == "R" else SIZE_MM[1] - 120
    film = painted_film({side: (across, 120)})
    shown = film.stored.copy()
    other = slice(245, 370) if side == "R" else slice(30, 155)
    columns = slice(2 * other.start, 2 * other.stop)
    shown[:, columns] = np.linspace(0.05, 0.3, 250)[None] * 4095 if behind else 0
    return replace(film, stored=shown)


@pytest.mark.parametrize(("side", "other"), ["RL", "LR"])
def test_a_hip_that_the_film_reaches_over_and_that_is_not_found_has_a_line(side, other):
    hips = {hip.side: hip for hip in found(pelvis_with_one_hip(side, True), painted_finder())}
    assert list(hips) == ["R", "L"]
    assert isinstance(hips[side], Hip)
    missing = hips[other]
    assert isinstance(missing, HipRefused)
    assert (missing.code, missing.landmarks_px) == ("hip_not_found", {})


@pytest.mark.parametrize("side", ["R", "L"])
def test_a_film_of_one_hip_has_one_line(side):
    """Behind the edge of the film or of the beam nobody looks for the other hip."""
    for film in (painted_film({side: (200, 120)}), pelvis_with_one_hip(side, False)):
        assert [hip.side for hip in found(film, painted_finder())] == [side]


def test_beside_what_is_no_hip_no_other_hip_is_missed():
    (hip,) = found(pelvis_with_one_hip("R", True), painted_finder(KINDS.index("not_a_hip")))
    assert isinstance(hip, HipRefused)
    assert hip.code == "not_measurable"


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
