"""fp32 ONNX -> the INT8 file of the bundle: range method, layers that stay fp32, its error budget's verdict.

Method and layers are chosen on films of the ranges, so the judging hips choose nothing as long as the first choice
passes; where it does not, further layers are kept in the order of their sensitivity until it does.

The CPU keeps values beyond the calibrated range that int8 clips
(`bmd_edge.engine.onnx_runtime.cpu_encoding`). The file is chosen by
its numbers as written, which are TensorRT's, and the error budget must hold with them and with the CPU's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from bmd_edge.bundle.error_budget import ErrorBudget
from bmd_edge.bundle.layout import INT8_AS_WRITTEN
from bmd_edge.bundle.manifest import Quantization
from bmd_edge.engine.onnx_runtime import OnnxEngine
from export.int8.quantize import int8_from_onnx, quantized
from export.int8.ranges import Histogram
from export.int8.sensitivity import Estimates, Shift, compare_methods, mixes, shift_of, shifts_alone
from export.int8.shift_in_gcm2 import JudgingHips, ShiftInGcm2, compare

ROOM = 0.75
"""The share of the error budget that INT8 may use up on the films it was made with."""

Images = Sequence[NDArray[np.float32]]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Answers:
    """One model file's answers for some hips, (n, sites) g/cm2 each, and its embedding (n, d)."""

    bmd: NDArray[np.float32]
    spread: NDArray[np.float32]
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Int8:
    """What came of quantizing, passed or not.

    `methods` and `sensitivity` are figures on `judged_hips` films of the ranges (`sensitivity`); `guard_runs` is
    how often the judging hips were asked, each time with one more layer in fp32. `answers` and `shift` are the CPU's,
    `shift_as_written` is that of TensorRT's numbers.
    """

    quantization: Quantization
    methods: dict[str, Shift]
    sensitivity: dict[str, Shift]
    judged_hips: int
    answers: Answers
    shift: ShiftInGcm2
    shift_as_written: ShiftInGcm2
    guard_runs: int


def int8_inside_budget(
    files: Mapping[str, Path],
    histograms: Mapping[str, Histogram],
    judged: Images,
    judging: Images,
    hips: JudgingHips,
    fp32_answers: Answers,
    limits: ErrorBudget,
    progress: Progress,
) -> Int8:
    """Write files["int8"] from files["fp32"], with as few layers in fp32 as the error budget lets it have.

    The file is there too where the error budget was not kept, and must then not be used.

    Args:
        files: precision -> ONNX file; fp32 as `export.onnx_file.to_onnx` writes it.
        histograms: of the fp32 file, from `export.int8.ranges.collect`.
        judged: batches of images of the range films, which choose method and layers.
        judging: batches of images of the judging hips.
        hips: the judging hips.
        fp32_answers: what the fp32 file answers for them.
        limits: the error budget.
        progress: called with a sentence at each step.
    """
    fp32 = onnx.load(files["fp32"])

    def run(model: bytes) -> Estimates:
        return answers(model, judged, as_written=True).bmd

    methods = compare_methods(fp32, histograms, run)
    method = next(iter(methods))
    progress(f"ranges by {method}; RMS shift of the methods: {_listed(methods)} g/cm2")
    sensitivity = shifts_alone(fp32, histograms, method, run)
    wanted, options = run(fp32.SerializeToString()), list(mixes(list(sensitivity)))

    def has_room(kept: list[str]) -> bool:
        model = quantized(fp32, histograms, method=method, keep_fp32=kept)
        return shift_of(wanted, run(model.SerializeToString()), limits)["budget"] <= ROOM

    start = next((index for index, kept in enumerate(options) if has_room(kept)), len(options) - 1)
    runs = 0
    for kept in options[start:]:
        runs += 1
        int8_from_onnx(files["fp32"], files["int8"], histograms, method=method, keep_fp32=kept)
        found = answers(files["int8"], judging)
        shift = compare(fp32_answers.bmd, found.bmd, hips, limits=limits)
        written = answers(files["int8"], judging, as_written=True).bmd
        as_written = compare(fp32_answers.bmd, written, hips, INT8_AS_WRITTEN, limits=limits)
        in_fp32 = f"{len(kept)} of {len(sensitivity)} layers in fp32"
        failures = [*shift.failures(), *(f"as written: {said}" for said in as_written.failures())]
        progress(f"error budget, {in_fp32}: {'; '.join(failures) or 'passed'}")
        if shift.passed and as_written.passed:
            break
    quantization = Quantization(range_method=method, layers=len(sensitivity), layers_fp32=tuple(kept))
    return Int8(quantization, methods, sensitivity, len(wanted), found, shift, as_written, runs)


def answers(model: Path | bytes, images: Images, *, as_written: bool = False) -> Answers:
    """What a model answers for all batches of images; `as_written` as in `OnnxEngine`."""
    with OnnxEngine(model, as_written=as_written) as engine:
        raw = [engine.run({"image": batch}) for batch in images]
    return Answers(*(np.concatenate([answer[name] for answer in raw]) for name in ("bmd", "spread", "embedding")))


def _listed(shifts: dict[str, Shift]) -> str:
    return ", ".join(f"{name} {shift['rms']:.4f}" for name, shift in shifts.items())
