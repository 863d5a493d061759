"""A decoded frame at half or a quarter of its size, as the wavelet of JPEG 2000 would give it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.pixels.layout import Stored


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
