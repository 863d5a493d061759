"""A deflated data set, inflated no further than a film's elements reach."""

import zlib

from bmd_edge.dicom.elements import PIXEL_DATA, Walk
from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.transfer_syntaxes import MAX_RATIO

MAX_INFLATED_BYTES = 64 << 20
MAX_INFLATED_HEADER_BYTES, MAX_INFLATED_AFTER_BYTES = 8 << 20, 2 << 20  # before and after the pixel data
_FIRST_BYTES, _STEP_BYTES = 1 << 20, 4 << 20


def inflate(packed: bytes) -> tuple[bytearray, int]:
    """Inflate a deflated data set (PS3.5 A.5); also returns how many bytes follow it.

    A megabyte at first, then as far as its elements allow: a small file that would grow to gigabytes ends there.
    """
    stream, data = zlib.decompressobj(-zlib.MAX_WBITS), bytearray()
    rest, reach, most = packed, _FIRST_BYTES, min(MAX_INFLATED_BYTES, MAX_RATIO * len(packed))
    while not stream.eof:
        if len(data) == reach:
            reach = _reach(data, most)
        if len(data) >= reach:
            raise FilmRefused("too_large", "deflated data set")
        try:
            step = stream.decompress(rest, min(_STEP_BYTES, reach - len(data)))
        except zlib.error as error:
            raise FilmRefused("broken_dicom", "deflate stream") from error
        if not (step or stream.eof):
            raise FilmRefused("truncated", "deflated data set")
        data += step
        rest = stream.unconsumed_tail
    return data, len(stream.unused_data)


def _reach(data: bytearray, most: int) -> int:
    """How many bytes the data set may have, by the elements so far; 0 if one of them reaches further."""
    walk = Walk(data, explicit=True, little=True)
    try:
        walk.data_set(0)
    except FilmRefused as refused:
        if refused.code != "truncated":
            raise
    tag, end = walk.missing or (0, 0)
    pixels_end = end if tag == PIXEL_DATA else walk.pixels_end
    reach = min(most, pixels_end + (MAX_INFLATED_AFTER_BYTES if pixels_end else MAX_INFLATED_HEADER_BYTES))
    return reach if end <= reach else 0
