"""What the header tells of an image that is not the film itself, and of bits and curves that it states wrongly."""

import numpy as np
import pytest

from bmd_edge.film.read import read_film
from tests.support import films


@pytest.mark.parametrize(
    ("elements", "flagged"),
    [
        ({}, False),
        ({"ConversionType": "WSD"}, True),
        ({"ConversionType": "SI"}, True),
        ({"ConversionType": "DI"}, False),
        ({"ConversionType": "DF"}, False),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, False),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, True),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "SCREEN SAVE"]}, True),
    ],
)
def test_a_picture_of_a_film_is_flagged(elements, flagged):
    film = read_film(films.dicom_bytes(SOPClassUID=films.SC, Modality="OT", **elements))
    assert ("secondary_image" in film.flags) == flagged


SIGMOID = {"WindowCenter": "2048", "WindowWidth": "4096", "VOILUTFunction": "SIGMOID"}
DERIVED = {"ImageType": ["DERIVED", "PRIMARY"]}
LOSSY = {"LossyImageCompression": "01"}


@pytest.mark.parametrize(
    ("elements", "flagged"),
    [(SIGMOID | DERIVED | LOSSY, True), (SIGMOID | LOSSY, False), (SIGMOID | DERIVED, False), (DERIVED | LOSSY, False)],
)
def test_a_curve_that_may_be_burned_in_is_flagged(elements, flagged):
    assert ("sigmoid_perhaps_twice" in read_film(films.dicom_bytes(**elements)).flags) == flagged


@pytest.mark.parametrize("syntax", [films.EXPLICIT, films.RLE, films.JPEG_LOSSLESS_SV1, films.JPEG_2000_LOSSLESS])
def test_values_in_the_lowest_bits_are_read_as_they_lie(syntax):
    frame = films.pixels()
    film = read_film(films.dicom_bytes(frame, syntax, HighBit=15))
    np.testing.assert_array_equal(film.stored, frame)
    assert "high_bit_contradiction" in film.flags


def test_values_that_lie_as_high_as_stated_are_moved_down():
    frame = films.pixels()
    film = read_film(films.dicom_bytes(frame << 4, HighBit=15))
    np.testing.assert_array_equal(film.stored, frame)
    assert "high_bit_contradiction" not in film.flags
