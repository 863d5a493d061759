"""How the pixels of a frame are stored, as the DICOM header says, and the type of the stored values."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Stored = NDArray[np.integer[Any]]
CLIP_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """What the DICOM header says about the stored pixels of one frame, one sample per pixel (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    bits_allocated: int  # 8 or 16
    bits_stored: int
    high_bit: int
    signed: bool
    # Bits above HighBit hold overlay planes, as the header says (retired, PS3.3-2004 C.9.2).
    overlay_bits: bool = False
    # Explicit VR Big Endian, OW, 8 bits allocated: two pixels share a byte-swapped word (PS3.5 A.3).
    swapped_words: bool = False

    @property
    def pixels(self) -> int:
        """Number of pixels of the frame."""
        return self.rows * self.columns

    @property
    def native_bytes(self) -> int:
        """Bytes of the frame without compression."""
        return self.pixels * self.bits_allocated // 8
