"""Pixel data of one grayscale frame -> stored integers: the door of the decoders.

What a codestream says of its own size is compared with the DICOM header BEFORE a decoder sees the bytes, and what a
decoder returns is checked again: shape, dtype, and that no value lies outside BitsStored. A contradiction is refused,
never repaired by a guess. Uncompressed and run-length coded pixels are read here.
"""

import itertools
import struct

import imagecodecs
import numpy as np

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.half_size import Reduced
from bmd_edge.pixels.jpeg import call_decoder, decode_codestream, decode_jpeg_2000_reduced
from bmd_edge.pixels.layout import CLIP_SHARE, PixelLayout, Stored
from bmd_edge.pixels.misread import is_torn
from bmd_edge.pixels.transfer_syntaxes import EXPLICIT_BIG_ENDIAN, MAX_RATIO, may_be_lossy, transfer_syntax

_BYTES_PER_PIXEL = {"native": 3, "rle": 5, "jpeg": 6, "jpeg_lossless": 6, "jpeg_ls": 4, "jpeg_2000": 14}
"""The most that is held at a time while a frame is decoded, beside the file: OpenJPEG works on 32-bit integers."""


def decode_bytes(uid: str, layout: PixelLayout, file_bytes: int, step: int = 1) -> int:
    """Bytes of memory, with the file, that decoding a frame to 1 / `step` of its rows is reckoned to take."""
    family = transfer_syntax(uid).family
    copies, shrunk = (1, 1) if family == "native" else (3, step**2 if family == "jpeg_2000" else 1)
    return copies * file_bytes + _BYTES_PER_PIXEL[family] * layout.pixels // shrunk


def decode_reduced(
    transfer_syntax_uid: str, data: bytes | memoryview, header: PixelLayout, step: int
) -> tuple[Stored, Reduced] | None:
    """Decode a JPEG 2000 or HTJ2K frame no further than to 1 / `step` (2 or 4) of its rows and columns, or to half.

    Returns the values, unsigned, and how they lie on the frame; values that the wavelet throws beyond BitsStored are
    clipped. None for any frame that this cannot be done with: decode it whole, then `reduced`. Raises as `decode`.
    """
    _check_layout(header)
    if transfer_syntax(transfer_syntax_uid).family != "jpeg_2000":
        return None
    _check_ratio(data, header)
    return decode_jpeg_2000_reduced(bytes(data), header, step)


def decode(transfer_syntax_uid: str, data: bytes | memoryview, header: PixelLayout) -> Stored:
    """Decode one frame.

    `data` is the native pixel data or the frame's joined fragments. Returns `(rows, columns)` integers, the stored
    values of PS3.3 C.7.6.3.1: unsigned `uint8`/`uint16` or signed `int8`/`int16`, every value within BitsStored.

    Raises `FilmRefused`: `unsupported_syntax`, `pixel_length`, `decode_failed`, `inconsistent_pixels`.
    """
    _check_layout(header)
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax.family != "native":
        _check_ratio(data, header)
    if syntax.family == "native":
        frame = _native(data, header, big_endian=transfer_syntax_uid == EXPLICIT_BIG_ENDIAN)
    elif syntax.family == "rle":
        frame = _rle(data, header)
    else:
        frame = decode_codestream(syntax.family, bytes(data), header)
    return _stored(frame, header, may_be_lossy(transfer_syntax_uid), spare_bits=syntax.family in ("native", "rle"))


def _check_layout(layout: PixelLayout) -> None:
    """Refuse bit depths that contradict each other (PS3.3 C.7.6.3, PS3.5 8.1.1)."""
    if layout.rows < 1 or layout.columns < 1:
        raise FilmRefused("inconsistent_pixels", f"{layout.rows} x {layout.columns} pixels")
    if layout.bits_allocated not in (8, 16) or not 8 <= layout.bits_stored <= 16:
        raise FilmRefused("unsupported_depth", f"{layout.bits_stored} bits in {layout.bits_allocated}")
    if not layout.bits_stored - 1 <= layout.high_bit < layout.bits_allocated:
        raise FilmRefused("inconsistent_pixels", f"HighBit {layout.high_bit} of {layout.bits_stored} bits")


