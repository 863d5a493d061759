"""Half and quarter size: the same gray levels in the same places, whatever the syntax."""

import hashlib
import itertools
import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels import jpeg
from bmd_edge.pixels.decode import decode, decode_reduced
from bmd_edge.pixels.half_size import Reduced, reduced
from bmd_edge.pixels.jpeg_header import jpeg_2000_header, tiles_fill
from bmd_edge.pixels.layout import PixelLayout
from tests.bmd_edge.pixels.codestreams import layout, native
from tests.support import films


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
    assert how.step == step
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


@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("syntax", JPEG_2000)
def test_sizes_of_every_remainder_are_reduced_to_the_same_values(syntax: str, step: int) -> None:
    for rows, columns in itertools.product(range(40, 48), range(56, 64)):
        frame = films.pixels(rows, columns, 12, seed=rows) // 2 + 500
        got, how = decode_reduced(syntax, films.encoded(frame, syntax, 12), layout(frame, 12), step)
        expected, same = reduced(frame, step, 12)
        assert how == same
        np.testing.assert_array_equal(got, expected)


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
    # A white area of which a twentieth is thrown up to an eighth too far: clipped, as in the other syntaxes
    white = np.full(frame.shape, 4000, np.uint16)
    white[:32, :32] = 4600
    got, _ = decode_reduced(films.HTJ2K_LOSSLESS, films.encoded(white, films.HTJ2K_LOSSLESS, 12), layout(frame, 12), 2)
    assert (got[:14, :14] == 4095).all()
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


DECODERS = Path(__file__).parents[2] / "results" / "decoders.json"
"""What reduced frames were under each version of imagecodecs that the code tells apart."""


def digests() -> dict[str, str]:
    """Reduced frames of every lossless syntax, as OpenJPEG and OpenJPH see them in the version that is installed."""
    found = {}
    for syntax, bits, step in itertools.product(JPEG_2000, (8, 12, 15, 16), (2, 4)):
        frame = films.pixels(117, 90, bits, seed=bits)
        frame[40:60, 30:50] = (1 << bits) - 1
        frame[60:70, 30:50] = 0  # thrown below 0 beside it
        got, _ = reduce(syntax, films.encoded(frame, syntax, bits), layout(frame, bits), step)
        found[f"{syntax} {bits} 1/{step}"] = hashlib.sha256(got.tobytes()).hexdigest()[:16]
    return found


def test_frames_are_the_same_with_every_version_of_the_decoders() -> None:
    recorded = json.loads(DECODERS.read_text(encoding="utf-8"))
    assert len(recorded) == 2  # with reduced decoding of imagecodecs' own and without
    for version, frames in recorded.items():
        assert digests() == frames, version


@pytest.fixture
def openjph(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """As where imagecodecs reduces: OpenJPH leaves values below 0 wrapped; the streams that it was given."""
    given: list[bytes] = []

    def decode_htj2k(data: bytes, skipres: int) -> np.ndarray:
        given.append(data)
        values = whole(data).astype(np.int64)[:: 1 << skipres, :: 1 << skipres]
        return (values - 100).astype(np.uint16)

    def decode_jpeg_2000(data: bytes, skipres: int) -> np.ndarray:
        return whole(data)[:: 1 << skipres, :: 1 << skipres]

    whole = imagecodecs.jpeg2k_decode
    monkeypatch.setattr(jpeg, "_REDUCES", True)
    monkeypatch.setattr(imagecodecs, "htj2k_decode", decode_htj2k)
    monkeypatch.setattr(imagecodecs, "jpeg2k_decode", decode_jpeg_2000)
    return given


def test_what_openjph_wraps_below_zero_is_zero(openjph: list[bytes]) -> None:
    frame = np.full((64, 64), 3000, np.uint16)
    frame[:32] = 20
    stream = films.encoded(frame, films.HTJ2K_LOSSLESS, 12)
    got, _ = decode_reduced(films.HTJ2K_LOSSLESS, stream, layout(frame, 12), 2)
    assert len(openjph) == 1
    assert (np.unique(got[:16]).tolist(), np.unique(got[16:]).tolist()) == ([0], [2900])


@pytest.mark.parametrize(
    ("syntax", "bits"),
    [(films.HTJ2K_LOSSLESS, 8), (films.HTJ2K_LOSSLESS, 16), (films.HTJ2K, 12), (films.JPEG_2000_LOSSLESS, 12)],
)
def test_what_openjph_would_change_is_left_to_openjpeg(openjph: list[bytes], syntax: str, bits: int) -> None:
    frame = films.pixels(64, 66, bits)
    assert decode_reduced(syntax, films.encoded(frame, syntax, bits), layout(frame, bits), 2)
    assert not openjph


def test_openjph_gets_no_stream_whose_tiles_do_not_fill_it(openjph: list[bytes]) -> None:
    frame = films.pixels(64, 66)
    stream = films.encoded(frame, films.HTJ2K_LOSSLESS, 12)
    assert tiles_fill(stream)
    for cut in range(stream.find(b"\xff\x93"), len(stream) - 2, 97):
        with pytest.raises(FilmRefused):
            decode_reduced(films.HTJ2K_LOSSLESS, stream[:cut] + stream[-2:], layout(frame, 12), 2)
    assert not openjph
    place = stream.find(b"\xff\x90") + 6
    open_end = stream[:place] + b"\0\0\0\0" + stream[place + 4 :]  # a last tile may go on to the end without a length
    assert tiles_fill(open_end)
    assert not tiles_fill(stream[:-2])


def test_openjpeg_judges_what_openjph_refuses(openjph: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(data: bytes, skipres: int) -> np.ndarray:
        raise RuntimeError

    monkeypatch.setattr(imagecodecs, "htj2k_decode", refuse)
    frame = films.pixels(64, 66)
    got, _ = decode_reduced(films.HTJ2K_LOSSLESS, films.encoded(frame, films.HTJ2K_LOSSLESS, 12), layout(frame, 12), 2)
    np.testing.assert_array_equal(got, frame[::2, ::2])
