"""The bundle on disk: two networks, their calibration and the facts about them, read only after every byte is verified.

    manifest.json     schema, version, sha256 of each file, model inputs and outputs, preprocessing with fingerprints,
                      landmarks, sites, validity, provenance, guard
    finder.onnx       landmarks and kind of film (fp32)
    bmd.onnx          BMD, predicted spread, embedding (fp32)
    bmd.int8.onnx     the same with explicit Q/DQ; present only if it stayed inside its error budget in g/cm2
    calibration.json  numbers only, bound to the sha256 of the model they were fitted with
    golden.npz        inputs and expected outputs of each model and precision (`bmd_edge.engine.self_test`)
    MODEL_CARD.md     the same facts for people
    drift.json        means and covariances that `bmd-edge drift` compares films with; may be missing
    bundle.sig        optional: signature over all other files (`bmd-edge sign`); only `bmd-edge verify` reads it

Nothing in the folder is executed or unpickled, and no parser sees a file whose hash does not match the manifest.
"""

import hashlib
import io
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import BundleError
from bmd_edge.guard import LIMITS, broken
from bmd_edge.manifest import INPUTS, FileFacts, Manifest, inputs_of, parse, read_json
from bmd_edge.onnx_head import read_head
from bmd_edge.preprocess import InputSpec

if TYPE_CHECKING:
    from bmd_edge.screener import Screener

SCHEMA = 1
MANIFEST = "manifest.json"
CALIBRATION = "calibration.json"
GOLDEN = "golden.npz"
MODEL_CARD = "MODEL_CARD.md"
DRIFT = "drift.json"
SIGNATURE = "bundle.sig"
MODEL_FILES: dict[str, dict[str, str]] = {
    "finder": {"fp32": "finder.onnx"},
    "bmd": {"fp32": "bmd.onnx", "int8": "bmd.int8.onnx"},
}
"""model -> precision -> file name; a bundle may leave out the INT8 file."""

_REQUIRED = {"finder.onnx", "bmd.onnx", CALIBRATION, GOLDEN, MODEL_CARD}
_ALLOWED = _REQUIRED | {"bmd.int8.onnx", DRIFT}
INT8_AS_WRITTEN = "int8_as_written"
"""Key of the guard's figures for the INT8 file with the numbers that TensorRT has: it clips what the CPU keeps."""
_MAX_MANIFEST_BYTES = 1_000_000
_MAX_FILE_BYTES = 500_000_000
_MAX_GOLDEN_BYTES = 200_000_000


@dataclass(frozen=True, slots=True)
class SiteCalibration:
    """Interval of one site: estimate +- `scale` x predicted spread covers `coverage`; fitted on `n` hips."""

    scale: float
    coverage: float
    n: int


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Cuts of the headline on the lowest estimated T-score of a film; equal where there is no middle band.

    At or below `low_suspected_t` BMD is suspected to be low, at or below `refer_for_dxa_t` the film cannot tell. Fitted
    on `cases` subjects with a DXA T-score of -2.5 or less at a hip and on `others` without.
    """

    low_suspected_t: float
    refer_for_dxa_t: float
    cases: int
    others: int


@dataclass(frozen=True, slots=True)
class PrecisionCalibration:
    """Calibration of one BMD model file, bound to it by hash; without operating points there is no headline."""

    model_sha256: str
    sites: dict[str, SiteCalibration]
    operating_points: OperatingPoints | None


@dataclass(frozen=True, slots=True)
class _CalibrationFile:
    schema: int
    precisions: dict[str, PrecisionCalibration]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle; make it with `open_bundle`.

    `digest` is the SHA-256 of the manifest's bytes and so names every file of the bundle.
    `calibration` maps precision ("fp32", "int8") to the numbers for that model; `inputs` maps "finder_survey",
    "finder_closeup" and "bmd" to their preprocessing.
    """

    root: Path
    manifest: Manifest
    digest: str
    calibration: dict[str, PrecisionCalibration]
    inputs: dict[str, InputSpec]

    def precisions(self, model: str) -> tuple[str, ...]:
        """Precisions the bundle holds for "finder" or "bmd", fp32 first."""
        return tuple(name for name in MODEL_FILES[model] if name in self.manifest.models[model].files)

    @property
    def int8_on_gpu(self) -> bool:
        """Whether the guard has judged INT8 with TensorRT's numbers too, and passed it."""
        return "int8" in self.precisions("bmd") and INT8_AS_WRITTEN in self.manifest.guard

    def model_path(self, model: str, precision: str = "fp32") -> Path:
        """Path of a model's file; BundleError if the bundle does not hold that precision."""
        files = self.manifest.models[model].files
        if precision not in files:
            held = ", ".join(files)
            raise BundleError(f"the bundle has no {precision} {model} (it has {held}): choose another --precision")
        return self.root / files[precision]

    def model_bytes(self, model: str, precision: str = "fp32") -> bytes:
        """A model's file, hashed again as it is read: what the engine parses is what the manifest names."""
        return _read_verified(self.model_path(model, precision), self.manifest.files)

    def screener(
        self,
        device: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        spacing_mm: float | None = None,
    ) -> "Screener":
        """Open the networks; arguments and errors as for `bmd_edge.Screener`. Use it as a context manager."""
        from bmd_edge.screener import Screener

        return Screener(self, device, precision, threads, spacing_mm)

    def golden(self) -> dict[str, NDArray[np.float32]]:
        """Arrays of the self-test: "finder/input/image", "bmd/int8/bmd" and so on."""
        return _read_golden(_read_verified(self.root / GOLDEN, self.manifest.files))

    def drift(self) -> dict[str, Any]:
        """drift.json: precision -> `calibration.reference.to_dict`; empty if the bundle holds none."""
        if DRIFT not in self.manifest.files:
            return {}
        found: dict[str, Any] = read_json(_read_verified(self.root / DRIFT, self.manifest.files), DRIFT)
        return found

    def verify(self) -> list[str]:
        """Check all files again; one sentence per finding, none if the bundle is whole."""
        return list(_findings(self.root, self.manifest))


