"""Pixel data of one grayscale frame -> stored integers, one permissive decoder per transfer syntax.

The size, depth and component count written in a codestream are compared with the DICOM header BEFORE a decoder sees
the bytes: a 600-byte JPEG 2000 may otherwise ask for gigabytes. What a decoder returns is checked again: shape, dtype,
and that no value lies outside BitsStored. A contradiction is refused, never repaired by a guess.

Decoders are chosen for strictness before speed. OpenJPH fills a stream that ends early without an error, so OpenJPEG
decodes HTJ2K although it is slower. libjpeg-turbo does the same: for the usual lossless scan the bits that the frame
needs are counted (`bmd_edge.scan`); any other JPEG is decoded twice with two different tails, and the two must agree.
"""

import io
import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Jpeg2KImagePlugin

from bmd_edge.codestream import Codestream, jpeg_2000_header, jpeg_header
from bmd_edge.errors import FilmRefused
from bmd_edge.scan import is_complete, read_scan

Stored = NDArray[np.integer[Any]]

DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
CLIP_SHARE = 0.01
MAX_TILES = 4096  # OpenJPEG spends 9 kB on each, whatever it holds
MIN_TILE_PIXELS = 1024
MAX_RATIO = 200
"""No film is compressed further, however much of it is black; what claims to be is blank, cut or a bomb."""


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """What the DICOM header says about the stored pixels of one frame, one sample per pixel (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    bits_allocated: int  # 8 or 16
    bits_stored: int
    high_bit: int
    signed: bool
    # Bits above HighBit may hold overlay planes (retired, PS3.3-2004 C.9.2): masked instead of refused.
    overlay_bits: bool = False
    # Explicit VR Big Endian, OW, 8 bits allocated: two pixels share a byte-swapped word (PS3.5 A.3).
    swapped_words: bool = False

    @property
    def pixels(self) -> int:
        """Number of pixels of the frame."""
        return self.rows * self.columns


@dataclass(frozen=True, slots=True)
class _Syntax:
    name: str
    decoder: str
    family: str


# PS3.5 section 10 and annex A; UIDs of PS3.6 table A-1
_SYNTAXES: dict[str, _Syntax] = {
    "1.2.840.10008.1.2": _Syntax("Implicit VR Little Endian", "numpy", "native"),
    "1.2.840.10008.1.2.1": _Syntax("Explicit VR Little Endian", "numpy", "native"),
    "1.2.840.10008.1.2.1.99": _Syntax("Deflated Explicit VR Little Endian", "zlib, numpy", "native"),
    "1.2.840.10008.1.2.2": _Syntax("Explicit VR Big Endian", "numpy", "native"),
    "1.2.840.10008.1.2.5": _Syntax("RLE Lossless", "imagecodecs packbits", "rle"),
    "1.2.840.10008.1.2.4.50": _Syntax("JPEG Baseline", "libjpeg-turbo", "jpeg"),
    "1.2.840.10008.1.2.4.51": _Syntax("JPEG Extended", "libjpeg-turbo", "jpeg"),
    "1.2.840.10008.1.2.4.57": _Syntax("JPEG Lossless", "libjpeg-turbo", "jpeg_lossless"),
    "1.2.840.10008.1.2.4.70": _Syntax("JPEG Lossless SV1", "libjpeg-turbo", "jpeg_lossless"),
    "1.2.840.10008.1.2.4.80": _Syntax("JPEG-LS Lossless", "CharLS", "jpeg_ls"),
    "1.2.840.10008.1.2.4.81": _Syntax("JPEG-LS Near-lossless", "CharLS", "jpeg_ls"),
    "1.2.840.10008.1.2.4.90": _Syntax("JPEG 2000 Lossless", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.91": _Syntax("JPEG 2000", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.201": _Syntax("HTJ2K Lossless", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.202": _Syntax("HTJ2K Lossless RPCL", "OpenJPEG", "jpeg_2000"),
    "1.2.840.10008.1.2.4.203": _Syntax("HTJ2K", "OpenJPEG", "jpeg_2000"),
}

_LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
_MAYBE_LOSSY = {"1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"}


def syntaxes() -> dict[str, tuple[str, str]]:
    """Return every readable transfer syntax as `{uid: (name, decoder)}`."""
    return {uid: (syntax.name, syntax.decoder) for uid, syntax in _SYNTAXES.items()}


def is_encapsulated(uid: str) -> bool:
    """Tell whether the syntax stores its frame as fragments (PS3.5 A.4); refuses an unknown syntax."""
    return _syntax(uid).family != "native"


_BYTES_PER_PIXEL = {"native": 3, "rle": 5, "jpeg": 6, "jpeg_lossless": 6, "jpeg_ls": 4, "jpeg_2000": 14}
"""The most that is held at a time while a frame is decoded, beside the file: OpenJPEG works on 32-bit integers."""


def decode_bytes(uid: str, layout: PixelLayout, file_bytes: int, step: int = 1) -> int:
    """Bytes of memory, with the file, that decoding a frame to 1 / `step` of its rows is reckoned to take."""
    family = _syntax(uid).family
    copies, shrunk = (1, 1) if family == "native" else (3, step**2 if family == "jpeg_2000" else 1)
    return copies * file_bytes + _BYTES_PER_PIXEL[family] * layout.pixels // shrunk


def is_lossy(uid: str) -> bool:
    """Tell whether the syntax is lossy by definition (JPEG Baseline and Extended)."""
    return uid in _LOSSY


def may_be_lossy(uid: str) -> bool:
    """Tell whether the syntax allows loss, so that values may overshoot or be rounded differently by decoders."""
    return uid in _LOSSY or uid in _MAYBE_LOSSY


@dataclass(frozen=True, slots=True)
class Reduced:
    """How reduced values lie on a frame of `shape` (rows, columns): one for `step` x `step` of its pixels.

    The wavelet of JPEG 2000 puts its values at the first pixel of each pair (ITU-T T.800 annex F), not between the two.
    """

    shape: tuple[int, int]
    step: int

    @property
    def offset_px(self) -> float:
        """Where the corner of the first value's square lies, along both axes, in pixels of the frame."""
        return (1 - self.step) / 2


