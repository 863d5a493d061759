"""Files and facts -> a bundle: written beside its place, verified as the runtime will, self-tested, then moved."""

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle import layout
from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.calibration import HeadlineCuts, SiteCalibration
from bmd_edge.bundle.error_budget import SiteShift
from bmd_edge.bundle.knowledge import Knowledge
from bmd_edge.bundle.manifest import (
    KINDS,
    LANDMARKS,
    UNIT,
    FileFacts,
    InputFacts,
    Manifest,
    ModelFacts,
    Plausibility,
    Provenance,
    Validity,
)
from bmd_edge.bundle.network_input import InputSpec
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import BundleError, UsageError
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_folder
from export.bundle.model_card import model_card
from export.bundle.self_test_outputs import golden_and_models
from export.int8.shift_in_gcm2 import ShiftInGcm2
from export.onnx_file import rules


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """All a bundle is made of.

    `models` is model -> precision -> ONNX file; `calibration` precision -> site -> interval; `golden_inputs` model ->
    images (n, 1, H, W) float32, synthetic, since a bundle travels; `shift` is needed if there is an INT8 file, that
    of its numbers as written (see `bmd_edge.bundle.layout.INT8_AS_WRITTEN`) if TensorRT may use it;
    `accuracy` precision -> site -> figure -> value, and goes into the model card only; `operating_points` precision ->
    cuts of the headline, None where there are too few cases; `drift` precision -> reference, empty without one;
    `knowledge` what the networks are shown to know.
    """

    version: str
    models: Mapping[str, Mapping[str, Path]]
    calibration: Mapping[str, Mapping[str, SiteCalibration]]
    shift: ShiftInGcm2 | None
    shift_as_written: ShiftInGcm2 | None = None
    plausibility: Plausibility
    inputs: Mapping[str, InputSpec]
    golden_inputs: Mapping[str, NDArray[np.float32]]
    validity: Validity
    provenance: Provenance
    accuracy: Mapping[str, Mapping[str, Mapping[str, float]]]
    operating_points: Mapping[str, HeadlineCuts | None] = field(default_factory=dict)
    drift: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    knowledge: Knowledge | None = None


def pack(out: Path, parts: Parts) -> VerifiedBundle:
    """Write the bundle into folder `out`, replacing only a bundle.

    Raises:
        BundleError: a model breaks one of the `rules`, INT8 is outside its error budget, or what was written
            does not verify.
        UsageError: `out` exists and is not a bundle.
    """
    for path in (path for files in parts.models.values() for path in files.values()):
        rules.check(path)
    _check_int8(parts)
    check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=out.parent) as scratch:
        folder = Path(scratch) / "bundle"
        folder.mkdir()
        _write(folder, parts)
        written = read_bundle(folder)
        for model in written.manifest.models:
            for precision in written.precisions(model):
                with open_engine(written, model, device="cpu", precision=precision, threads=1) as engine:
                    self_test(written, model, engine)
        replace_folder(folder, out, Path(scratch) / "old")
    return read_bundle(out)


def check_out(out: Path) -> None:
    """UsageError if something else than a bundle would be replaced."""
    if out.exists() and not (out / layout.MANIFEST).is_file():
        raise UsageError(f"{out.name} exists and is not a bundle: choose another --out")


def _check_int8(parts: Parts) -> None:
    if "int8" not in parts.models["bmd"]:
        return
    if parts.shift is None:
        raise BundleError("an INT8 model needs what it shifts")
    judged = [one for one in (parts.shift, parts.shift_as_written) if one is not None]
    if not all(one.passed for one in judged):
        reasons = "; ".join(said for one in judged for said in one.failures())
        raise BundleError(
            f"INT8 refused, it is outside its error budget: {reasons}. Make the bundle without it, --no-int8"
        )


def _write(folder: Path, parts: Parts) -> None:
    for model, files in parts.models.items():
        for precision, path in files.items():
            shutil.copyfile(path, folder / layout.MODEL_FILES[model][precision])
    models = golden_and_models(folder, parts.models, parts.golden_inputs)
    _write_json(folder / layout.CALIBRATION, _calibration(folder, parts))
    if parts.drift:
        _write_json(folder / layout.DRIFT, parts.drift)
    manifest = _manifest(parts, models)
    card = model_card(manifest, parts.calibration, parts.accuracy)
    (folder / layout.MODEL_CARD).write_text(card, encoding="utf-8")
    facts = {path.name: _file_facts(path) for path in sorted(folder.iterdir())}
    _write_json(folder / layout.MANIFEST, dataclasses.asdict(dataclasses.replace(manifest, files=facts)))


def _calibration(folder: Path, parts: Parts) -> dict[str, Any]:
    precisions = {
        precision: {
            "model_sha256": _file_facts(folder / layout.MODEL_FILES["bmd"][precision]).sha256,
            "sites": {site: dataclasses.asdict(numbers) for site, numbers in parts.calibration[precision].items()},
            "operating_points": _points(parts.operating_points.get(precision)),
        }
        for precision in parts.models["bmd"]
    }
    return {"schema": layout.SCHEMA, "precisions": precisions}


def _points(points: HeadlineCuts | None) -> dict[str, Any] | None:
    return None if points is None else dataclasses.asdict(points)


def _manifest(parts: Parts, models: dict[str, ModelFacts]) -> Manifest:
    inputs = {
        name: InputFacts(
            size_px=spec.size_px,
            spacing_mm=spec.spacing_mm,
            low_percentile=spec.low_percentile,
            high_percentile=spec.high_percentile,
            fingerprint=spec.fingerprint(),
            disc_share=spec.disc_share,
        )
        for name, spec in parts.inputs.items()
    }
    return Manifest(
        schema=layout.SCHEMA,
        version=parts.version,
        files={},
        models=models,
        inputs=inputs,
        roi_mm=parts.inputs["bmd"].side_mm,
        landmarks=LANDMARKS,
        kinds=KINDS,
        plausibility=parts.plausibility,
        sites=SITES,
        unit=UNIT,
        validity=parts.validity,
        provenance=parts.provenance,
        guard=_guard(parts) if "int8" in parts.models["bmd"] else {},
        knowledge=parts.knowledge,
    )


def _guard(parts: Parts) -> dict[str, dict[str, SiteShift]]:
    found = {"int8": parts.shift, layout.INT8_AS_WRITTEN: parts.shift_as_written}
    return {name: dict(shift.sites) for name, shift in found.items() if shift is not None}


def _file_facts(path: Path) -> FileFacts:
    raw = path.read_bytes()
    return FileFacts(bytes=len(raw), sha256=hashlib.sha256(raw).hexdigest())


def _write_json(path: Path, facts: Mapping[str, Any]) -> None:
    def plain(value: Any) -> Any:
        """NamedTuples become objects, not arrays."""
        if hasattr(value, "_asdict"):
            return plain(value._asdict())
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    path.write_text(json.dumps(plain(facts), indent=1, allow_nan=False) + "\n", encoding="utf-8")
