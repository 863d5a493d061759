"""Two training runs and a film table -> a bundle: ONNX, ranges, INT8, guard, interval, golden outputs, card."""

import hashlib
import importlib.metadata
import json
import logging
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from bmd_edge.bundle import Bundle
from bmd_edge.engine import OnnxEngine
from bmd_edge.manifest import Provenance, Validity
from bmd_edge.preprocess import BMD, FINDER_CLOSEUP, FINDER_SURVEY, InputSpec
from bmd_edge.table import SITES, HipRow, read_table
from calibration.fit import fit_sites
from calibration.operating import fit_operating_points
from export import films, plausibility
from export.pack import Parts, pack
from export.parity import LIMITS, compare
from export.quantize import int8_from_onnx, quantized
from export.ranges import METHODS, collect
from export.sensitivity import Estimates, layers_to_keep, worst_shift
from export.to_onnx import onnx_from_network
from trainer.network import OUTPUTS, load_run

logger = logging.getLogger(__name__)

SPECS: dict[str, InputSpec] = {"finder_survey": FINDER_SURVEY, "finder_closeup": FINDER_CLOSEUP, "bmd": BMD}
_VERSIONS = ("numpy", "onnx", "onnxruntime", "torch")
_MAX_JUDGED_HIPS = 200
_ROOM = 0.75  # the share of the guard's limit that INT8 may use up on the films it was made with

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What the maker of a bundle says about it; see `bmd_edge.manifest.Validity` and `Provenance`."""

    version: str
    created: str
    command: str
    training_data: str
    notice: str


@dataclass(frozen=True, slots=True)
class _Answers:
    """One model file's answers for the guard hips, (n, sites) g/cm2 each."""

    bmd: NDArray[np.float32]
    spread: NDArray[np.float32]


def export_bundle(
    run: Path,
    finder_run: Path,
    table: Path,
    out: Path,
    statement: Statement,
    *,
    finder_numbers: Mapping[str, Any],
    int8: bool = True,
    progress: Progress = logger.info,
) -> Bundle:
    """Make the bundle `out`.

    Args:
        run: run folder of the BMD network; the report `parity.json` is written into it.
        finder_run: run folder of the finder.
        table: film table; of its split `calibrate` one half gives the ranges, the other guard and interval.
        out: folder of the bundle; replaced if it is one.
        statement: version and wording.
        finder_numbers: the manifest's block `plausibility`, from `finder_plausibility`.
        int8: False makes a bundle without an INT8 model.
        progress: called with a sentence at each step.

    Raises:
        UsageError: a run folder or the table is not usable.
        TableError: the split `calibrate` is too small, or the run knows one of its subjects.
        BundleError: the ONNX file differs from the network, or INT8 is outside its error budget.
    """
    ranges, guard = films.halves(table)
    films.check_apart(run, [*ranges, *guard])
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        models = {"finder": {"fp32": work / "finder.onnx"}, "bmd": {"fp32": work / "bmd.onnx"}}
        for name, folder in (("finder", finder_run), ("bmd", run)):
            error = onnx_from_run(name, folder, models[name]["fp32"])
            progress(f"{name}: ONNX Runtime agrees with torch to {error:.1e} of the range")
        parity = None
        answers = {"fp32": _answers(models["bmd"]["fp32"], guard)}
        if int8:
            models["bmd"]["int8"] = work / "bmd.int8.onnx"
            method, kept = _quantize(models["bmd"]["fp32"], models["bmd"]["int8"], ranges)
            answers["int8"] = _answers(models["bmd"]["int8"], guard)
            parity = compare(answers["fp32"].bmd, answers["int8"].bmd, SITES)
            parity.save(run / "parity.json")
            progress(f"bmd: INT8 ranges by {method}, in fp32 {', '.join(kept) or 'nothing'}")
            progress(f"bmd: {'; '.join(parity.sentences())}")
        labels = films.dexa(guard)
        parts = Parts(
            version=statement.version,
            models=models,
            calibration={name: fit_sites(a.bmd, a.spread, labels, SITES) for name, a in answers.items()},
            parity=parity,
            plausibility=finder_numbers,
            specs=SPECS,
            golden_inputs={name: golden_input(spec) for name, spec in (("finder", FINDER_CLOSEUP), ("bmd", BMD))},
            validity=Validity(training_data=statement.training_data, notice=statement.notice),
            provenance=Provenance(
                created=statement.created,
                command=statement.command,
                versions={name: importlib.metadata.version(name) for name in _VERSIONS},
                runs={"finder": _run_facts(finder_run), "bmd": _run_facts(run)},
                calibration_films=films.facts(table, ranges, guard),
            ),
            accuracy={name: accuracy(a.bmd, labels) for name, a in answers.items()},
            operating_points={name: fit_operating_points(guard, a.bmd) for name, a in answers.items()},
        )
        return pack(out, parts)


