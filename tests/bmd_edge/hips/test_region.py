"""The region of interest: where it lies, and what the network sees of it."""

import numpy as np
import pytest

from bmd_edge.bundle.network_input import BMD, normalize
from bmd_edge.errors import HipRefused
from bmd_edge.hips.region import Hip, hip_image, roi_box
from tests.bmd_edge.hips.painted_hips import LEVELS, eroded, found, painted_film, painted_finder, points_mm


def test_left_and_right_hips_give_the_same_network_input():
    right = painted_film({"R": (200, 120)})
    left = painted_film({"L": (200, 120)})
    (hip,) = found(right, painted_finder())
    (mirrored,) = found(left, painted_finder())
    difference = np.abs(hip_image(right, hip, BMD) - hip_image(left, mirrored, BMD))
    assert np.mean(difference) < 0.01


@pytest.mark.parametrize("side", ["R", "L"])
def test_the_network_sees_the_head_at_the_image_right(side):
    film = painted_film({side: (200, 120)})
    (hip,) = found(film, painted_finder())
    (gray,) = hip_image(film, hip, BMD)
    head, _, trochanter = (np.argwhere(eroded(abs(gray - level) < 0.03)) for level in LEVELS[:3])
    assert head[:, 1].mean() - trochanter[:, 1].mean() == pytest.approx(60 / BMD.spacing_mm, abs=2)


def test_the_region_of_interest_is_centered_and_145_mm_wide():
    film = painted_film({"R": (200, 120)}, (0.5, 0.4))
    (hip,) = found(film, painted_finder())
    left, top, width, height = hip.box_px
    assert width == pytest.approx(145.6 / 0.4)
    assert height == pytest.approx(145.6 / 0.5)
    center = np.array([left + width / 2, top + height / 2]) * (0.4, 0.5)
    assert center == pytest.approx((points_mm("R", (200, 120))[[0, 3]]).mean(axis=0), abs=1.0)
    image = hip_image(film, hip, BMD)
    assert image.shape == (1, BMD.size_px, BMD.size_px)
    assert image.dtype == np.float32


def test_a_film_that_ends_below_the_lesser_trochanter():
    head_y = 330 - 62 - 12  # 12 mm of film below the lesser trochanter
    film = painted_film({"R": (200, head_y)})

    def end_of_film(maps, _):
        maps[5] = maps[3]  # the lowest visible axis point
        return maps

    (hip,) = found(film, painted_finder(alter=end_of_film))
    assert isinstance(hip, HipRefused)
    assert hip.code == "cut_off"


def test_a_region_of_interest_that_leaves_the_film():
    film = painted_film({"R": (66, 20)})
    (hip,) = found(film, painted_finder())
    assert isinstance(hip, HipRefused)
    assert hip.code == "cut_off"


def test_roi_box_of_a_right_hip():
    box = roi_box(points_mm("R", (100, 100)) / (0.4, 0.5), (0.5, 0.4), 145.6)
    assert box == pytest.approx(((100 - 11 - 72.8) / 0.4, (100 + 31 - 72.8) / 0.5, 364, 291.2))


def test_a_region_at_another_scale_has_the_same_middle():
    film = painted_film({"R": (200, 120)})
    hip = Hip("R", {}, (230.0, 180.0, 240.0, 240.0), (), 1.0)
    wide = normalize(film.region(230.0 - 6, 180.0 - 6, 252.0, 252.0, shape=(112, 112)), BMD)
    assert hip_image(film, hip, BMD, 1.05) == pytest.approx(wide, abs=1e-5)
    assert np.abs(hip_image(film, hip, BMD) - wide).max() > 0.1
