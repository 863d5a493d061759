"""Every transfer syntax gives the stored values back, and a damaged frame is refused, never half decoded."""

import io
import struct

import films
import imagecodecs
import numpy as np
import pydicom
import pytest
from PIL import Image

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels import jpeg
from bmd_edge.pixels.decode import decode, decode_reduced
from bmd_edge.pixels.half_size import Reduced, reduced
from bmd_edge.pixels.jpeg_header import jpeg_2000_header, jpeg_header
from bmd_edge.pixels.layout import PixelLayout
from bmd_edge.pixels.transfer_syntaxes import syntaxes

COMPRESSED = (*films.LOSSLESS, *films.LOSSY)


def layout(frame, bits, **changes):
    facts = {
        "rows": frame.shape[0],
        "columns": frame.shape[1],
        "bits_allocated": 8 * frame.dtype.itemsize,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "signed": frame.dtype.kind == "i",
    }
    return PixelLayout(**(facts | changes))


def native(frame, syntax):
    return frame.astype(frame.dtype.newbyteorder(">" if syntax == films.BIG_ENDIAN else "<")).tobytes()


def test_syntaxes_lists_every_readable_syntax():
    assert set(syntaxes()) == {*films.NATIVE, *COMPRESSED}
    assert all(name and decoder for name, decoder in syntaxes().values())


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


def test_baseline_with_restart_markers_equals_pillow():
    frame = films.pixels(64, 80, 8)
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=90, restart_marker_blocks=4)
    expected = np.array(Image.open(io.BytesIO(buffer.getvalue())))
    np.testing.assert_array_equal(decode(films.JPEG_BASELINE, buffer.getvalue(), layout(frame, 8)), expected)


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


def test_small_codestream_of_a_huge_image_is_refused():
    stream = bytearray(films.encoded(films.pixels(), films.JPEG_2000, 12)[:600] + b"\xff\xd9")
    stream[8:16] = struct.pack(">LL", 60000, 60000)
    assert jpeg_2000_header(bytes(stream)).rows == 60000
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        decode(films.JPEG_2000, bytes(stream), layout(films.pixels(), 12))


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


def test_unknown_syntax_is_named():
    with pytest.raises(FilmRefused, match=r"unsupported_syntax.*1\.2\.3"):
        decode("1.2.3", b"", layout(films.pixels(), 12))


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


def test_signed_values_keep_their_sign_with_and_without_extension():
    frame = films.pixels(bits=12, signed=True)
    plain = (frame.view(np.uint16) & 0x0FFF).astype(np.uint16)
    np.testing.assert_array_equal(decode(films.EXPLICIT, frame.tobytes(), layout(frame, 12)), frame)
    np.testing.assert_array_equal(decode(films.EXPLICIT, plain.tobytes(), layout(frame, 12)), frame)
    spoiled = plain | 0x4000
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        decode(films.EXPLICIT, spoiled.tobytes(), layout(frame, 12))


def test_headers_of_codestreams():
    frame = films.pixels(33, 57, 12)
    for syntax, marker in ((films.JPEG_EXTENDED, 0xC1), (films.JPEG_LOSSLESS, 0xC3), (films.JPEG_LS, 0xF7)):
        header = jpeg_header(films.encoded(frame, syntax, 12))
        assert (header.rows, header.columns, header.components, header.marker) == (33, 57, 1, marker)
        assert header.bits == (16 if syntax == films.JPEG_LS else 12)
    signed = jpeg_2000_header(films.encoded(films.pixels(33, 57, 12, signed=True), films.JPEG_2000_LOSSLESS, 12))
    assert (signed.rows, signed.columns, signed.bits, signed.signed, signed.tiles) == (33, 57, 12, True, 1)


# -- reduced --------------------------------------------------------------------------------------------------------


def reduce(syntax: str, data: bytes, header: PixelLayout, step: int) -> tuple[np.ndarray, Reduced]:
    """As a film is: no further than needed, or whole and then reduced."""
    found = decode_reduced(syntax, data, header, step)
    return found or reduced(decode(syntax, data, header), step, header.bits_stored)


JPEG_2000 = (films.JPEG_2000_LOSSLESS, films.HTJ2K_LOSSLESS)
REDUCIBLE = (films.EXPLICIT, films.JPEG_LOSSLESS_SV1, films.JPEG_LS, films.JPEG_2000_LOSSLESS, films.HTJ2K_LOSSLESS)


def ramp(rows: int, columns: int, signed: bool = False) -> np.ndarray:
    """Value 8 x + 4 y at the middle of the pixel (x, y), the corner at (0, 0)."""
    y, x = np.mgrid[:rows, :columns] + 0.5
    return (8 * x + 4 * y).astype(np.int16 if signed else np.uint16) - (2000 if signed else 0)


