"""Text and lengths of a header do no harm."""

import struct

import numpy as np

from bmd_edge.film.read import read_film
from tests.support import films


def test_control_characters_never_leave_the_header():
    film = read_film(films.dicom_bytes(Manufacturer="Ac\x1b[31mme\r\n<b>", BodyPartExamined="HIP\x00\x07"))
    assert film.maker == "Ac [31mme  <b>"
    assert film.body_part == "HIP"


def test_a_wrong_group_length_of_the_file_meta_is_harmless():
    for syntax in (films.EXPLICIT, films.IMPLICIT, films.RLE):
        data = bytearray(films.dicom_bytes(syntax=syntax))
        data[140:144] = struct.pack("<L", 10)
        np.testing.assert_array_equal(read_film(bytes(data)).stored, films.pixels())
