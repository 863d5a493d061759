"""Ranges of activations for symmetric INT8, from histograms collected film by film in bounded memory.

Only magnitudes count, as the zero point is 0: each tensor keeps 2048 bins from 0 to a limit that doubles (pairs of bins
merge, exactly) when a larger value comes. Every method reads the same histograms, so one pass serves them all.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bmd_edge.engine.onnx_runtime import OnnxEngine

BINS = 2048
METHODS = ("minmax", "percentile", "entropy", "mse")
LEVELS = 127
"""Positive levels of a symmetric int8."""
ENTROPY_STEP = 8


@dataclass
class Histogram:
    """Magnitudes of one tensor: `counts[i]` values lie in [i, i + 1) * limit / BINS; `largest` is exact."""

    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    limit: float = 0.0
    largest: float = 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Count the magnitudes of `values` (any shape, finite)."""
        magnitudes = np.abs(values.ravel())
        largest = float(magnitudes.max(initial=0.0))
        self.largest = max(self.largest, largest)
        if largest == 0.0 and self.limit == 0.0:
            self.counts[0] += magnitudes.size  # all zero so far: any limit is right
            return
        self._widen(largest)
        scale = np.float32(BINS / self.limit)
        index = np.minimum((magnitudes * scale).astype(np.int64), BINS - 1)
        self.counts += np.bincount(index, minlength=BINS)

    def _widen(self, largest: float) -> None:
        if self.limit == 0.0:
            self.limit = 2.0 ** math.ceil(
                math.log2(largest)
            )  # a power of two, so that the order of films does not matter
        while self.limit < largest:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(axis=1), np.zeros(BINS // 2, np.int64)])
            self.limit *= 2.0

    def threshold(self, method: str, percentile: float = 99.999) -> float:
        """The magnitude that becomes +-127, by one of `METHODS`; always > 0."""
        if method not in METHODS:
            raise ValueError(f"no range method {method!r}: {', '.join(METHODS)}")
        if self.largest == 0.0:
            return 1.0  # the tensor is always zero: any scale represents it
        if method == "minmax":
            return self.largest
        edges: NDArray[np.float64] = np.arange(1, BINS + 1, dtype=np.float64) * (self.limit / BINS)
        if method == "percentile":
            share = np.cumsum(self.counts) / self.counts.sum()
            return float(min(edges[np.searchsorted(share, percentile / 100)], self.largest))
        best = self._least_divergence() if method == "entropy" else self._least_error(edges)
        return float(min(edges[best], self.largest))

    def _least_error(self, edges: NDArray[np.float64]) -> int:
        """Bin whose edge gives the least squared error: rounding inside (step^2 / 12), clipping outside."""
        centers = edges - edges[0] / 2
        weight = self.counts.astype(np.float64)
        inside = np.cumsum(weight)
        above = [np.cumsum((weight * centers**power)[::-1])[::-1] for power in range(3)]
        outside = [np.append(tail[1:], 0.0) for tail in above]  # moments of the values beyond each edge
        clipping = outside[2] - 2 * edges * outside[1] + edges**2 * outside[0]
        return int(np.argmin(inside * (edges / LEVELS) ** 2 / 12 + clipping))

    def _least_divergence(self) -> int:
        """Bin whose edge loses the least information: KL divergence of the clipped from the quantized distribution.

        Migacz, "8-bit Inference with TensorRT" (GTC 2017), with the limits tried in steps of 8 bins. The first bin
        holds the zeros of ReLU, which any range represents: it counts as much as its neighbor.
        """
        counts = self.counts.astype(np.float64)
        counts[0] = counts[1]
        candidates = np.arange(LEVELS + 1, BINS + 1, ENTROPY_STEP)
        return int(candidates[np.argmin([_divergence(counts, int(size)) for size in candidates])]) - 1


def _divergence(counts: NDArray[np.float64], size: int) -> float:
    """KL divergence of `counts` clipped to `size` bins from the same merged into 128 levels and spread out again."""
    inside = counts[:size]
    clipped = inside.copy()
    clipped[-1] += counts[size:].sum()
    starts = np.arange(LEVELS + 1) * size // (LEVELS + 1)
    widths = np.diff(np.append(starts, size))
    filled = np.maximum(np.add.reduceat((inside > 0).astype(np.float64), starts), 1)
    level = np.repeat(np.add.reduceat(inside, starts) / filled, widths)
    p = clipped / max(clipped.sum(), 1.0)
    q = np.where(inside > 0, level, 0.0) / max(inside.sum(), 1.0)
    known = p > 0
    if (q[known] <= 0).any():  # a clipped value has nowhere to go
        return math.inf
    return float(np.sum(p[known] * np.log(p[known] / q[known])))


def collect(onnx_path: Path, batches: Iterable[NDArray[np.float32]], threads: int = 1) -> dict[str, Histogram]:
    """Histograms of every float activation of an ONNX file over batches of (n, 1, H, W) float32.

    Memory holds one batch's activations and 16 kB a tensor, however many films come. Raises ValueError without films.
    """
    model = onnx.load(onnx_path)
    names = activations(model)
    inputs = {value.name for value in model.graph.input}
    kept = {value.name for value in model.graph.output}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    for name in names:
        if name not in inputs | kept:
            probe.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    histograms = {name: Histogram() for name in names}
    films = 0
    with OnnxEngine(onnx.shape_inference.infer_shapes(probe).SerializeToString(), threads=threads) as engine:
        (feed,) = engine.inputs
        for batch in batches:
            films += len(batch)
            histograms[feed].add(batch)
            for name, values in engine.run({feed: batch}).items():
                if name in histograms:
                    histograms[name].add(values)
    if films == 0:
        raise ValueError("no films to measure ranges on")
    return histograms


def activations(model: onnx.ModelProto) -> list[str]:
    """Names of all float32 tensors that depend on the input, in graph order."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    infos = [*inferred.graph.value_info, *inferred.graph.output]
    floats = {info.name for info in infos if info.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    reached = [value.name for value in model.graph.input]
    for node in model.graph.node:  # nodes of an ONNX graph are in topological order
        if set(node.input) & set(reached):
            reached += [name for name in node.output if name in floats]
    return reached
