"""A region of a film: the same whatever way it is kept, and without a copy of the film."""

import hashlib
import io
import re
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from bmd_edge.film.film import film_id, former_id, same_film, short_id
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


@pytest.mark.parametrize("start", ["0429491040446823", "3060e98757057383", "1234567890123d56", "123456789012345e"])
def test_a_film_id_that_reads_as_a_number_takes_the_next_digits(start: str) -> None:
    digest = start + "1" * 8 + "abcdef" + "0" * 34
    name = short_id(digest)
    assert name in digest
    assert name != start
    with pytest.raises(ValueError, match="could not convert"):
        float(name.replace("d", "e"))
    assert same_film(start, name)
    assert short_id(former_id(start)) == former_id(start) != start
    assert not same_film(start, former_id(start))
    assert not same_film(name, start)


def test_a_film_id_is_no_number_of_any_program_and_else_what_it_was() -> None:
    """One in 750 would be; the others are the first 16 digits."""
    moved = 0
    for n in range(20_000):
        digest = hashlib.sha256(n.to_bytes(4)).hexdigest()
        name = film_id(n.to_bytes(4))
        moved += name != digest[:16]
        assert re.fullmatch("[0-9a-f]{16}", name)
        for spelled in (name, name.replace("d", "e")):
            with pytest.raises(ValueError, match="could not convert"):
                float(spelled)
    assert 20 < moved < 120


def test_pandas_reads_film_ids_as_text() -> None:
    """Each alone in its column, where nothing but it decides on the kind."""
    pandas = pytest.importorskip("pandas")
    names = [film_id(n.to_bytes(4)) for n in range(3000)]
    text = ",".join(f"c{n}" for n in range(3000)) + "\n" + ",".join(names) + "\n"
    (row,) = pandas.read_csv(io.StringIO(text)).to_numpy().tolist()
    assert row == names


def test_the_pixels_have_one_digest_in_every_lossless_compression():
    frame = films.pixels(400, 300)
    made = {read_film(films.dicom_bytes(frame, syntax), coarsest_mm=0.3).pixel_digest for syntax in films.LOSSLESS}
    assert made == {read_film(films.dicom_bytes(frame), coarsest_mm=0.3).pixel_digest}
    assert read_film(films.dicom_bytes(frame + 1), coarsest_mm=0.3).pixel_digest not in made
