"""Boxes of an image at another pixel size by area averaging; one mathematics for films and for training images."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS, _COLUMNS = 8, 16  # outputs of one matrix product: enough to keep it busy, few enough to make no wide gaps
_STRIP = 32  # rows whose levels are looked up at once
_FLOATS = 1 << 20  # values that are looked up at a time

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Shares:
    """What the inputs of one axis give to its outputs: output i takes `share[i, k]` of input `first[i] + k`.

    The shares of an output sum to 1. An input before the first or behind the last stands for the nearest one. Outputs
    `low` to `high` are covered, no others.
    """

    first: NDArray[np.intp]
    share: NDArray[np.float64]
    low: int
    high: int
    inputs: int

    def bands(self, outputs: int) -> Iterator[tuple[int, int, int, Floats]]:
        """So many outputs at a time: their first, the range of inputs they touch, and a matrix (outputs, inputs)."""
        number = self.first[:, None] + np.arange(self.share.shape[1])
        inside, last = np.clip(number, 0, self.inputs - 1), self.inputs - 1
        line, share = np.arange(outputs)[:, None], self.share.astype(np.float32)
        for start in range(self.low, self.high, outputs):
            stop = min(start + outputs, self.high)
            left, right = int(inside[start, 0]), int(inside[stop - 1, -1]) + 1
            matrix = np.zeros((stop - start, right - left), np.float32)
            place = line[: stop - start], inside[start:stop] - left
            if number[start, 0] < 0 or number[stop - 1, -1] > last:  # what is beyond an end adds to the one there
                np.add.at(matrix, place, self.share[start:stop])
            else:
                matrix[place] = share[start:stop]
            yield start, left, right, matrix


def shares(start_px: float, length_px: float, n_out: int, n_in: int, between: bool = False) -> Shares:
    """What the inputs of one axis give to its outputs, by the part that each has in what an output covers.

    Output i covers `start_px + length_px * [i, i + 1] / n_out`. Input j is the mean of `[j, j + 1]` or, if `between`, a
    sample at j + .5: linear from one to the next, and level beyond the ends.
    """
    edges = np.clip(start_px + length_px * np.arange(n_out + 1, dtype=np.float64) / n_out, 0.0, n_in)
    covered = np.diff(edges)
    before = _before_sample if between else _before
    first = np.floor(edges[:-1] - (0.5 if between else 0.0)).astype(np.intp)
    number = first[:, None] + np.arange(math.ceil(float(covered.max())) + (2 if between else 1))
    share = before(edges[1:, None] - number) - before(edges[:-1, None] - number)
    seen = np.flatnonzero(covered > 1e-9)
    share[seen] /= covered[seen, None]
    low, high = (int(seen[0]), int(seen[-1]) + 1) if len(seen) else (0, 0)
    return Shares(first, share, low, high, n_in)


def _before(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of an input, which begins at 0 and ends at 1, lies before a place."""
    return np.clip(along, 0.0, 1.0)


def _before_sample(along: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of a sample's influence does: it falls from the sample, at .5, to nothing at the next ones."""
    t = np.clip(along - 0.5, -1.0, 1.0)
    return np.where(t < 0, (t + 1) ** 2, 2 - (1 - t) ** 2) / 2


def area_average(
    pixels: NDArray[Any],
    left_px: float,
    top_px: float,
    width_px: float,
    height_px: float,
    shape: tuple[int, int],
    lookup: tuple[Floats, int] | None = None,
    between: bool = False,
) -> Floats:
    """Area-average a box of a `(rows, columns)` array into float32 `shape`; NaN outside the array.

    The values averaged are the array's own or, given a table and the value it begins with, `table[pixels - first]`;
    `between` as in `shares`. Floats exist for a few rows at a time. A few outputs and the inputs they touch make one
    small matrix product, which gives the same sums whatever the number of threads.
    """
    rows, columns = pixels.shape
    if not (width_px > 0 and height_px > 0 and np.isfinite([left_px, top_px, width_px, height_px]).all()):
        raise ValueError(f"empty box: {left_px}, {top_px}, {width_px}, {height_px}")
    out = np.full(shape, np.nan, np.float32)
    across = list(shares(left_px, width_px, shape[1], columns, between).bands(_COLUMNS))
    down = shares(top_px, height_px, shape[0], rows, between)
    if not across or down.low == down.high:
        return out
    first, last = across[0][1], max(right for _, _, right, _ in across)
    total = np.zeros((shape[0], last - first), np.float32)
    seen = slice(down.low, down.high), slice(across[0][0], across[-1][0] + len(across[-1][3]))
    for product in (np.matmul, _product):
        for row, top, bottom, weights in down.bands(_ROWS):
            total[row : row + len(weights)] = 0
            for start, values in _bright(pixels[top:bottom, first:last], lookup):
                total[row : row + len(weights)] += product(weights[:, start : start + len(values)], values)
        for column, left, right, weights in across:
            values = total[seen[0], left - first : right - first]
            out[seen[0], column : column + len(weights)] = product(weights, values.T).T
        if not np.isnan(out[seen]).any():
            break
    return out


def _product(weights: Floats, values: Floats) -> Floats:
    """Matrix product in which a weight of 0 times NaN, what is outside a film, is 0."""
    missing = np.isnan(values)
    product: Floats = weights @ np.where(missing, np.float32(0), values)
    product[(weights != 0).astype(np.float32) @ missing.astype(np.float32) > 0] = np.nan
    return product


def _bright(block: NDArray[Any], lookup: tuple[Floats, int] | None) -> Iterator[tuple[int, Floats]]:
    """The values of some rows, a part of them at a time, with the number of its first row."""
    strip = max(1, _FLOATS // block.shape[1])
    for start in range(0, len(block), strip):
        part = block[start : start + strip]
        if lookup is None:
            yield start, part.astype(np.float32, copy=False)
        else:
            yield start, looked_up(part, *lookup)


def looked_up(values: NDArray[np.integer[Any]], table: Floats, first: int) -> Floats:
    """What a table that begins with the value `first` makes of integers; all of them are in it."""
    out = np.empty(values.shape, np.float32)
    for start in range(0, len(values), _STRIP):  # numpy makes wide indices of them: a strip's stay in the cache
        part = values[start : start + _STRIP]
        index = part if first == 0 else np.subtract(part, first, dtype=np.intp)
        table.take(index, mode="clip", out=out[start : start + _STRIP])  # numpy is faster where it need not ask
    return out
