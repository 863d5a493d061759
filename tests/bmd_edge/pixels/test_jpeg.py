"""JPEG codestreams: judged before a decoder sees them, and decoded as others decode them."""

import io
import struct

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels import jpeg
from bmd_edge.pixels.decode import decode
from tests.bmd_edge.pixels.codestreams import COMPRESSED, layout
from tests.support import films


def test_baseline_with_restart_markers_equals_pillow():
    frame = films.pixels(64, 80, 8)
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=90, restart_marker_blocks=4)
    expected = np.array(Image.open(io.BytesIO(buffer.getvalue())))
    np.testing.assert_array_equal(decode(films.JPEG_BASELINE, buffer.getvalue(), layout(frame, 8)), expected)


def test_size_is_compared_before_the_decoder_is_called(monkeypatch):
    frame = films.pixels()

    def never(*args, **kwargs):
        raise AssertionError("a decoder saw the bytes")

    for family in jpeg._DECODERS:
        monkeypatch.setitem(jpeg._DECODERS, family, never)
    for syntax in COMPRESSED:
        if syntax == films.RLE:
            continue
        bits = 8 if syntax == films.JPEG_BASELINE else 12
        stream = films.encoded(films.pixels(bits=bits), syntax, bits)
        for wrong in (layout(frame, bits, rows=121), layout(frame, bits, columns=89)):
            with pytest.raises(FilmRefused) as caught:
                decode(syntax, stream, wrong)
            assert caught.value.code == "inconsistent_pixels"


def test_too_many_tiles_are_refused():
    frame = films.pixels(200, 200)
    stream = bytearray(films.encoded(frame, films.JPEG_2000, 12))
    stream[24:32] = struct.pack(">LL", 1, 1)  # tiles of one pixel
    with pytest.raises(FilmRefused, match="tiles"):
        decode(films.JPEG_2000, bytes(stream), layout(frame, 12))


def test_color_codestream_is_refused_whatever_the_header_says():
    frame = films.pixels(bits=8)
    rgb = imagecodecs.jpeg8_encode(np.dstack([frame] * 3), 90)
    with pytest.raises(FilmRefused) as caught:
        decode(films.JPEG_BASELINE, rgb, layout(frame, 8))
    assert caught.value.code == "not_grayscale"


def test_lossy_overshoot_is_clipped_but_not_a_wrong_depth():
    frame = films.pixels(bits=10)
    frame[:2, :10] = 1030  # 20 of 10,800 pixels
    stream = bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, level=0, bitspersample=12))
    assert decode(films.JPEG_2000, stream, layout(frame, 10)).max() == 1023
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        decode(films.JPEG_2000_LOSSLESS, stream, layout(frame, 10))
    bright = bytes(imagecodecs.jpeg2k_encode(frame * 4, codecformat="j2k", reversible=True, level=0, bitspersample=12))
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        decode(films.JPEG_2000, bright, layout(frame, 10))
