"""Whether a bundle is whole: every file is the one that the manifest names, and what the files say agrees.

Nothing in the folder is executed or unpickled, and no parser sees a file whose hash does not match the manifest.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.calibration import CalibrationFile
from bmd_edge.bundle.error_budget import LIMITS, broken
from bmd_edge.bundle.knowledge import Knowledge
from bmd_edge.bundle.layout import (
    ALLOWED_FILES,
    CALIBRATION,
    GOLDEN,
    INT8_AS_WRITTEN,
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_GOLDEN_BYTES,
    MAX_MANIFEST_BYTES,
    MODEL_FILES,
    REQUIRED_FILES,
    SCHEMA,
    SIGNATURE,
)
from bmd_edge.bundle.manifest import INPUTS, FileFacts, Manifest
from bmd_edge.bundle.onnx_header import read_head
from bmd_edge.bundle.strict_json import parse, read_json
from bmd_edge.errors import BundleError
from bmd_edge.system.files import NotRegular, TooLarge, read_file


def read_manifest(raw: bytes) -> Manifest:
    """Parse the bytes of a manifest and check that it describes a bundle; BundleError else."""
    data = read_json(raw, MANIFEST)
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != SCHEMA:  # before the keys are looked at: another schema has other keys
        raise BundleError(f"the bundle has schema {schema!r}, this bmd-edge reads {SCHEMA}: install the matching one")
    manifest = parse(Manifest, data, MANIFEST)
    _check_names(manifest)
    return manifest


def _check_names(manifest: Manifest) -> None:
    if unexpected := sorted(set(manifest.files) - ALLOWED_FILES):  # also refuses "..", absolute paths and folders
        raise BundleError(f"{MANIFEST} lists a file that does not belong in a bundle: {unexpected[0]!r}")
    if missing := sorted(REQUIRED_FILES - set(manifest.files)):
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
    if manifest.knowledge:
        _check_knowledge(manifest.knowledge, manifest)


def _check_knowledge(knowledge: Knowledge, manifest: Manifest) -> None:
    """Of every precision and site; and a network that is not shown to know anything has the reason why it is here."""
    precisions = manifest.models["bmd"].files
    sites = {name: set(found) for name, found in knowledge.precisions.items()}
    if sites != {name: set(manifest.sites) for name in precisions}:
        raise BundleError(f"{MANIFEST}: knowledge does not cover {', '.join(precisions)} at every site")
    if not knowledge.unproven:
        for precision, found in knowledge.precisions.items():
            for site, known in found.items():
                for code, one in known.not_shown():
                    said = f"{site.replace('_', ' ')}, {precision}: {one.sentence()}"
                    raise BundleError(f"{MANIFEST}: a network that knows too little ({code}), without a reason: {said}")


def _check_guard(precision: str, manifest: Manifest) -> None:
    """Judge the figures again: a verdict alone could be edited in, or rest on looser limits or on too few hips."""
    guard = manifest.guard.get(precision, {})
    if set(guard) != set(manifest.sites) or not all(site.passed for site in guard.values()):
        raise BundleError(f"{MANIFEST}: the {precision} model has not kept its error budget")
    for name, site in guard.items():
        if found := broken(replace(site, limits=LIMITS)):
            raise BundleError(f"{MANIFEST}: the {precision} model is outside its error budget: {name}, {found[0]}")


def check_calibration(calibration: CalibrationFile, manifest: Manifest) -> None:
    """Raise BundleError unless the numbers belong to the models of the manifest and are in range."""
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
            raise BundleError(f"{CALIBRATION}: the headline's cuts of {precision} are in the wrong order")


def findings(root: Path, manifest: Manifest) -> Iterator[str]:
    """What is wrong with the files of a bundle and what to do about it, one each; nothing if it is whole.

    What others left in the folder, as file managers do, is deleted; a file that is not what it was is copied again.
    """
    present = {entry.name for entry in os.scandir(root)}
    for name in sorted(present - set(manifest.files) - {MANIFEST, SIGNATURE}):
        yield f"the bundle holds an unexpected entry, {name!r}: delete it"
    for finding in _broken_files(root, manifest, present):
        yield f"{finding}; copy the bundle again from where it was made"


def _broken_files(root: Path, manifest: Manifest, present: Set[str]) -> Iterator[str]:
    if SIGNATURE in present:
        try:
            read_regular(root / SIGNATURE, MAX_MANIFEST_BYTES)
        except BundleError as error:
            yield str(error)
    for name in sorted(manifest.files):
        if name not in present:
            yield f"{name} is missing from the bundle"
            continue
        try:
            raw = read_verified(root / name, manifest.files)
            if name == GOLDEN:
                read_golden(raw)
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
    if prepared is not None and prepared != prepared_inputs(model, manifest):
        yield f"{name} was trained on inputs prepared in another way than {MANIFEST} states"
    if head.inputs != facts.inputs or head.outputs != facts.outputs:
        yield f"the inputs or outputs of {name} are not those of {MANIFEST}"


def prepared_inputs(model: str, manifest: Manifest) -> dict[str, dict[str, Any]]:
    """The inputs of a model as its ONNX files name them."""
    return {name: facts.spec(name).facts() for name, facts in manifest.inputs.items() if INPUTS[name] == model}


def read_regular(
    path: Path, limit_bytes: int, too_large: str = "is larger than any bundle's", *, links: bool = False
) -> bytes:
    """The bytes of a regular file; BundleError else, in the words `too_large` above the limit."""
    try:
        return read_file(path, limit_bytes, links=links)
    except NotRegular:
        raise BundleError(f"{path.name} is not a regular file") from None
    except TooLarge:
        raise BundleError(f"{path.name} {too_large}") from None
    except OSError as error:
        remedy = "check its name" if isinstance(error, FileNotFoundError) else "check its permissions and the disk"
        raise BundleError(f"{path.name} cannot be read ({error.strerror}): {remedy}") from error


def read_verified(path: Path, files: dict[str, FileFacts]) -> bytes:
    """The bytes of a file of the bundle; BundleError unless size and hash are those of the manifest."""
    facts, other_size = files[path.name], "does not have the size the manifest states"
    if facts.bytes > MAX_FILE_BYTES:
        raise BundleError(f"{path.name} is larger than any bundle's")
    raw = read_regular(path, facts.bytes, other_size)
    if len(raw) != facts.bytes:
        raise BundleError(f"{path.name} {other_size}")
    if hashlib.sha256(raw).hexdigest() != facts.sha256:
        raise BundleError(f"{path.name} does not have the hash the manifest states")
    return raw


def read_golden(raw: bytes) -> dict[str, NDArray[np.float32]]:
    """Arrays of golden.npz, name to float32 array; BundleError for anything else, or for too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as zipped:
            if sum(member.file_size for member in zipped.infolist()) > MAX_GOLDEN_BYTES:
                raise BundleError(f"{GOLDEN} is larger than any bundle's")
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            golden = {name: arrays[name] for name in arrays.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:  # ValueError: pickled objects
        raise BundleError(f"{GOLDEN} cannot be read: {error}") from error
    if any(array.dtype != np.float32 for array in golden.values()):
        raise BundleError(f"{GOLDEN} holds something other than float32 arrays")
    return golden