def open_bundle(path: str | os.PathLike[str] | None = None) -> Bundle:
    """Read and verify the bundle in folder `path`; None is the one embedded in the package.

    Raises BundleError, naming the first thing that is wrong and what to do about it.
    """
    root = Path(path) if path is not None else Path(__file__).parent / "data" / "bundle"
    if not (root / MANIFEST).is_file():
        raise BundleError(f"no bundle here: {MANIFEST} is missing; give the folder that `bmd-edge export` wrote")
    _require_regular(root / MANIFEST, _MAX_MANIFEST_BYTES)
    raw = (root / MANIFEST).read_bytes()
    manifest = _read_manifest(raw)
    inputs = inputs_of(manifest)
    for finding in _findings(root, manifest):
        raise BundleError(f"{finding}; copy the bundle again from where it was made")
    numbers = read_json(_read_verified(root / CALIBRATION, manifest.files), CALIBRATION)
    calibration = parse(_CalibrationFile, numbers, CALIBRATION)
    _check_calibration(calibration, manifest)
    return Bundle(root, manifest, hashlib.sha256(raw).hexdigest(), calibration.precisions, inputs)


def _read_manifest(raw: bytes) -> Manifest:
    data = read_json(raw, MANIFEST)
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:  # before the keys are looked at: another schema has other keys
        raise BundleError(f"the bundle has schema {schema!r}, this bmd-edge reads {SCHEMA}: install the matching one")
    manifest = parse(Manifest, data, MANIFEST)
    _check_names(manifest)
    return manifest


def _check_names(manifest: Manifest) -> None:
    if unexpected := sorted(set(manifest.files) - _ALLOWED):  # also refuses "..", absolute paths and folders
        raise BundleError(f"{MANIFEST} lists a file that does not belong in a bundle: {unexpected[0]!r}")
    if missing := sorted(_REQUIRED - set(manifest.files)):
        raise BundleError(f"{MANIFEST} does not list {missing[0]}")
    if set(manifest.models) != set(MODEL_FILES) or set(manifest.inputs) != set(INPUTS):
        raise BundleError(f"{MANIFEST} must describe the models {', '.join(MODEL_FILES)}; inputs {', '.join(INPUTS)}")
    listed = {file for model in manifest.models.values() for file in model.files.values()}
    if listed != {file for file in manifest.files if file.endswith(".onnx")}:
        raise BundleError(f"{MANIFEST}: models and files disagree")
    for name, model in manifest.models.items():
        if "fp32" not in model.files or not model.files.items() <= MODEL_FILES[name].items():
            raise BundleError(f"{MANIFEST}: {name} has the wrong file names")
    for precision in set(manifest.models["bmd"].files) - {"fp32"}:
        _check_guard(precision, manifest)
    if INT8_AS_WRITTEN in manifest.guard:
        _check_guard(INT8_AS_WRITTEN, manifest)


def _check_guard(precision: str, manifest: Manifest) -> None:
    """Judge the figures again: a verdict alone could be edited in, or rest on looser limits or on too few hips."""
    guard = manifest.guard.get(precision, {})
    if set(guard) != set(manifest.sites) or not all(site.passed for site in guard.values()):
        raise BundleError(f"{MANIFEST}: the {precision} model has not passed its guard")
    for name, site in guard.items():
        if found := broken(replace(site, limits=LIMITS)):
            raise BundleError(f"{MANIFEST}: the {precision} model is outside its error budget: {name}, {found[0]}")


