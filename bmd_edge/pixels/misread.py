"""Whether the pixels contradict what the header says about them: rows and columns swapped, or the sign flipped.

Both give a picture of the right shape without any error. Neighbors tell: a radiograph is smooth, so of two readings of
the same bytes the wrong one has jumps where the right one has none. Refused only where one reading is clearly broken
AND the other is not; a film without contrast passes and is refused for that elsewhere.
"""

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import FilmRefused

SAMPLE = 100_000  # pixels; the whole of a small film
_RUNS, _RUN = 48, 2048  # of neighbors, about as many: scattered pixels would each be fetched from afar
# Sound radiographs of several makers: at most 0.5, 0.0005 and 0.1; the same ones misread: above 5, 0.0008 and 10
SWAP_RATIO = 1.5
JUMP = 0.75  # of the range of BitsStored
MIN_JUMPS = 0.0007  # share of neighbors
JUMP_RATIO = 10


def check_shape(stored: NDArray[np.generic]) -> None:
    """Refuse uncompressed pixels whose rows and columns are swapped.

    `stored` is (rows, columns) in the order of the bytes. Where the header swaps the two, the pixel below lies `rows`
    further on, not `columns`. Raises `FilmRefused("inconsistent_pixels")`.
    """
    rows, columns = stored.shape
    flat = stored.reshape(-1)
    if rows == columns or flat.size <= max(rows, columns):
        return
    ends = flat.size - max(rows, columns)
    runs = [slice(0, ends)]
    if ends > SAMPLE:
        runs = [slice(start, start + _RUN) for start in np.linspace(0, ends - _RUN, _RUNS).astype(int).tolist()]
    below, swapped = (sum(_apart(flat, run, lag) for run in runs) for lag in (columns, rows))
    if below > SWAP_RATIO * swapped:
        raise FilmRefused("inconsistent_pixels", "rows and columns are swapped")


def _apart(flat: NDArray[np.generic], run: slice, lag: int) -> float:
    """How far the pixels of a run lie from those `lag` further on, added up."""
    here, there = (flat[run.start + by : run.stop + by].astype(np.int32) for by in (0, lag))
    return float(np.abs(there - here).sum(dtype=np.int64))


def check_sign(stored: NDArray[np.generic], bits_stored: int) -> None:
    """Refuse pixels of which PixelRepresentation is wrong: values of the upper half are then shown below all others.

    Raises `FilmRefused("inconsistent_pixels")`.
    """
    step = max(1, stored.size // SAMPLE)
    rows = stored[::step].astype(np.int32)
    flipped = rows ^ (1 << (bits_stored - 1)) if stored.dtype.kind == "u" else rows & ((1 << bits_stored) - 1)
    stated, other = (_jumps(x, bits_stored) for x in (rows, flipped))
    if stated > MIN_JUMPS and stated > JUMP_RATIO * other:
        raise FilmRefused("inconsistent_pixels", "PixelRepresentation contradicts the pixels")


def is_torn(stored: NDArray[np.generic], bits_stored: int) -> bool:
    """Whether neighbors jump over most of the range, as where the upper bits of a picture are cut off."""
    return _jumps(stored[:: max(1, stored.size // SAMPLE)].astype(np.int32), bits_stored) > MIN_JUMPS


def _jumps(rows: NDArray[np.int32], bits_stored: int) -> float:
    """The share of neighbors in a row that lie farther apart than `JUMP` of the range."""
    return float(np.mean(np.abs(np.diff(rows, axis=1)) > JUMP * (1 << bits_stored)))
