"""What a JPEG, JPEG-LS or JPEG 2000 codestream says about itself, read from its header alone."""

import re
import struct
from dataclasses import dataclass

from bmd_edge.errors import FilmRefused

MAX_SEGMENTS = 1000  # an ICC profile may take 255; also the most fill bytes before one
_FILL = re.compile(rb"\xff*(?=\xff)")  # ITU-T T.81 B.1.1.2


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a codestream's own header says."""

    rows: int
    columns: int
    bits: int
    components: int
    marker: int  # second byte of the SOFn marker; 0x51 (SIZ) for JPEG 2000
    signed: bool = False  # JPEG 2000 only
    tiles: int = 1  # JPEG 2000 only
    lossy: bool = False
    levels: int = 0  # JPEG 2000 only: how often it can be halved while it is decoded, 0 where its grid is shifted
    high_throughput: bool = False  # JPEG 2000 only: its blocks are those of HTJ2K


def jpeg_header(data: bytes) -> Codestream:
    """Read the frame header of a JPEG or JPEG-LS codestream (ITU-T T.81 B.2, T.87 C.2.2)."""
    if data[:2] != b"\xff\xd8":
        raise FilmRefused("decode_failed", "not a JPEG codestream")
    frame: tuple[int, int, int, int, int] | None = None
    pos = 2
    for _ in range(MAX_SEGMENTS):
        if fill := _FILL.match(data, pos, pos + MAX_SEGMENTS):
            pos = fill.end()
        marker, length, body = _segment(data, pos)
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            if frame is not None or len(body) < 6:
                raise FilmRefused("decode_failed", "JPEG frame header")
            frame = (marker, *struct.unpack(">BHHB", body[:6]))
        elif marker == 0xDA:
            if frame is None:
                raise FilmRefused("decode_failed", "JPEG scan without a frame")
            marker, bits, rows, columns, components = frame
            return Codestream(rows, columns, bits, components, marker, lossy=_loses(marker, body))
        pos += 2 + length
    raise FilmRefused("decode_failed", f"more than {MAX_SEGMENTS} JPEG segments")


def _loses(marker: int, scan: bytes) -> bool:
    """Whether a scan drops something: a DCT, NEAR of JPEG-LS (ITU-T T.87 C.2.3), a point transform (T.81 H.1.2)."""
    near = marker == 0xF7 and any(scan[-3:-2])
    return near or marker not in (0xC3, 0xF7) or any(value & 0x0F for value in scan[-1:])


def _segment(data: bytes, pos: int) -> tuple[int, int, bytes]:
    """Marker, length and body of the JPEG marker segment at `pos`."""
    if pos + 4 > len(data) or data[pos] != 0xFF:
        raise FilmRefused("decode_failed", "JPEG marker segments")
    length = int.from_bytes(data[pos + 2 : pos + 4], "big")
    if length < 2 or pos + 2 + length > len(data):
        raise FilmRefused("decode_failed", "JPEG segment length")
    return data[pos + 1], length, data[pos + 4 : pos + 2 + length]


def jpeg_2000_header(data: bytes) -> Codestream:
    """Read the SIZ segment of a JPEG 2000 or HTJ2K codestream (ITU-T T.800 A.5.1)."""
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 45:
        raise FilmRefused("decode_failed", "not a JPEG 2000 codestream")
    capabilities, x, y, x0, y0, tile_x, tile_y, tile_x0, tile_y0, components = struct.unpack(">H8LH", data[6:42])
    depth, step_x, step_y = data[42:45]
    if components == 1 and (step_x, step_y) != (1, 1):
        raise FilmRefused("inconsistent_pixels", "subsampled JPEG 2000")
    if tile_x < 1 or tile_y < 1 or x <= x0 or y <= y0:
        raise FilmRefused("decode_failed", "JPEG 2000 image and tile size")
    tiles = -(-(x - tile_x0) // tile_x) * -(-(y - tile_y0) // tile_y)
    levels, lossy = _wavelet(data)
    return Codestream(
        y - y0,
        x - x0,
        (depth & 0x7F) + 1,
        components,
        0x51,
        signed=bool(depth & 0x80),
        tiles=tiles,
        lossy=lossy,
        levels=0 if x0 or y0 or tile_x0 or tile_y0 else levels,
        high_throughput=bool(capabilities & 0x4000),  # ITU-T T.814 A.2
    )


def tiles_fill(data: bytes) -> bool:
    """Whether the lengths of a JPEG 2000 codestream's tile-parts lead from its first one to its end marker."""
    pos, end = data.find(b"\xff\x90"), len(data) - 2
    while 0 < pos <= end - 12 and data[pos : pos + 4] == b"\xff\x90\x00\x0a":  # ITU-T T.800 A.4.2
        pos += int.from_bytes(data[pos + 6 : pos + 10], "big") or end - pos
    return pos == end and data[end:] == b"\xff\xd9"


def _wavelet(data: bytes) -> tuple[int, bool]:
    """What the COD and COC segments of the main header name (ITU-T T.800 A.6.1, A.6.2).

    The fewest wavelet decompositions, and whether one is the irreversible 9/7 (transformation 0).
    """
    levels, transformations, pos = b"", b"", 2
    for _ in range(MAX_SEGMENTS):
        if data[pos : pos + 2] == b"\xff\x90":  # SOT: the main header ends
            return min(levels, default=0), 0 in transformations
        marker, length, body = _segment(data, pos)
        place = {0x52: 5, 0x53: 2}.get(marker, len(body))
        levels += body[place : place + 1]
        transformations += body[place + 4 : place + 5]
        pos += 2 + length
    raise FilmRefused("decode_failed", f"more than {MAX_SEGMENTS} JPEG 2000 segments")