@pytest.mark.parametrize("shape", [(96, 128), (97, 130), (99, 131)])
@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("syntax", REDUCIBLE)
def test_reduced_values_stand_where_they_say(syntax: str, step: int, shape: tuple[int, int]) -> None:
    frame = ramp(*shape)
    data = native(frame, syntax) if syntax in films.NATIVE else films.encoded(frame, syntax, 12)
    got, how = reduce(syntax, data, layout(frame, 12), step)
    assert how.shape == shape
    assert how.step == (2 if step == 4 and 1 in (shape[0] % 4, shape[1] % 4) and syntax in JPEG_2000 else step)
    rows, columns = (np.arange(size) + 0.5 for size in got.shape)
    expected = 8 * (how.offset_px + how.step * columns) + 4 * (how.offset_px + how.step * rows)[:, None]
    assert np.abs(got - expected)[2:-2, 2:-2].max() <= 1.5


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize(
    ("shape", "step"), [((96, 128), 2), ((97, 131), 2), ((130, 99), 2), ((130, 99), 4), ((131, 103), 4), ((128, 96), 4)]
)
def test_every_transfer_syntax_is_reduced_to_the_same_values(bits: int, shape: tuple[int, int], step: int) -> None:
    """The oracle is OpenJPEG: what it decodes of a lossless stream without the finest levels."""
    frame = films.pixels(*shape, bits, seed=step)
    own, how = reduce(films.EXPLICIT, native(frame, films.EXPLICIT), layout(frame, bits), step)
    oracle, same = decode_reduced(
        films.JPEG_2000_LOSSLESS, films.encoded(frame, films.JPEG_2000_LOSSLESS, bits), layout(frame, bits), step
    )
    assert how == same
    assert own.dtype == oracle.dtype == frame.dtype
    np.testing.assert_array_equal(own, oracle)


@pytest.mark.parametrize("bits", [8, 12, 13, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_hard_edges_stay_in_range(bits: int, signed: bool) -> None:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    dtype = films.pixels(4, 4, bits, signed).dtype
    frame = np.full((202, 203), (low + high) // 2, dtype)
    frame[50:60, 50:53], frame[55:58, 53:60] = low, high
    for step in (2, 4):
        got, _ = reduce(films.EXPLICIT, padded(native(frame, films.EXPLICIT)), layout(frame, bits), step)
        assert got.dtype == dtype
        assert low <= got.min() <= got.max() <= high
        assert got[0, 0] == got[-1, -1] == (low + high) // 2


def padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def test_what_the_wavelet_throws_too_far_is_clipped() -> None:
    frame = (np.random.default_rng(0).random((128, 128)) > 0.5).astype(np.uint16) * 4095
    frame[:, :64] = 2000
    for syntax in (films.JPEG_2000_LOSSLESS, films.HTJ2K_LOSSLESS):
        calm = films.encoded(np.where(np.indices(frame.shape)[0] > 2, 2000, frame).astype(np.uint16), syntax, 12)
        got, _ = reduce(syntax, calm, layout(frame, 12), 2)
        assert got.max() <= 4095
    # HTJ2K of 16 bits does not clip by itself: beyond 4095 at many places, and sound all the same
    stream = films.encoded(frame, films.HTJ2K_LOSSLESS, 12)
    assert decode_reduced(films.HTJ2K_LOSSLESS, stream, layout(frame, 12), 2) is None
    got, _ = reduce(films.HTJ2K_LOSSLESS, stream, layout(frame, 12), 2)
    expected, _ = reduce(films.EXPLICIT, native(frame, films.EXPLICIT), layout(frame, 12), 2)
    np.testing.assert_array_equal(got, expected)
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        reduce(films.HTJ2K_LOSSLESS, films.encoded(frame * 2, films.HTJ2K_LOSSLESS, 12), layout(frame, 12), 2)


def test_a_signed_codestream_is_decoded_whole_and_then_reduced() -> None:
    frame = ramp(64, 66, signed=True)
    got, how = reduce(
        films.JPEG_2000_LOSSLESS, films.encoded(frame, films.JPEG_2000_LOSSLESS, 13), layout(frame, 13), 2
    )
    assert (how.step, got.shape, got.dtype) == (2, (32, 33), np.int16)


@pytest.mark.parametrize("syntax", [films.JPEG_2000_LOSSLESS, films.JPEG_2000, films.HTJ2K_LOSSLESS, films.HTJ2K])
def test_a_codestream_that_ends_early_is_refused_when_reduced(syntax: str) -> None:
    frame = films.pixels()
    stream = films.encoded(frame, syntax, 12)
    whole, _ = reduce(syntax, stream, layout(frame, 12), 2)
    refused = 0
    for cut in np.linspace(10, len(stream) - 8, 60).astype(int):
        try:
            got, _ = reduce(syntax, stream[:cut] + stream[-2:], layout(frame, 12), 2)
        except FilmRefused:
            refused += 1
        else:
            np.testing.assert_array_equal(got, whole)
    assert refused >= 55


def test_a_codestream_without_enough_levels_is_reduced_as_far_as_it_goes() -> None:
    frame = films.pixels(64, 64)
    stream = bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, level=0, resolutions=2))
    assert jpeg_2000_header(stream).levels == 1
    assert reduce(films.JPEG_2000_LOSSLESS, stream, layout(frame, 12), 4)[1].step == 2