def _native(data: bytes | memoryview, layout: PixelLayout, big_endian: bool) -> Stored:
    """Uncompressed pixels: the image comes first; what is appended means nothing (PS3.5 8.1.1) if it is padding."""
    expected = layout.native_bytes
    rest = bytes(data[expected:])
    if len(data) < expected or (len(rest) > expected % 2 and rest.strip(rest[-1:])):
        raise FilmRefused("pixel_length", f"{len(data)} bytes, expected {expected}")
    data = data[: expected + expected % 2]
    if layout.bits_allocated == 8:
        frame = np.frombuffer(data, np.uint8)
        if layout.swapped_words:
            frame = frame[: len(frame) // 2 * 2].view(">u2").astype("<u2").view(np.uint8)
        frame = frame[: layout.pixels]
    else:
        frame = np.frombuffer(data, ">u2" if big_endian else "<u2", layout.pixels).astype(np.uint16, copy=False)
    return frame.reshape(layout.rows, layout.columns)


def _check_ratio(data: bytes | memoryview, layout: PixelLayout) -> None:
    """Refuse a frame that would grow out of all proportion, before a decoder makes room for it."""
    if layout.native_bytes > MAX_RATIO * len(data):
        raise FilmRefused("decode_failed", f"{layout.pixels} pixels in {len(data)} bytes")


def _rle(data: bytes | memoryview, layout: PixelLayout) -> Stored:
    """Byte planes, most significant first, each PackBits-coded (PS3.5 annex G)."""
    planes = layout.bits_allocated // 8
    if len(data) < 64:
        raise FilmRefused("decode_failed", "RLE header cut off")
    count, *offsets = struct.unpack("<16L", bytes(data[:64]))
    if count != planes:
        raise FilmRefused("inconsistent_pixels", f"{count} RLE segments for {layout.bits_allocated} bits")
    bounds = [*offsets[:planes], len(data)]
    if bounds[0] < 64 or any(a >= b for a, b in itertools.pairwise(bounds)):
        raise FilmRefused("decode_failed", "RLE segment offsets")
    frame = np.empty((layout.pixels, planes), np.uint8)
    for plane in range(planes):
        segment = bytes(data[bounds[plane] : bounds[plane + 1]])
        # A stated output size bounds the decoder; a segment that wants more is an error, one that gives less is cut.
        try:
            raw = call_decoder("RLE", imagecodecs.packbits_decode, segment, out=layout.pixels)
        except FilmRefused:
            segment = _without_padding(segment, layout.pixels)
            raw = call_decoder("RLE", imagecodecs.packbits_decode, segment, out=layout.pixels)
        if len(raw) != layout.pixels:
            raise FilmRefused("pixel_length", f"RLE segment of {len(raw)} bytes, expected {layout.pixels}")
        frame[:, planes - 1 - plane] = np.frombuffer(raw, np.uint8)
    dtype = np.uint8 if planes == 1 else "<u2"
    return frame.reshape(-1).view(dtype).reshape(layout.rows, layout.columns)


def _without_padding(segment: bytes, pixels: int) -> bytes:
    """An RLE segment without the zeros behind its last code (PS3.5 G.3), which would be codes themselves."""
    place, given, end = 0, 0, len(segment.rstrip(b"\0"))
    while place < end and given < pixels:
        code = segment[place]
        given += 257 - code if code > 128 else (code + 1) % 129
        place += 2 if code > 128 else 1 if code == 128 else code + 2
    return segment[: max(place, end)]


def _stored(frame: Stored, layout: PixelLayout, lossy: bool, spare_bits: bool) -> Stored:
    """Move HighBit down, extend the sign, and make sure that no value lies outside BitsStored.

    `spare_bits`: the stored words have bits above HighBit, of which nothing may be assumed (PS3.5 8.1.1).
    """
    shift = layout.high_bit + 1 - layout.bits_stored
    if shift:
        frame = np.right_shift(frame, shift)
    if frame.dtype.kind == "i":
        half = 1 << (layout.bits_stored - 1)
        return _bounded(frame, -half, half - 1, lossy)
    top = (1 << layout.bits_stored) - 1
    if not layout.signed:
        return _masked(frame, layout) if spare_bits or layout.overlay_bits else _bounded(frame, 0, top, lossy)
    unused = 8 * frame.dtype.itemsize - layout.bits_stored
    extended = np.right_shift(np.left_shift(frame, unused).view(f"i{frame.dtype.itemsize}"), unused)
    # The unused bits of a signed value hold its sign, or nothing
    if not layout.overlay_bits and not np.all((frame <= top) | (frame == extended.view(frame.dtype))):
        _check_spare(extended, layout, spare_bits)
    values: Stored = extended
    return values


def _masked(frame: Stored, layout: PixelLayout) -> Stored:
    """Unsigned values without their spare bits."""
    top = (1 << layout.bits_stored) - 1
    if frame.max() <= top:
        return frame
    masked: Stored = frame & frame.dtype.type(top)
    if not layout.overlay_bits:
        _check_spare(masked, layout, spare_bits=True)
    return masked


def _check_spare(masked: Stored, layout: PixelLayout, spare_bits: bool) -> None:
    """Refuse bits above HighBit that are no spare ones but part of the picture: without them it is torn."""
    if not spare_bits or is_torn(masked, layout.bits_stored):
        raise FilmRefused("inconsistent_pixels", f"values outside {layout.bits_stored} bits")


def _bounded(frame: Stored, low: int, high: int, lossy: bool) -> Stored:
    """Refuse values out of range; a lossy codec may overshoot at a few pixels, which are clipped."""
    if frame.min() >= low and frame.max() <= high:
        return frame
    outside = float(np.mean((frame < low) | (frame > high)))
    if lossy and outside <= CLIP_SHARE:
        clipped: Stored = np.clip(frame, low, high)
        return clipped
    raise FilmRefused("inconsistent_pixels", f"values outside {high.bit_length()} bits")
