"""The finder of a new bundle: that of an existing one as it is, or a run's with its plausibility measured anew."""

import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.manifest import Plausibility
from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.errors import BundleError, UsageError, none_of
from bmd_edge.table.film_table import SPLITS, read_table
from export.bundle import calibration_films, finder_limits
from export.onnx_file.from_run import SPECS, onnx_from_run, run_facts


@dataclass(frozen=True, slots=True)
class Finder:
    """The ONNX file's bytes, the manifest's block `plausibility`, and what its provenance says of the run behind it."""

    onnx: bytes
    plausibility: Plausibility
    facts: dict[str, str]


def finder_from_bundle(bundle: VerifiedBundle) -> Finder:
    """Take over a bundle's finder, byte by byte, with its plausibility and provenance.

    Raises:
        BundleError: it was made for another preprocessing than this version's.
    """
    for name in ("finder_survey", "finder_closeup"):
        if bundle.inputs[name] != SPECS[name]:
            raise BundleError(f"the bundle's finder reads {name} in another way than this version: train one, --finder")
    facts = {**bundle.manifest.provenance.runs.get("finder", {}), "bundle_digest": bundle.digest}
    return Finder(bundle.model_bytes("finder"), bundle.manifest.plausibility, facts)


def finder_from_run(run: Path, table: Path, splits: Collection[str]) -> Finder:
    """Export a run's finder and measure its plausibility on whole films of splits that it has not learned from.

    Raises:
        UsageError: there is no such split.
        TableError: the finder learned from one of their subjects, or the table shows too few intact hips.
    """
    for split in splits:
        if split not in SPLITS:
            raise UsageError(f"--finder-split: {none_of(split, SPLITS)}")
    calibration_films.check_apart(run, [row for row in read_table(table) if row.split in splits])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "finder.onnx"
        onnx_from_run("finder", run, path)
        with OnnxEngine(path) as engine:
            numbers = finder_limits.measure(engine, finder_limits.intact_hips(table, splits))
        return Finder(path.read_bytes(), numbers, run_facts(run))
