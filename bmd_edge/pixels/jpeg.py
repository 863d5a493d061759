"""JPEG, JPEG-LS and JPEG 2000 codestreams -> stored integers, one permissive decoder for each family.

The size, depth and component count written in a codestream are compared with the DICOM header BEFORE a decoder sees
the bytes: a 600-byte JPEG 2000 may otherwise ask for gigabytes.

Decoders are chosen for strictness before speed. OpenJPH, the fastest for HTJ2K, fills a stream that ends early without
an error: it gets those alone whose tiles end where they say, and in a version that raises its errors; OpenJPEG judges
whatever it does not decode. libjpeg-turbo fills streams too: for the usual lossless scan the bits that the frame needs
are counted (`bmd_edge.pixels.lossless_scan`); any other JPEG is decoded twice with two different tails, and the two
must agree.
"""

import inspect
import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Jpeg2KImagePlugin

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.half_size import Reduced
from bmd_edge.pixels.jpeg_header import Codestream, jpeg_2000_header, jpeg_header, tiles_fill
from bmd_edge.pixels.layout import CLIP_SHARE, PixelLayout, Stored
from bmd_edge.pixels.lossless_scan import is_complete, read_scan

MAX_TILES = 4096  # OpenJPEG spends 9 kB on each, whatever it holds
MIN_TILE_PIXELS = 1024
# Inserted before the end marker. A complete scan never reads it; one that ends early is filled with zero bits, and this
# begins with a one, so the next Huffman code differs.
_TAIL = b"\xb6" * 64

_JPEG_MARKERS = {"jpeg": (0xC0, 0xC1), "jpeg_lossless": (0xC3,), "jpeg_ls": (0xF7,)}
_DECODERS: dict[str, Callable[..., Any]] = {
    "jpeg": imagecodecs.jpeg8_decode,
    "jpeg_lossless": imagecodecs.jpeg8_decode,
    "jpeg_ls": imagecodecs.jpegls_decode,
    "jpeg_2000": imagecodecs.jpeg2k_decode,
}

_REDUCES = "skipres" in inspect.signature(imagecodecs.jpeg2k_decode).parameters
"""From 2026.10.10 on imagecodecs leaves out the finest levels of a wavelet, and its OpenJPH raises its errors."""
_BELOW_ZERO = 0xC000
"""OpenJPH wraps values below 0 around; none of 15 bits is thrown as far up as that."""


def decode_codestream(family: str, data: bytes, layout: PixelLayout) -> Stored:
    """Decode a whole codestream of `family` into (rows, columns); raises as `decode`."""
    data = _trimmed(family, data)
    stream = jpeg_2000_header(data) if family == "jpeg_2000" else jpeg_header(data)
    _check_codestream(family, stream, layout)
    if family == "jpeg_lossless" and layout.pixels > 8 * len(data):  # a Huffman code has at least one bit
        raise FilmRefused("decode_failed", f"{layout.pixels} pixels in {len(data)} bytes")
    decoder = _DECODERS[family]
    frame = _frame(call_decoder(family, decoder, data), stream)
    if decoder is imagecodecs.jpeg8_decode and not _is_complete(family, data, frame):
        raise FilmRefused("decode_failed", "the codestream ends early or late")
    if stream.signed and not layout.signed:
        if frame.min() < 0:
            raise FilmRefused("inconsistent_pixels", "negative values in unsigned pixel data")
        frame = frame.astype(np.uint16)
    # PS3.5 8.2.4: the codestream must be signed where PixelRepresentation is 1. Where it is not, two's complement
    # and plain values are both in use; they differ only above the sign bit, so only there is the film ambiguous.
    if layout.signed and family == "jpeg_2000" and not stream.signed and int(frame.max()) >> (layout.bits_stored - 1):
        raise FilmRefused("inconsistent_pixels", "unsigned JPEG 2000 codestream in signed pixel data")
    return frame


def _is_complete(family: str, data: bytes, frame: Stored) -> bool:
    """Tell whether libjpeg-turbo had to make up the end of the frame, which it does without a word."""
    scan = read_scan(data) if family == "jpeg_lossless" else None
    if scan is not None:
        return is_complete(scan, frame)
    again = call_decoder(family, imagecodecs.jpeg8_decode, data[:-2] + _TAIL + data[-2:])
    return np.array_equal(frame, again)