def decode_reduced(
    transfer_syntax_uid: str, data: bytes | memoryview, header: PixelLayout, step: int
) -> tuple[Stored, Reduced] | None:
    """Decode a JPEG 2000 or HTJ2K frame no further than to 1 / `step` (2 or 4) of its rows and columns, or to half.

    Returns the values, unsigned, and how they lie on the frame; values that the wavelet throws beyond BitsStored are
    clipped. None for any frame that this cannot be done with: decode it whole, then `reduced`. Raises as `decode`.
    """
    _check_layout(header)
    if _syntax(transfer_syntax_uid).family != "jpeg_2000":
        return None
    _check_ratio(data, header)
    return _jpeg_2000_reduced(bytes(data), header, step)


def reduced(stored: Stored, step: int, bits_stored: int) -> tuple[Stored, Reduced]:
    """What `decode_reduced` would give if the frame, as `decode` returned it, were stored as lossless JPEG 2000."""
    # Two levels may leave the range by half of it, and two such values are added up: 16 bits suffice for 12
    work = np.int16 if bits_stored <= 12 else np.int32
    low = stored
    for _ in range(step.bit_length() - 1):
        low = _halved(low, work)
    least = -(1 << (bits_stored - 1)) if stored.dtype.kind == "i" else 0
    clipped = np.clip(low, least, least + (1 << bits_stored) - 1).astype(stored.dtype)
    return clipped, Reduced((stored.shape[0], stored.shape[1]), step)


def decode(transfer_syntax_uid: str, data: bytes | memoryview, header: PixelLayout) -> Stored:
    """Decode one frame.

    `data` is the native pixel data or the frame's joined fragments. Returns `(rows, columns)` integers, the stored
    values of PS3.3 C.7.6.3.1: unsigned `uint8`/`uint16` or signed `int8`/`int16`, every value within BitsStored.

    Raises `FilmRefused`: `unsupported_syntax`, `pixel_length`, `decode_failed`, `inconsistent_pixels`.
    """
    _check_layout(header)
    syntax = _syntax(transfer_syntax_uid)
    if syntax.family != "native":
        _check_ratio(data, header)
    if syntax.family == "native":
        frame = _native(data, header, big_endian=transfer_syntax_uid == EXPLICIT_BIG_ENDIAN)
    elif syntax.family == "rle":
        frame = _rle(data, header)
    else:
        frame = _codestream(syntax.family, bytes(data), header)
    return _stored(frame, header, may_be_lossy(transfer_syntax_uid))


def _syntax(uid: str) -> _Syntax:
    if uid not in _SYNTAXES:
        raise FilmRefused("unsupported_syntax", f"transfer syntax {uid[:64]}")
    return _SYNTAXES[uid]