def _check_calibration(calibration: _CalibrationFile, manifest: Manifest) -> None:
    if calibration.schema != SCHEMA:
        raise BundleError(f"{CALIBRATION} has schema {calibration.schema}, this bmd-edge reads {SCHEMA}")
    models = manifest.models["bmd"].files
    if set(calibration.precisions) != set(models):
        raise BundleError(f"{CALIBRATION} does not cover the precisions {', '.join(models)}")
    for precision, numbers in calibration.precisions.items():
        if numbers.model_sha256 != manifest.files[models[precision]].sha256:
            raise BundleError(f"{CALIBRATION}: the {precision} numbers were fitted with another model")
        if set(numbers.sites) != set(manifest.sites):
            raise BundleError(f"{CALIBRATION}: the {precision} numbers do not cover the sites of {MANIFEST}")
        if not all(site.scale > 0 and 0 < site.coverage < 1 for site in numbers.sites.values()):
            raise BundleError(f"{CALIBRATION}: a scale or coverage of {precision} is out of range")
        points = numbers.operating_points
        if points is not None and points.low_suspected_t > points.refer_for_dxa_t:
            raise BundleError(f"{CALIBRATION}: the operating points of {precision} are in the wrong order")


def _findings(root: Path, manifest: Manifest) -> Iterator[str]:
    present = {entry.name for entry in os.scandir(root)}
    for name in sorted(present - set(manifest.files) - {MANIFEST, SIGNATURE}):
        yield f"the bundle holds an unexpected entry: {name!r}"
    if SIGNATURE in present:
        try:
            _require_regular(root / SIGNATURE, _MAX_MANIFEST_BYTES)
        except BundleError as error:
            yield str(error)
    for name in sorted(manifest.files):
        if name not in present:
            yield f"{name} is missing from the bundle"
            continue
        try:
            raw = _read_verified(root / name, manifest.files)
            if name == GOLDEN:
                _read_golden(raw)
        except BundleError as error:
            yield str(error)
            continue
        if name.endswith(".onnx"):
            yield from _onnx_findings(name, raw, manifest)


def _onnx_findings(name: str, raw: bytes, manifest: Manifest) -> Iterator[str]:
    """Whether a network is the one the manifest describes, by its own words: `metadata_props`, inputs and outputs."""
    try:
        head = read_head(raw, name)
        prepared = read_json(head.metadata["inputs"].encode(), f"{name}: inputs") if "inputs" in head.metadata else None
    except BundleError as error:
        yield str(error)
        return
    model = next(model for model, facts in manifest.models.items() if name in facts.files.values())
    facts = manifest.models[model]
    said = (head.metadata.get("task"), head.metadata.get("sites"), head.metadata.get("unit"))
    if said != (model, json.dumps(manifest.sites), manifest.unit):
        yield f"{name} says that it is {said[0]}, {said[1]} in {said[2]}, {MANIFEST} says otherwise"
    if prepared is not None and prepared != _prepared(model, manifest):
        yield f"{name} was trained on inputs prepared in another way than {MANIFEST} states"
    if head.inputs != facts.inputs or head.outputs != facts.outputs:
        yield f"the inputs or outputs of {name} are not those of {MANIFEST}"


def _prepared(model: str, manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The inputs of a model as its ONNX files name them."""
    facts = {name: asdict(facts) for name, facts in manifest.inputs.items() if INPUTS[name] == model}
    return {name: {"name": name, **{k: v for k, v in one.items() if k != "fingerprint"}} for name, one in facts.items()}


def _require_regular(path: Path, limit_bytes: int) -> int:
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode):
        raise BundleError(f"{path.name} is not a regular file")
    if facts.st_size > limit_bytes:
        raise BundleError(f"{path.name} is larger than any bundle's")
    return facts.st_size


def _read_verified(path: Path, files: dict[str, FileFacts]) -> bytes:
    facts = files[path.name]
    if _require_regular(path, _MAX_FILE_BYTES) != facts.bytes:
        raise BundleError(f"{path.name} does not have the size the manifest states")
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != facts.sha256:
        raise BundleError(f"{path.name} does not have the hash the manifest states")
    return raw


def _read_golden(raw: bytes) -> dict[str, NDArray[np.float32]]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MAX_GOLDEN_BYTES:
                raise BundleError(f"{GOLDEN} is larger than any bundle's")
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            golden = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:  # ValueError: pickled objects
        raise BundleError(f"{GOLDEN} cannot be read: {error}") from error
    if any(array.dtype != np.float32 for array in golden.values()):
        raise BundleError(f"{GOLDEN} holds something other than float32 arrays")
    return golden
