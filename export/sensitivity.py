"""Which layers pay for INT8: each one is quantized alone, and the worst stay fp32 until the estimates hold still."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from export.quantize import layers, quantized
from export.ranges import Histogram

MOST_KEPT = 0.5
"""Beyond this share of the layers in fp32, INT8 is no INT8."""

Estimates = NDArray[np.float32]
Run = Callable[[bytes], Estimates]
"""A serialized model -> its estimates (n, sites) g/cm2, always for the same hips."""


def worst_shift(wanted: Estimates, found: Estimates) -> float:
    """99th percentile of the shift of the worst site, g/cm2."""
    return float(np.quantile(np.abs(found - wanted), 0.99, axis=0).max())


def shifts_alone(fp32: onnx.ModelProto, histograms: Mapping[str, Histogram], method: str, run: Run) -> dict[str, float]:
    """Layer -> `worst_shift` where this layer alone is quantized, the worst first."""
    wanted, names = run(fp32.SerializeToString()), layers(fp32)
    shifts = {}
    for name in names:
        others = [other for other in names if other != name]
        alone = quantized(fp32, histograms, method=method, keep_fp32=others)
        shifts[name] = worst_shift(wanted, run(alone.SerializeToString()))
    return dict(sorted(shifts.items(), key=lambda item: -item[1]))


def layers_to_keep(
    onnx_path: Path, histograms: Mapping[str, Histogram], method: str, run: Run, limit_gcm2: float
) -> list[str]:
    """The fewest of the worst layers that must stay fp32 for the shift to come below a limit.

    Args:
        onnx_path: fp32 file as `export.to_onnx` writes it.
        histograms: from `export.ranges.collect` on the same file.
        method: one of `export.ranges.METHODS`.
        run: what judges a model.
        limit_gcm2: largest `worst_shift` allowed.

    Returns:
        names of nodes, the worst first; where `MOST_KEPT` of them do not help, none: the guard will refuse the model.
    """
    fp32 = onnx.load(onnx_path)
    wanted = run(fp32.SerializeToString())

    def shift(kept: list[str]) -> float:
        return worst_shift(wanted, run(quantized(fp32, histograms, method=method, keep_fp32=kept).SerializeToString()))

    if shift([]) <= limit_gcm2:
        return []
    ranked = list(shifts_alone(fp32, histograms, method, run))
    for count in range(1, int(MOST_KEPT * len(ranked)) + 1):
        if shift(ranked[:count]) <= limit_gcm2:
            return ranked[:count]
    return []
