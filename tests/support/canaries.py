"""Make `bmd_edge/data/canaries.npz` again: python -m tests.support.canaries"""

import numpy as np

from bmd_edge.pixels.decode import decode
from bmd_edge.pixels.decoder_check import CANARIES
from bmd_edge.pixels.layout import PixelLayout
from tests.support import films


def main() -> None:
    """Encode a film of 24 x 17 pixels in every compressed syntax; lossy ones keep what they decode to now."""
    arrays = {}
    for syntax in (*films.LOSSLESS, *films.LOSSY):
        bits = 8 if syntax == films.JPEG_BASELINE else 12
        frame = films.pixels(24, 17, bits)
        stream = films.encoded(frame, syntax, bits)
        if syntax in films.LOSSY:
            layout = PixelLayout(24, 17, 8 * frame.dtype.itemsize, bits, bits - 1, signed=False)
            frame = decode(syntax, stream, layout)
        arrays |= {f"{syntax}/stream": np.frombuffer(stream, np.uint8), f"{syntax}/pixels": frame}
    np.savez_compressed(CANARIES, **arrays)


if __name__ == "__main__":
    main()
