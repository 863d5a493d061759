"""Boxes of an image at another pixel size by area averaging; one mathematics for films and for training images."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def area_weights(start_px: float, length_px: float, n_out: int, n_in: int) -> NDArray[np.float32]:
    """Return the area-averaging weights of one axis, float32 `(n_out, n_in)`.

    Output sample `i` covers `start_px + length_px * [i, i + 1] / n_out`; input sample `j` covers `[j, j + 1]`. A row is
    the share of each input in the covered part and sums to 1; it is 0 where nothing is covered.
    """
    edges = start_px + length_px * np.arange(n_out + 1, dtype=np.float64) / n_out
    # How much of each input lies before each edge
    before = edges[:, None] - np.arange(n_in, dtype=np.float64)
    np.clip(before, 0.0, 1.0, out=before)
    overlap = before[1:] - before[:-1]
    total = overlap.sum(axis=1, keepdims=True)
    weights = np.zeros((n_out, n_in), np.float32)
    np.divide(overlap, total, out=weights, where=total > 1e-9, casting="same_kind")
    return weights


def area_average(
    pixels: NDArray[Any],
    left_px: float,
    top_px: float,
    width_px: float,
    height_px: float,
    shape: tuple[int, int],
    lookup: NDArray[np.float32] | None = None,
    lookup_first: int = 0,
) -> NDArray[np.float32]:
    """Area-average a box of a `(rows, columns)` array into float32 `shape`; NaN outside the array.

    The values averaged are the array's own or, given a table, `lookup[pixels - lookup_first]`. Floats exist for a strip
    of rows at a time. The result does not depend on the number of threads: it is summed by numpy's own loops, each
    output over the inputs that it covers, not by a matrix product.
    """
    rows, columns = pixels.shape
    if not (width_px > 0 and height_px > 0 and np.isfinite([left_px, top_px, width_px, height_px]).all()):
        raise ValueError(f"empty box: {left_px}, {top_px}, {width_px}, {height_px}")
    out = np.full(shape, np.nan, np.float32)
    across, first, last = _touched(area_weights(left_px, width_px, shape[1], columns))
    down, top, bottom = _touched(area_weights(top_px, height_px, shape[0], rows))
    if first == last or top == bottom:
        return out
    total = np.zeros((shape[0], last - first), np.float32)
    strip = max(1, (1 << 18) // (last - first))
    bright = np.empty((min(strip, bottom - top), last - first), np.float32)
    for start in range(top, bottom, strip):
        block = pixels[start : min(start + strip, bottom), first:last]
        values = bright[: len(block)]
        if lookup is None:
            values[...] = block
        else:
            index = block if lookup_first == 0 else np.subtract(block, lookup_first, dtype=np.intp)
            lookup.take(index, out=values, mode="clip")  # every index is inside; numpy is faster where it need not ask
        for row, low, high, weights in _parts(down[:, start - top : start - top + len(block)]):
            total[row] += np.einsum("i,ij->j", weights, values[low:high])
    averaged = np.zeros((shape[1], shape[0]), np.float32)
    turned = np.ascontiguousarray(total.T)
    for column, low, high, weights in _parts(across):
        averaged[column] = np.einsum("i,ij->j", weights, turned[low:high])
    seen = np.ix_(down.any(axis=1), across.any(axis=1))
    out[seen] = averaged.T[seen]
    return out


def _parts(weights: NDArray[np.float32]) -> Iterator[tuple[int, int, int, NDArray[np.float32]]]:
    """Each output that covers an input: its number, the range of its inputs, and their weights."""
    covered = weights != 0
    first, count = covered.argmax(axis=1), covered.sum(axis=1)
    for number in np.flatnonzero(count):
        low, high = int(first[number]), int(first[number] + count[number])
        yield int(number), low, high, weights[number, low:high]


def _touched(weights: NDArray[np.float32]) -> tuple[NDArray[np.float32], int, int]:
    """Cut a weight matrix to the inputs it uses; returns it with their range."""
    used = np.flatnonzero(weights.any(axis=0))
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    return weights[:, first:last], first, last
