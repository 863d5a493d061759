"""Which layers pay for INT8: each one is quantized alone, and the worst stay fp32 until the estimates hold still."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx
from numpy.typing import NDArray

from bmd_edge.bundle.error_budget import LIMITS, ErrorBudget
from export.int8.layers import layers
from export.int8.quantize import quantized
from export.int8.ranges import METHODS, Histogram

MOST_KEPT = 0.5
"""Beyond this share of the layers in fp32, INT8 is no INT8."""

Estimates = NDArray[np.float32]
Run = Callable[[bytes], Estimates]
"""A serialized model -> its estimates (n, sites) g/cm2, always for the same hips."""

Shift = dict[str, float]
"""What quantization does to estimates, worst site, g/cm2: `mean` (absolute), `rms`, `p99`, and `budget`, the largest
share that mean and 99th percentile use up of the error budget."""


def shift_of(wanted: Estimates, found: Estimates, limits: ErrorBudget = LIMITS) -> Shift:
    """Figures of `Shift` for estimates (n, sites) of the same hips."""
    shift = np.asarray(found, np.float64) - np.asarray(wanted, np.float64)
    mean = float(np.abs(shift.mean(axis=0)).max())
    p99 = float(np.quantile(np.abs(shift), 0.99, axis=0).max())
    return {
        "mean": mean,
        "rms": float(np.sqrt((shift**2).mean(axis=0)).max()),
        "p99": p99,
        "budget": max(mean / limits.mean_shift_gcm2, p99 / limits.p99_shift_gcm2),
    }


def compare_methods(fp32: onnx.ModelProto, histograms: Mapping[str, Histogram], run: Run) -> dict[str, Shift]:
    """Range method -> shift of the model quantized with it as a whole, the least RMS shift first."""
    wanted = run(fp32.SerializeToString())
    found = {
        method: shift_of(wanted, run(quantized(fp32, histograms, method=method).SerializeToString()))
        for method in METHODS
    }
    return dict(sorted(found.items(), key=lambda item: item[1]["rms"]))


def shifts_alone(fp32: onnx.ModelProto, histograms: Mapping[str, Histogram], method: str, run: Run) -> dict[str, Shift]:
    """Layer -> shift where this layer alone is quantized, the largest RMS shift first."""
    wanted, names = run(fp32.SerializeToString()), layers(fp32)
    shifts = {}
    for name in names:
        others = [other for other in names if other != name]
        alone = quantized(fp32, histograms, method=method, keep_fp32=others)
        shifts[name] = shift_of(wanted, run(alone.SerializeToString()))
    return dict(sorted(shifts.items(), key=lambda item: -item[1]["rms"]))


def mixes(ranked: list[str]) -> Iterator[list[str]]:
    """The layers to keep in fp32, none first, then one more of the worst each time, up to `MOST_KEPT` of them."""
    for count in range(int(MOST_KEPT * len(ranked)) + 1):
        yield ranked[:count]
