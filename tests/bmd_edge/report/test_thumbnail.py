"""The small picture of a film."""

import pytest
from PIL import Image

from bmd_edge.film.read import read_film
from bmd_edge.report.thumbnail import thumbnail
from tests.support.screening import hip_dicom


def test_the_small_picture_has_the_films_proportions() -> None:
    film = read_film(hip_dicom("R"))
    picture = thumbnail(film)
    assert max(picture.width_px, picture.height_px) == 420
    assert picture.width_px / picture.height_px == pytest.approx(240 / 270, abs=0.01)
    from io import BytesIO

    image = Image.open(BytesIO(picture.jpeg))
    assert (image.mode, image.size) == ("L", (picture.width_px, picture.height_px))
    head, background = image.getpixel((130, 133)), image.getpixel((350, 380))
    assert head > background + 80  # bone is bright
