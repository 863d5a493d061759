"""What lies under a display shutter is no image."""

import numpy as np
import pytest

from bmd_edge.film.read import read_film
from bmd_edge.film.shutter import Shutter
from tests.support import films

FRAME = films.pixels(100, 80)
BOX = {
    "ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": "11", "ShutterRightVerticalEdge": "70",
    "ShutterUpperHorizontalEdge": "21", "ShutterLowerHorizontalEdge": "90",
}  # fmt: skip
CIRCLE = {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": ["51", "41"], "RadiusOfCircularShutter": "30"}
TRIANGLE = {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": ["1", "1", "1", "80", "100", "1"]}


def seen(**elements):
    """Which pixels of the film are an image."""
    return np.isfinite(read_film(films.dicom_bytes(FRAME, **elements)).region(0, 0, 80, 100, (100, 80)))


def test_a_rectangle_is_counted_from_one_and_its_edges_are_seen():
    expected = np.zeros((100, 80), bool)
    expected[20:90, 10:70] = True
    np.testing.assert_array_equal(seen(**BOX), expected)


def test_a_circle_and_a_polygon():
    y, x = np.mgrid[:100, :80]
    distance = np.hypot(x - 40, y - 50)
    circle = seen(**CIRCLE)
    assert circle[distance < 29].all()
    assert not circle[distance > 30].any()
    triangle = seen(**TRIANGLE)
    along = x / 79 + y / 99
    assert triangle[1:-1, 1:-1][along[1:-1, 1:-1] < 0.95].all()
    assert not triangle[along > 1].any()


def test_several_shapes_leave_what_all_of_them_leave():
    shapes = {**CIRCLE, **BOX, "ShutterShape": ["RECTANGULAR", "CIRCULAR"]}
    np.testing.assert_array_equal(seen(**shapes), seen(**BOX) & seen(**CIRCLE))


def test_what_is_half_under_the_shutter_is_no_image_and_the_rest_is_unchanged():
    masked, plain = (read_film(films.dicom_bytes(FRAME, **elements)) for elements in (BOX, {}))
    part = masked.region(8, 16, 8, 16, (2, 2))
    assert np.isnan(part[0]).all()
    assert np.isnan(part[1, 0])
    assert part[1, 1] == plain.region(8, 16, 8, 16, (2, 2))[1, 1]


@pytest.mark.parametrize("syntax", [films.EXPLICIT, films.JPEG_2000_LOSSLESS])
def test_a_reduced_film_is_masked_in_the_same_place(syntax):
    film = read_film(films.dicom_bytes(FRAME, syntax, **BOX), coarsest_mm=0.3)
    assert film.reduced
    np.testing.assert_array_equal(np.isfinite(film.region(0, 0, 80, 100, (100, 80))), seen(**BOX))


@pytest.mark.parametrize(
    "elements",
    [
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": ["51"], "RadiusOfCircularShutter": "30"},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": ["1", "1", "9", "9"]},
        {"ShutterShape": "BITMAP"},
    ],
)
def test_a_malformed_shutter_is_ignored_and_counted(elements):
    film = read_film(films.dicom_bytes(FRAME, **elements))
    assert film.shutter is None
    assert "header_irregular" in film.flags


def test_the_masked_share_is_that_on_the_film():
    film = read_film(films.dicom_bytes(FRAME, **BOX))
    assert film.masks(0, 0, 80, 100, (100, 80)) == pytest.approx(1 - 70 * 60 / 8000)
    assert film.masks(-80, 0, 80, 100, (100, 80)) == 0  # beyond the film there is nothing to mask
    assert read_film(films.dicom_bytes(FRAME)).masks(0, 0, 80, 100, (100, 80)) == 0
    assert not Shutter(box=(0, 80, 0, 100)).hides(0, 0, 80, 100, (10, 10)).any()