def onnx_from_run(name: str, run: Path, path: Path) -> float:
    """Export the network of a run folder; returns the difference to torch as `onnx_from_network` does."""
    spec = BMD if name == "bmd" else FINDER_CLOSEUP
    contract = {
        "input": json.dumps({"image": ["batch", 1, spec.size_px, spec.size_px], "range": "0..1, bone bright"}),
        "inputs": json.dumps({key: asdict(each) for key, each in SPECS.items() if key.startswith(name)}),
        "sites": json.dumps(SITES),
        "unit": "g/cm2",
        "task": name,
        "use": "research only, not for diagnosis",
    }
    return onnx_from_network(load_run(run), golden_input(spec), OUTPUTS[name], path, contract)


def finder_plausibility(finder_run: Path, table: Path, splits: Collection[str]) -> dict[str, Any]:
    """Measure the manifest's `plausibility` block on whole films of splits that the finder has not learned from.

    Raises:
        TableError: the finder learned from one of their subjects.
    """
    films.check_apart(finder_run, [row for row in read_table(table) if row.split in splits])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "finder.onnx"
        onnx_from_run("finder", finder_run, path)
        with OnnxEngine(path) as engine:
            return plausibility.measure(engine, plausibility.intact_hips(table, splits))


def golden_input(spec: InputSpec) -> NDArray[np.float32]:
    """Two synthetic images (2, 1, size, size) float32, 0..1: soft blobs of several sizes, in 1/255 steps."""
    rng = np.random.default_rng(spec.size_px)
    y, x = np.mgrid[: spec.size_px, : spec.size_px] / spec.size_px
    image = np.zeros((2, 1, spec.size_px, spec.size_px))
    for _ in range(24):
        row, column, size = rng.uniform(0, 1, 2)[:, None], rng.uniform(0, 1, 2)[:, None], rng.uniform(0.02, 0.3)
        blob = np.exp(-((y.ravel() - row) ** 2 + (x.ravel() - column) ** 2) / (2 * size**2))
        image += rng.normal() * blob.reshape(image.shape)
    image -= image.min(axis=(2, 3), keepdims=True)
    image /= image.max(axis=(2, 3), keepdims=True)
    return (np.round(image * 255) / 255).astype(np.float32)


def accuracy(bmd: NDArray[np.floating], labels: NDArray[np.float64]) -> dict[str, dict[str, float]]:
    """Pearson r, RMSE and bias (estimate minus DEXA, g/cm2) of each site; both arrays (n, sites)."""
    figures = {}
    for column, site in enumerate(SITES):
        estimate, truth = np.asarray(bmd[:, column], np.float64), labels[:, column]
        error = estimate - truth
        figures[site] = {
            "n": float(len(error)),
            "r": float(np.corrcoef(estimate, truth)[0, 1]),
            "rmse_gcm2": float(np.sqrt(np.mean(error**2))),
            "bias_gcm2": float(error.mean()),
        }
    return figures


def _answers(path: Path, rows: Sequence[HipRow]) -> _Answers:
    with OnnxEngine(path) as engine:
        raw = [engine.run({"image": batch}) for batch in films.batches(rows)]
    return _Answers(*(np.concatenate([answer[name] for answer in raw]) for name in ("bmd", "spread")))


def _quantize(source: Path, target: Path, rows: Sequence[HipRow]) -> tuple[str, list[str]]:
    """Write the INT8 file; returns the range method and the layers that had to stay fp32.

    Both are chosen on films of the ranges, so the guard stays untouched: first the method with the least shift, then,
    where its shift leaves the guard too little room, the layers to keep.
    """
    histograms = collect(source, films.batches(rows))
    judged = list(films.batches(rows[:: max(1, len(rows) // _MAX_JUDGED_HIPS)]))

    def run(model: bytes) -> Estimates:
        with OnnxEngine(model) as engine:
            return np.concatenate([engine.run({"image": batch})["bmd"] for batch in judged])

    fp32 = onnx.load(source)
    wanted = run(fp32.SerializeToString())
    shifts = {
        method: worst_shift(wanted, run(quantized(fp32, histograms, method=method).SerializeToString()))
        for method in METHODS
    }
    best = min(shifts, key=lambda method: shifts[method])
    kept = layers_to_keep(source, histograms, best, run, _ROOM * LIMITS.p99_shift_gcm2)
    int8_from_onnx(source, target, histograms, method=best, keep_fp32=kept)
    return best, kept


def _run_facts(run: Path) -> dict[str, str]:
    facts = json.loads((run / "config.json").read_text(encoding="utf-8"))
    weights = (run / "checkpoint.safetensors").read_bytes()
    settings = json.dumps(facts["kwargs"], sort_keys=True)
    return {"network": facts["network"], "settings": settings, "checkpoint_sha256": hashlib.sha256(weights).hexdigest()}