def _check_layout(layout: PixelLayout) -> None:
    """Refuse bit depths that contradict each other (PS3.3 C.7.6.3, PS3.5 8.1.1)."""
    if layout.rows < 1 or layout.columns < 1:
        raise FilmRefused("inconsistent_pixels", f"{layout.rows} x {layout.columns} pixels")
    if layout.bits_allocated not in (8, 16) or not 8 <= layout.bits_stored <= 16:
        raise FilmRefused("unsupported_depth", f"{layout.bits_stored} bits in {layout.bits_allocated}")
    if not layout.bits_stored - 1 <= layout.high_bit < layout.bits_allocated:
        raise FilmRefused("inconsistent_pixels", f"HighBit {layout.high_bit} of {layout.bits_stored} bits")


# --- uncompressed and run-length ------------------------------------------------------------------------------------


def _native(data: bytes | memoryview, layout: PixelLayout, big_endian: bool) -> Stored:
    """Uncompressed pixels; one pad byte is allowed where the length is odd (PS3.5 8.1.1)."""
    expected = layout.pixels * layout.bits_allocated // 8
    if len(data) not in (expected, expected + expected % 2):
        raise FilmRefused("pixel_length", f"{len(data)} bytes, expected {expected}")
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
    if layout.pixels * layout.bits_allocated // 8 > MAX_RATIO * len(data):
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
        raw = _called("RLE", imagecodecs.packbits_decode, segment, out=layout.pixels)
        if len(raw) != layout.pixels:
            raise FilmRefused("pixel_length", f"RLE segment of {len(raw)} bytes, expected {layout.pixels}")
        frame[:, planes - 1 - plane] = np.frombuffer(raw, np.uint8)
    dtype = np.uint8 if planes == 1 else "<u2"
    return frame.reshape(-1).view(dtype).reshape(layout.rows, layout.columns)


# --- JPEG, JPEG-LS, JPEG 2000 ---------------------------------------------------------------------------------------


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


def _codestream(family: str, data: bytes, layout: PixelLayout) -> Stored:
    data = _trimmed(family, data)
    stream = jpeg_2000_header(data) if family == "jpeg_2000" else jpeg_header(data)
    _check_codestream(family, stream, layout)
    if family == "jpeg_lossless" and layout.pixels > 8 * len(data):  # a Huffman code has at least one bit
        raise FilmRefused("decode_failed", f"{layout.pixels} pixels in {len(data)} bytes")
    decoder = _DECODERS[family]
    frame = _frame(_called(family, decoder, data), stream)
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
    again = _called(family, imagecodecs.jpeg8_decode, data[:-2] + _TAIL + data[-2:])
    return np.array_equal(frame, again)


