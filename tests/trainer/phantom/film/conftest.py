"""A film of a hip."""

import pytest

from trainer.phantom.film.film import film
from trainer.phantom.film.scene import FilmSpec

SMALL = {"pixel_mm": 0.95}


@pytest.fixture(scope="module")
def hip():
    return film(FilmSpec(7, **SMALL))
