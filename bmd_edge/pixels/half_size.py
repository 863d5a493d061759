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


_STRIP = 32  # rows; what is at work stays in the cache

_Ints = NDArray[np.signedinteger[Any]]


def _halved(frame: Stored, work: type[np.int16] | type[np.int32]) -> _Ints:
    """Half the rows and columns, rounded up: the low-pass of the reversible 5/3 wavelet (ITU-T T.800 F.4.8.1)."""
    rows, columns = frame.shape
    half = (rows + 1) // 2
    out = np.empty((half, (columns + 1) // 2), work)
    room = [np.empty((height, columns), work) for height in (2 * _STRIP + 3, _STRIP + 1, _STRIP)]
    for start in range(0, half, _STRIP):
        stop = min(start + _STRIP, half)
        # Row 2 n takes two rows on either side; beyond the frame its rows come back mirrored (F.4.7)
        first, last = 2 * start - 2, 2 * stop + 1
        block, detail, low = room[0][: last - first], room[1][: stop - start + 1], room[2][: stop - start]
        if first >= 0 and last <= rows:
            np.copyto(block, frame[first:last], casting="unsafe")
        else:
            block[...] = frame[rows - 1 - np.abs(rows - 1 - np.abs(np.arange(first, last)))]
        even, odd = block[::2], block[1::2]
        np.add(even[:-1], even[1:], out=detail)
        np.subtract(odd, np.right_shift(detail, 1, out=detail), out=detail)
        np.add(detail[:-1], detail[1:], out=low)
        low += 2
        low >>= 2
        low += even[1:-1]
        _halve_across(low, out[start:stop])
    return out


def _halve_across(rows: _Ints, out: _Ints) -> None:
    """The same along the columns: `rows` (n, columns) into `out` (n, columns / 2 rounded up)."""
    even, odd = np.ascontiguousarray(rows[:, ::2]), rows[:, 1::2]
    details = odd.shape[1]
    detail = np.empty_like(odd, order="C")
    inner = even.shape[1] - 1  # details between two even columns; a last one lies between one and its mirror image
    np.add(even[:, :-1], even[:, 1:], out=detail[:, :inner])
    detail[:, inner:] = 2 * even[:, inner:details]
    np.subtract(odd, np.right_shift(detail, 1, out=detail), out=detail)
    out[:, :1] = 2 * detail[:, :1]
    np.add(detail[:, :-1], detail[:, 1:], out=out[:, 1:details])
    out[:, details:] = 2 * detail[:, details - 1 : inner]
    out += 2
    out >>= 2
    out += even
