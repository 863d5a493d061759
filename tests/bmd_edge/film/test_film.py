"""A region of a film: the same whatever way it is kept, and without a copy of the film."""

import tracemalloc

import numpy as np
import pytest
from PIL import Image

from bmd_edge.film.read import read_film
from tests.support import films


def test_arrays_are_read_only():
    film = read_film(films.dicom_bytes())
    for array in (film.stored, film.lookup):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_region_makes_no_full_size_float_copy():
    frame = np.tile(films.pixels(500, 500), (8, 6))
    film = read_film(films.dicom_bytes(frame))
    tracemalloc.start()
    film.region(0, 0, 3000, 4000, shape=(224, 224))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.75 * 4 * frame.size


def test_an_empty_box_is_a_mistake_of_the_caller():
    film = read_film(films.dicom_bytes())
    for box in ((0, 0, 0, 10), (0, 0, 10, -1), (float("nan"), 0, 10, 10)):
        with pytest.raises(ValueError, match="empty box"):
            film.region(*box, shape=(4, 4))


@pytest.mark.parametrize("syntax", [films.EXPLICIT, films.JPEG_2000_LOSSLESS, films.HTJ2K_LOSSLESS])
@pytest.mark.parametrize("step", [2, 4])
def test_a_reduced_film_shows_the_same_in_the_same_places(syntax: str, step: int) -> None:
    smooth = np.asarray(Image.fromarray(films.pixels(60, 45)).resize((362, 480), Image.Resampling.BICUBIC))
    data = films.dicom_bytes(smooth, syntax)
    whole, reduced = read_film(data), read_film(data, coarsest_mm=step * 0.14 / 1.2 + 1e-9)
    assert (whole.reduced, reduced.reduced.step) == (None, step)
    assert (reduced.shape, reduced.spacing_mm) == (whole.shape, whole.spacing_mm)
    for box in ((20.5, 31.0, 200.0, 300.0), (-40.0, -20.0, 300.0, 200.0), (100.0, 100.0, 64.0, 64.0)):
        was, now = (film.region(*box, shape=(16, 16)) for film in (whole, reduced))
        np.testing.assert_array_equal(np.isnan(was), np.isnan(now))
        assert np.nanmax(np.abs(was - now)) < 0.01


def test_the_pixels_have_one_digest_in_every_lossless_compression():
    frame = films.pixels(400, 300)
    made = {read_film(films.dicom_bytes(frame, syntax), coarsest_mm=0.3).pixel_digest for syntax in films.LOSSLESS}
    assert made == {read_film(films.dicom_bytes(frame), coarsest_mm=0.3).pixel_digest}
    assert read_film(films.dicom_bytes(frame + 1), coarsest_mm=0.3).pixel_digest not in made
