"""The known outputs that networks are tested against wherever they are opened, and how far these may differ."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle import layout
from bmd_edge.bundle.manifest import ModelFacts
from bmd_edge.engine.onnx_runtime import OnnxEngine

_TOLERANCE = {"fp32": (0.002, 0.01), "int8": (0.006, 0.08)}
"""Self-test, per precision: g/cm2 for bmd and spread; share of the largest expected value for the other outputs. Wide
enough for other kernels and TF32, far below what a wrong kernel or a broken fusion does."""


def golden_and_models(
    folder: Path, models: Mapping[str, Mapping[str, Path]], golden_inputs: Mapping[str, NDArray[np.float32]]
) -> dict[str, ModelFacts]:
    """Run the golden inputs through every model; writes golden.npz and returns what the manifest says of the models.

    `models` is model -> precision -> ONNX file, which stands in `folder` under its name in a bundle; `golden_inputs` is
    model -> (n, 1, size, size) images.
    """
    arrays: dict[str, NDArray[np.float32]] = {}
    facts = {}
    for model, files in models.items():
        feeds = {"image": golden_inputs[model]}
        arrays[f"{model}/input/image"] = feeds["image"]
        tolerance: dict[str, dict[str, float]] = {}
        for precision in files:
            with OnnxEngine(folder / layout.MODEL_FILES[model][precision], precision=precision) as engine:
                outputs, inputs, specs = engine.run(feeds), engine.inputs, engine.outputs
            arrays |= {f"{model}/{precision}/{name}": values for name, values in outputs.items()}
            tolerance[precision] = {name: _tolerance(precision, name, values) for name, values in outputs.items()}
        names = {precision: layout.MODEL_FILES[model][precision] for precision in files}
        facts[model] = ModelFacts(files=names, inputs=inputs, outputs=specs, golden_tolerance=tolerance)
    _write_npz(folder / layout.GOLDEN, arrays)
    return facts


def _write_npz(path: Path, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Like `numpy.savez_compressed`, but without the time of day: the same parts give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, values in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(values), allow_pickle=False)
            zipped.writestr(zipfile.ZipInfo(f"{name}.npy"), buffer.getvalue(), zipfile.ZIP_DEFLATED)


def _tolerance(precision: str, name: str, expected: NDArray[np.float32]) -> float:
    gcm2, share = _TOLERANCE[precision]
    return gcm2 if name in ("bmd", "spread") else share * max(float(np.abs(expected).max()), 1e-3)
