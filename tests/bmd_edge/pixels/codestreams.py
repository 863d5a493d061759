"""Frames as the bytes of a transfer syntax, and the layout that a header would state."""

from bmd_edge.pixels.layout import PixelLayout
from tests.support import films

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