def _jpeg_2000_reduced(data: bytes, layout: PixelLayout, step: int) -> tuple[Stored, Reduced] | None:
    """Decode without the finest levels of the wavelet; None where this stream does not allow it."""
    data = _trimmed("jpeg_2000", data)
    stream = jpeg_2000_header(data)
    _check_codestream("jpeg_2000", stream, layout)
    # Pillow rounds a size to the nearest, the standard up: a quarter of 4 n + 1 pixels it cannot decode
    while step > 1 << stream.levels or (step == 4 and 1 in (stream.rows % 4, stream.columns % 4)):
        step //= 2
    plain = not (layout.signed or stream.signed or layout.overlay_bits) and layout.high_bit == layout.bits_stored - 1
    if step == 1 or not plain:
        return None
    frame = _called("jpeg_2000", _openjpeg, data, step.bit_length() - 1)
    shape = -(-stream.rows // step), -(-stream.columns // step)
    if frame.shape != shape or frame.dtype != (np.uint8 if stream.bits == 8 else np.uint16):
        raise FilmRefused("decode_failed", "the decoder returned another shape")
    if stream.bits > 8:
        frame >>= 16 - stream.bits
    top = (1 << layout.bits_stored) - 1
    if stream.bits > layout.bits_stored and np.mean(frame > top) > CLIP_SHARE:
        return None  # more than the wavelet throws too far, or a white area: the whole frame will tell
    return np.minimum(frame, frame.dtype.type(top)), Reduced((stream.rows, stream.columns), step)


def _openjpeg(data: bytes, halvings: int) -> NDArray[Any]:
    """OpenJPEG through Pillow, which puts 9 to 15 bits at the upper end of 16."""
    image = Jpeg2KImagePlugin.Jpeg2KImageFile(io.BytesIO(data))
    image.reduce = halvings
    image.load()
    return np.array(image)


def _trimmed(family: str, data: bytes) -> bytes:
    """Cut padding and a JP2 wrapper off; a codestream without its end marker was truncated."""
    if family == "jpeg_2000" and data[4:8] == b"jP  ":
        # PS3.5 8.2.4 forbids the JP2 container, some archives write it all the same
        start = data.find(b"\xff\x4f\xff\x51", 0, 4096)
        data = data[max(start, 0) :]
    end = data.rfind(b"\xff\xd9")
    # Padded to even length by any byte (seen: 00, 20, FF), or by zeros to a block size
    if end < 0 or (len(data) - end > 3 and data[end + 2 :].strip(b"\0")):
        raise FilmRefused("decode_failed", "the codestream has no end")
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


def _called(name: str, decoder: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
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


# --- half the size --------------------------------------------------------------------------------------------------

_STRIP = 64  # rows; what is at work stays in the cache


def _halved(frame: Stored, work: type[np.int16] | type[np.int32]) -> Stored:
    """Half the rows and columns, rounded up: the low-pass of the reversible 5/3 wavelet (ITU-T T.800 F.4.8.1)."""
    rows = len(frame)
    strips = []
    for start in range(0, (rows + 1) // 2, _STRIP):
        # Row 2 n takes two rows on either side; beyond the frame its rows come back mirrored (F.4.7)
        around = np.abs(np.arange(2 * start - 2, 2 * min(start + _STRIP, (rows + 1) // 2) + 1))
        block = frame[rows - 1 - np.abs(rows - 1 - around)].astype(work, copy=False)
        even, odd = block[::2], block[1::2]
        detail = odd - ((even[:-1] + even[1:]) >> 1)
        low = even[1:-1] + ((detail[:-1] + detail[1:] + 2) >> 2)
        strips.append(_halved_across(low))
    return np.concatenate(strips)


def _halved_across(rows: NDArray[np.signedinteger[Any]]) -> NDArray[np.signedinteger[Any]]:
    """The same along the columns."""
    even, odd = rows[:, ::2], rows[:, 1::2]
    after = even[:, 1:] if rows.shape[1] % 2 else np.concatenate([even[:, 1:], even[:, -1:]], axis=1)
    detail = odd - ((even[:, : odd.shape[1]] + after) >> 1)
    before = np.concatenate([detail[:, :1], detail], axis=1)  # detail left of each even column
    if rows.shape[1] % 2:
        detail = np.concatenate([detail, detail[:, -1:]], axis=1)
    low: NDArray[np.signedinteger[Any]] = even + ((before[:, : even.shape[1]] + detail + 2) >> 2)
    return low


# --- stored values --------------------------------------------------------------------------------------------------


def _stored(frame: Stored, layout: PixelLayout, lossy: bool) -> Stored:
    """Move HighBit down, extend the sign, and make sure that no value lies outside BitsStored."""
    shift = layout.high_bit + 1 - layout.bits_stored
    if shift:
        frame = np.right_shift(frame, shift)
    if frame.dtype.kind == "i":
        half = 1 << (layout.bits_stored - 1)
        return _bounded(frame, -half, half - 1, lossy)
    top = (1 << layout.bits_stored) - 1
    if not layout.signed:
        return (frame & top).astype(frame.dtype) if layout.overlay_bits else _bounded(frame, 0, top, lossy)
    unused = 8 * frame.dtype.itemsize - layout.bits_stored
    extended = np.right_shift(np.left_shift(frame, unused).view(f"i{frame.dtype.itemsize}"), unused)
    # The unused bits of a signed value hold its sign, or nothing
    if not layout.overlay_bits and not np.all((frame <= top) | (frame == extended.view(frame.dtype))):
        raise FilmRefused("inconsistent_pixels", f"values outside {layout.bits_stored} bits")
    values: Stored = extended
    return values


def _bounded(frame: Stored, low: int, high: int, lossy: bool) -> Stored:
    """Refuse values out of range; a lossy codec may overshoot at a few pixels, which are clipped."""
    if frame.min() >= low and frame.max() <= high:
        return frame
    outside = float(np.mean((frame < low) | (frame > high)))
    if lossy and outside <= CLIP_SHARE:
        clipped: Stored = np.clip(frame, low, high)
        return clipped
    raise FilmRefused("inconsistent_pixels", f"values outside {high.bit_length()} bits")
