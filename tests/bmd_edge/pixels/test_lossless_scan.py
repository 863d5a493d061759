"""Counting the bits of a lossless JPEG finds every scan that ends early, and no whole one."""

import imagecodecs
import numpy as np
import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.decode import decode
from bmd_edge.pixels.layout import PixelLayout
from bmd_edge.pixels.lossless_scan import is_complete, read_scan
from tests.support import films


def stream_of(frame, bits, predictor=1) -> bytes:
    return films.encoded(frame, films.JPEG_LOSSLESS, bits, predictor)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_the_bits_of_a_whole_scan_are_those_it_holds(bits: int, signed: bool) -> None:
    frame = films.pixels(61, 43, bits, signed, seed=bits)
    stream = stream_of(frame, bits)
    raw = frame.view(f"u{frame.itemsize}")
    scan = read_scan(stream)
    assert scan is not None
    assert is_complete(scan, raw)
    one_byte_less = read_scan(stream[:-3] + stream[-2:])
    assert one_byte_less is None or not is_complete(one_byte_less, raw)


@pytest.mark.parametrize("frame", [np.zeros((40, 50)), np.random.default_rng(0).integers(0, 65536, (40, 50))])
def test_flat_and_wild_frames_are_whole(frame) -> None:
    scan = read_scan(stream_of(frame.astype(np.uint16), 16))
    assert scan is not None
    assert is_complete(scan, frame.astype(np.uint16))


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_whatever_was_cut_off_is_missed_by_nobody(bits: int) -> None:
    """Every cut in the last 300 bytes and every seventh before: refused, or the cut took nothing of the frame."""
    frame = films.pixels(61, 43, bits, seed=bits)
    stream = stream_of(frame, bits)
    layout = PixelLayout(61, 43, 8 * frame.itemsize, bits, bits - 1, False)
    refused = 0
    start = stream.index(b"\xff\xda") + 12
    cuts = {*range(start, len(stream) - 2, 7), *range(len(stream) - 302, len(stream) - 2)}
    for cut in cuts:
        try:
            got = decode(films.JPEG_LOSSLESS, stream[:cut] + stream[-2:], layout)
        except FilmRefused:
            refused += 1
        else:
            np.testing.assert_array_equal(got, frame)
    assert refused >= len(cuts) - 1


def test_a_frame_that_libjpeg_completed_with_a_flat_end_is_found() -> None:
    """The lower half of the film is flat, as libjpeg would make it up."""
    frame = films.pixels(80, 43, 12)
    frame[40:] = frame[40, 0]
    stream = stream_of(frame, 12)
    cut = stream[: len(stream) - 40] + stream[-2:]
    np.testing.assert_array_equal(imagecodecs.jpeg8_decode(cut)[:30], frame[:30])
    scan = read_scan(cut)
    assert scan is not None
    assert not is_complete(scan, imagecodecs.jpeg8_decode(cut))


def test_other_scans_are_left_to_the_second_decoding() -> None:
    frame = films.pixels(61, 43, 12)
    assert all(read_scan(stream_of(frame, 12, predictor)) is None for predictor in range(2, 8))
    stream = stream_of(frame, 12)
    place = stream.index(b"\xff\xda")
    assert read_scan(stream[:place] + b"\xff\xdd\x00\x04\x00\x2b" + stream[place:]) is None
    assert read_scan(stream[:place] + b"\xff\xdd\x00\x04\x00\x00" + stream[place:]) is not None
    assert read_scan(stream[:-40] + b"\xff\xd0" + stream[-38:]) is None


def test_bytes_that_nobody_needs_are_damage_unless_they_are_zeros() -> None:
    frame = films.pixels(61, 43, 12)
    stream = stream_of(frame, 12)
    layout = PixelLayout(61, 43, 16, 12, 11, False)
    for padding in (b"", b"\0", b"\0\0\0"):
        np.testing.assert_array_equal(decode(films.JPEG_LOSSLESS, stream[:-2] + padding + stream[-2:], layout), frame)
    for extra in (b"\x55", b"\0\x01", b"\xff\0"):
        with pytest.raises(FilmRefused, match="early or late"):
            decode(films.JPEG_LOSSLESS, stream[:-2] + extra + stream[-2:], layout)
