"""Sizes and depths that codestreams state themselves."""

import struct

import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.decode import decode
from bmd_edge.pixels.jpeg_header import jpeg_2000_header, jpeg_header
from tests.bmd_edge.pixels.codestreams import layout
from tests.support import films


def test_small_codestream_of_a_huge_image_is_refused():
    stream = bytearray(films.encoded(films.pixels(), films.JPEG_2000, 12)[:600] + b"\xff\xd9")
    stream[8:16] = struct.pack(">LL", 60000, 60000)
    assert jpeg_2000_header(bytes(stream)).rows == 60000
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        decode(films.JPEG_2000, bytes(stream), layout(films.pixels(), 12))


def test_loss_is_told_by_the_codestream_itself():
    frame = films.pixels()
    for syntax in (*films.LOSSLESS[1:], *films.LOSSY):
        bits = 8 if syntax == films.JPEG_BASELINE else 12
        stream = films.encoded(films.pixels(bits=bits), syntax, bits)
        read = jpeg_2000_header if stream[:4] == b"\xff\x4f\xff\x51" else jpeg_header
        assert read(stream).lossy == (syntax in films.LOSSY), syntax
    for syntax in (films.JPEG_LOSSLESS, films.JPEG_LS):  # a point transform drops the lowest bits
        stream = films.encoded(frame, syntax, 12)
        scan = stream.index(b"\xff\xda")
        last = scan + 1 + int.from_bytes(stream[scan + 2 : scan + 4], "big")
        assert jpeg_header(stream[:last] + b"\x02" + stream[last + 1 :]).lossy


def test_headers_of_codestreams():
    frame = films.pixels(33, 57, 12)
    for syntax, marker in ((films.JPEG_EXTENDED, 0xC1), (films.JPEG_LOSSLESS, 0xC3), (films.JPEG_LS, 0xF7)):
        header = jpeg_header(films.encoded(frame, syntax, 12))
        assert (header.rows, header.columns, header.components, header.marker) == (33, 57, 1, marker)
        assert header.bits == (16 if syntax == films.JPEG_LS else 12)
    signed = jpeg_2000_header(films.encoded(films.pixels(33, 57, 12, signed=True), films.JPEG_2000_LOSSLESS, 12))
    assert (signed.rows, signed.columns, signed.bits, signed.signed, signed.tiles) == (33, 57, 12, True, 1)
