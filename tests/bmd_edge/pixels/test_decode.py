"""Every transfer syntax gives the stored values back, and a damaged frame is refused, never half decoded."""

import io
import struct

import numpy as np
import pydicom
import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.decode import decode
from tests.bmd_edge.pixels.codestreams import COMPRESSED, layout, native
from tests.support import films


@pytest.mark.parametrize("bits", [8, 10, 12, 15, 16])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", [*films.NATIVE, *films.LOSSLESS])
def test_lossless_syntaxes_give_the_stored_values(syntax, bits, signed):
    frame = films.pixels(61, 43, bits, signed)
    data = native(frame, syntax) if syntax in films.NATIVE else films.encoded(frame, syntax, bits)
    if frame.nbytes % 2 and syntax in films.NATIVE:
        data += b"\0"
    got = decode(syntax, data, layout(frame, bits))
    assert got.dtype == frame.dtype
    np.testing.assert_array_equal(got, frame)


@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_lossless_jpeg_predictor(predictor):
    frame = films.pixels(33, 57, 14)
    stream = films.encoded(frame, films.JPEG_LOSSLESS, 14, predictor)
    np.testing.assert_array_equal(decode(films.JPEG_LOSSLESS, stream, layout(frame, 14)), frame)


@pytest.mark.parametrize("syntax", films.LOSSY)
def test_lossy_syntaxes_stay_close(syntax):
    bits = 8 if syntax == films.JPEG_BASELINE else 12
    frame = films.pixels(bits=bits)
    got = decode(syntax, films.encoded(frame, syntax, bits), layout(frame, bits))
    assert np.abs(got.astype(int) - frame).mean() < 0.01 * (1 << bits)


@pytest.mark.parametrize("syntax", [films.IMPLICIT, films.EXPLICIT, films.DEFLATED, films.BIG_ENDIAN, films.RLE])
def test_agrees_with_pydicom(syntax):
    frame = films.pixels()
    data = films.dicom_bytes(frame, syntax)
    expected = pydicom.dcmread(io.BytesIO(data)).pixel_array
    stream = native(frame, syntax) if syntax in films.NATIVE else films.encoded(frame, syntax, 12)
    np.testing.assert_array_equal(decode(syntax, stream, layout(frame, 12)), expected)


def test_eight_bit_big_endian_words_are_swapped_back():
    frame = films.pixels(10, 8, 8)
    swapped = frame.tobytes()
    swapped = bytes(b for pair in zip(swapped[1::2], swapped[::2], strict=True) for b in pair)
    np.testing.assert_array_equal(decode(films.BIG_ENDIAN, swapped, layout(frame, 8, swapped_words=True)), frame)
    np.testing.assert_array_equal(decode(films.BIG_ENDIAN, frame.tobytes(), layout(frame, 8)), frame)


@pytest.mark.parametrize("syntax", COMPRESSED)
def test_a_codestream_that_ends_early_is_refused(syntax):
    """Cut at many places, the end marker put back: what decodes must be complete."""
    bits = 8 if syntax == films.JPEG_BASELINE else 12
    frame = films.pixels(bits=bits)
    stream = films.encoded(frame, syntax, bits)
    whole = decode(syntax, stream, layout(frame, bits))
    end = b"" if syntax == films.RLE else stream[-2:]
    refused = 0
    for cut in np.linspace(10, len(stream) - 8, 60).astype(int):
        try:
            got = decode(syntax, stream[:cut] + end, layout(frame, bits))
        except FilmRefused:
            refused += 1
        else:
            np.testing.assert_array_equal(got, whole)
    assert refused >= 55


@pytest.mark.parametrize(
    ("syntax", "stream"),
    [(films.JPEG_LOSSLESS, b""), (films.JPEG_LS, b"\xff\xd8\xff\xd9"), (films.JPEG_2000, b"\xff\x4f\xff\x51\xff\xd9"),
     (films.JPEG_BASELINE, b"\xff\xd8\xff\xc0\x00\x00\xff\xd9"), (films.RLE, b"\0" * 63), (films.RLE, bytes(200)),
     (films.JPEG_BASELINE, b"\xff\xd8" + b"\xff" * 100 + b"\xff\xd9"), (films.HTJ2K, bytes(100))],
)  # fmt: skip
def test_nonsense_is_refused(syntax, stream):
    with pytest.raises(FilmRefused) as caught:
        decode(syntax, stream, layout(films.pixels(), 12))
    assert caught.value.code in ("decode_failed", "inconsistent_pixels")


def test_rle_segment_may_not_grow_beyond_the_frame():
    frame = films.pixels()
    run = films.rle(np.vstack([frame, frame]))
    with pytest.raises(FilmRefused, match="decode_failed"):
        decode(films.RLE, run, layout(frame, 12))


@pytest.mark.parametrize("offsets", [(62, None), (None, 0), (None, -1), (None, 10**6)])
def test_rle_segments_lie_behind_the_header_one_after_the_other(offsets):
    """A first segment that starts in the header decodes to the same pixels when its first bytes say "nothing"."""
    frame = films.pixels()
    stream = bytearray(films.rle(frame))
    count, first, second = struct.unpack("<3L", stream[:12])
    assert (count, first) == (2, 64)
    stream[62:64] = b"\x80\x80"  # PackBits: no operation
    start, after = offsets
    struct.pack_into("<2L", stream, 4, first if start is None else start, second if after is None else first + after)
    with pytest.raises(FilmRefused, match="RLE segment offsets"):
        decode(films.RLE, bytes(stream), layout(frame, 12))


def test_signed_values_keep_their_sign_with_and_without_extension():
    frame = films.pixels(bits=12, signed=True)
    plain = (frame.view(np.uint16) & 0x0FFF).astype(np.uint16)
    np.testing.assert_array_equal(decode(films.EXPLICIT, frame.tobytes(), layout(frame, 12)), frame)
    np.testing.assert_array_equal(decode(films.EXPLICIT, plain.tobytes(), layout(frame, 12)), frame)
    spare = plain | 0x4000  # PS3.5 8.1.1: nothing may be assumed of unused bits
    np.testing.assert_array_equal(decode(films.EXPLICIT, spare.tobytes(), layout(frame, 12)), frame)
    picture = films.pixels(bits=14, signed=True)  # whose upper bits are no unused ones
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        decode(films.EXPLICIT, picture.tobytes(), layout(picture, 12))
