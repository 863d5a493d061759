"""A deflated data set, inflated no further than its elements reach, nor beyond what a film needs."""

import zlib

from bmd_edge.dicom.elements import PIXEL_DATA, Walk
from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.transfer_syntaxes import MAX_RATIO

MAX_INFLATED_BYTES = 64 << 20
MAX_INFLATED_HEADER_BYTES, MAX_INFLATED_AFTER_BYTES = 8 << 20, 2 << 20  # before and after the pixel data
_STEP_BYTES = 1 << 20


def inflate(packed: bytes) -> tuple[bytearray, int]:
    """Inflate a deflated data set (PS3.5 A.5); also returns how many bytes follow it.

    No further than its elements reach: each step inflates to the end of the element that the last step cut. So a small
    file that would grow to gigabytes is refused after its first megabyte.
    """
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    data, wanted = bytearray(), _STEP_BYTES
    while True:
        try:
            data += stream.decompress(packed, wanted - len(data))
        except zlib.error as error:
            raise FilmRefused("broken_dicom", "deflate stream") from error
        if stream.eof:
            return data, len(stream.unused_data)
        if len(data) < wanted:
            raise FilmRefused("truncated", "deflated data set")
        packed, wanted = stream.unconsumed_tail, _next_step(data, len(packed))


def _next_step(data: bytearray, packed_bytes: int) -> int:
    """How far to inflate next, from the element that `data` cuts; refuses what no film needs."""
    walk = Walk(data, explicit=True, little=True)
    try:
        walk.data_set(0)
    except FilmRefused as refused:
        if refused.code != "truncated":
            raise
    tag, end = walk.missing or (None, len(data))
    others = MAX_INFLATED_AFTER_BYTES if walk.pixels_end else MAX_INFLATED_HEADER_BYTES
    limit = MAX_INFLATED_BYTES if tag == PIXEL_DATA else walk.pixels_end + others
    if end > min(limit, len(data) + MAX_RATIO * packed_bytes):
        raise FilmRefused("too_large", "deflated data set")
    # Doubling, so that many small elements are not walked over many times
    return end + (_STEP_BYTES if tag == PIXEL_DATA else max(_STEP_BYTES, len(data)))
