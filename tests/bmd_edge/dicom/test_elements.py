"""Elements of cut and oddly nested files."""

import struct

import numpy as np
import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.film.read import read_film
from tests.support import films
from tests.support.films import bright


@pytest.mark.parametrize("syntax", [films.EXPLICIT, films.IMPLICIT, films.DEFLATED, films.RLE, films.JPEG_LOSSLESS])
def test_a_cut_file_is_never_a_film(syntax):
    data = films.dicom_bytes(syntax=syntax)
    cuts = {*np.linspace(0, len(data) - 2, 60).astype(int), *range(len(data) - 12, len(data))}
    for cut in sorted(cuts):
        if syntax == films.DEFLATED and cut == len(data) - 1:
            continue  # the pad byte after the deflate stream
        with pytest.raises(FilmRefused) as caught:
            read_film(data[:cut])
        assert caught.value.code in ("empty_file", "not_dicom", "truncated", "broken_dicom", "no_pixels")


def undefined_length(tag, items, vr=b"SQ"):
    """A sequence of undefined length of items of undefined length, explicit VR little endian."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff%s\xfe\xff\x0d\xe0\0\0\0\0"
    start = struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, 0xFFFFFFFF)
    return start + b"".join(item % body for body in items) + b"\xfe\xff\xdd\xe0\0\0\0\0"


def explicit(tag, vr, value):
    if vr == b"OW":
        return struct.pack("<HH2sHL", tag >> 16, tag & 0xFFFF, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def implicit(tag, value):
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def test_sequences_of_undefined_length():
    """The VOI LUT is found inside one; a private UN sequence, implicit inside (PS3.5 6.2.2), is stepped over."""
    values = np.arange(4096)[::-1].astype("<u2").tobytes()
    body = explicit(0x00283002, b"US", struct.pack("<3H", 4096, 0, 12)) + explicit(0x00283006, b"OW", values)
    voi = undefined_length(0x00283010, [body, body])
    private = undefined_length(0x00291010, [implicit(0x00291011, b"ABCD"), b""], b"UN")
    frame = films.pixels()
    film = read_film(films.before_pixels(voi + private))
    np.testing.assert_allclose(bright(film), 1 - (frame - frame.min()) / np.ptp(frame), atol=1e-6)


def test_an_unclosed_sequence_is_refused():
    whole = films.before_pixels(undefined_length(0x00291010, [b""]))
    with pytest.raises(FilmRefused) as caught:
        read_film(films.patched(whole, b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\x0d\xe0\0\0\0\0"))
    assert caught.value.code in ("truncated", "broken_dicom")


@pytest.mark.parametrize("closed", [True, False])
def test_items_in_the_other_encoding_than_the_file_are_read(closed):
    """Makers copy private sequences as they are; some write what they should not into an UN of undefined length."""

    def item(body):
        end = b"" if closed else b"\xfe\xff\x0d\xe0\0\0\0\0"
        return struct.pack("<HHL", 0xFFFE, 0xE000, len(body) if closed else 0xFFFFFFFF) + body + end

    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    plain, words = implicit(0x00080060, b"CT"), explicit(0x00080060, b"CS", b"CT")
    original = read_film(films.dicom_bytes())
    for vr, body in ((b"SQ", plain), (b"UN", plain), (b"UN", words)):
        start = struct.pack("<HH2sHL", 0x0029, 0x1010, vr, 0, 0xFFFFFFFF)
        film = read_film(films.before_pixels(start + item(body) + item(body) + end))
        np.testing.assert_array_equal(film.stored, original.stored)
    data = films.dicom_bytes(syntax=films.IMPLICIT)
    place = data.rindex(struct.pack("<HHL", 0x7FE0, 0x0010, films.pixels().nbytes))
    private = struct.pack("<HHL", 0x0029, 0x1010, 0xFFFFFFFF) + item(words) + end
    film = read_film(data[:place] + private + data[place:])
    np.testing.assert_array_equal(film.stored, original.stored)
    assert "header_irregular" in film.flags


def test_what_is_asked_for_is_found_in_an_item_of_the_other_encoding():
    values = np.arange(4096)[::-1].astype("<u2").tobytes()
    body = implicit(0x00283002, struct.pack("<3H", 4096, 0, 12)) + implicit(0x00283006, values)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body
    voi = struct.pack("<HH2sHL", 0x0028, 0x3010, b"SQ", 0, len(item)) + item
    film = read_film(films.before_pixels(voi))
    frame = films.pixels()
    assert bright(film)[np.unravel_index(frame.argmax(), frame.shape)] == 0
    assert "header_irregular" in film.flags