def decode_jpeg_2000_reduced(data: bytes, layout: PixelLayout, step: int) -> tuple[Stored, Reduced] | None:
    """Decode without the finest levels of the wavelet; None where this stream does not allow it."""
    data = _trimmed("jpeg_2000", data)
    stream = jpeg_2000_header(data)
    _check_codestream("jpeg_2000", stream, layout)
    step = min(step, 1 << stream.levels)
    plain = not (layout.signed or stream.signed or layout.overlay_bits) and layout.high_bit == layout.bits_stored - 1
    if step == 1 or not plain:
        return None
    frame = _reduced(data, stream, layout, step.bit_length() - 1)
    shape = -(-stream.rows // step), -(-stream.columns // step)
    if frame.shape != shape or frame.dtype != (np.uint8 if stream.bits <= 8 else np.uint16):
        raise FilmRefused("decode_failed", "the decoder returned another shape")
    top = (1 << layout.bits_stored) - 1
    # The wavelet throws a white area's edges a little too far; what is farther out is a wrong header, or none: the
    # whole frame will tell.
    if stream.bits > layout.bits_stored and np.mean(frame > top + (top >> 3)) > CLIP_SHARE:
        return None
    return np.minimum(frame, frame.dtype.type(top)), Reduced((stream.rows, stream.columns), step)


def _reduced(data: bytes, stream: Codestream, layout: PixelLayout, halvings: int) -> NDArray[Any]:
    """The values of a JPEG 2000 codestream, halved so often, by the fastest decoder here that is strict with it."""
    if not _REDUCES:
        return np.asarray(call_decoder("jpeg_2000", _by_pillow, data, stream, halvings))
    if stream.high_throughput and not stream.lossy and 8 < layout.bits_stored < 16 and tiles_fill(data):
        with suppress(FilmRefused):
            frame = np.asarray(call_decoder("htj2k", imagecodecs.htj2k_decode, data, skipres=halvings))
            if frame.dtype == np.uint16:
                frame[frame >= _BELOW_ZERO] = 0
                return frame
    return np.asarray(call_decoder("jpeg_2000", imagecodecs.jpeg2k_decode, data, skipres=halvings))


def _by_pillow(data: bytes, stream: Codestream, halvings: int) -> NDArray[Any]:
    """OpenJPEG through Pillow, which puts 9 to 15 bits at the upper end of 16."""
    image = Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data))
    image.reduce = halvings
    # Pillow rounds a reduced size to the nearest, the standard up: its buffer would be too small for 4 n + 1 pixels.
    width, height = (-(-side >> halvings) << halvings for side in image.size)
    image._size = width, height
    image.load()
    frame = np.array(image)
    return np.right_shift(frame, 16 - stream.bits, out=frame) if stream.bits > 8 else frame


def loses(family: str, data: bytes | memoryview) -> bool:
    """Whether a codestream that could be decoded says of itself that it was compressed with loss."""
    if family in ("native", "rle"):
        return False
    data = _unwrapped(family, bytes(data))
    return (jpeg_2000_header(data) if family == "jpeg_2000" else jpeg_header(data)).lossy


def _unwrapped(family: str, data: bytes) -> bytes:
    """The codestream in a JP2 container, which PS3.5 8.2.4 forbids and some archives write all the same."""
    if family == "jpeg_2000" and data[4:8] == b"jP  ":
        data = data[max(data.find(b"\xff\x4f\xff\x51", 0, 4096), 0) :]
    return data


def _trimmed(family: str, data: bytes) -> bytes:
    """Cut padding and a JP2 wrapper off; a codestream without its end marker was truncated."""
    data = _unwrapped(family, data)
    end = data.rfind(b"\xff\xd9")
    # Padded to even length by any byte (seen: 00, 20, FF), or by zeros to a block size
    if end < 0 or (len(data) - end > 3 and data[end + 2 :].strip(b"\0")):
        raise FilmRefused("decode_failed", "the codestream has no end")
    if family in ("jpeg", "jpeg_lossless"):  # fill bytes before the marker (ITU-T T.81 B.1.1.2): code never ends so
        return data[:end].rstrip(b"\xff") + data[end : end + 2]
    return data[: end + 2]


def _check_codestream(family: str, stream: Codestream, layout: PixelLayout) -> None:
    if stream.components != 1:
        raise FilmRefused("not_grayscale", f"{stream.components} components in the codestream")
    if (stream.rows, stream.columns) != (layout.rows, layout.columns):
        detail = f"codestream of {stream.columns} x {stream.rows}, header {layout.columns} x {layout.rows}"
        raise FilmRefused("inconsistent_pixels", detail)
    # More bits than BitsStored are common and harmless, the values are checked. With fewer, readers differ: some scale
    # the values up, and nothing in the file tells which of the two the header's window was made for.
    if not layout.bits_stored <= stream.bits <= layout.bits_allocated:
        raise FilmRefused("inconsistent_pixels", f"{stream.bits}-bit codestream for {layout.bits_stored} bits")
    if stream.tiles > min(MAX_TILES, 4 + layout.pixels // MIN_TILE_PIXELS):
        raise FilmRefused("decode_failed", "too many JPEG 2000 tiles")
    if family != "jpeg_2000" and stream.marker not in _JPEG_MARKERS[family]:
        raise FilmRefused("inconsistent_pixels", f"JPEG process FF{stream.marker:02X} under another transfer syntax")


def call_decoder(name: str, decoder: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a foreign decoder; whatever it raises becomes `decode_failed`."""
    try:
        return decoder(*args, **kwargs)
    except MemoryError:  # says nothing about the film
        raise
    except Exception as error:  # each codec has its own exception types
        raise FilmRefused("decode_failed", f"{name}: {type(error).__name__}") from error


def _frame(frame: Any, stream: Codestream) -> Stored:
    kind = "i" if stream.signed else "u"
    if not isinstance(frame, np.ndarray) or frame.shape != (stream.rows, stream.columns):
        raise FilmRefused("decode_failed", "the decoder returned another shape")
    if frame.dtype.kind != kind or frame.dtype.itemsize > 2:
        raise FilmRefused("decode_failed", f"the decoder returned {frame.dtype}")
    stored: Stored = frame
    return stored
