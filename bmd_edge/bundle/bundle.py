"""A bundle: two networks, their calibration and the facts about them, read only once every byte is verified."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.calibration import CalibrationFile, PrecisionCalibration
from bmd_edge.bundle.layout import (
    CALIBRATION,
    DRIFT,
    GOLDEN,
    INT8_AS_WRITTEN,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    MODEL_FILES,
    SIGNATURE,
)
from bmd_edge.bundle.manifest import Manifest, inputs_of
from bmd_edge.bundle.network_input import InputSpec
from bmd_edge.bundle.signature import check_signature
from bmd_edge.bundle.strict_json import parse, read_json
from bmd_edge.bundle.verify import (
    check_calibration,
    findings,
    read_golden,
    read_manifest,
    read_regular,
    read_verified,
)
from bmd_edge.errors import BundleError
from bmd_edge.system.own_files import mistaken


class Signed(NamedTuple):
    """A bundle whose signature holds: its digest, and the SHA-256 of the file of the public key."""

    digest: str
    key_sha256: str


@dataclass(frozen=True, slots=True)
class VerifiedBundle:
    """A bundle whose every byte was checked; made by `read_bundle`.

    `digest` is the SHA-256 of the manifest's bytes and so names every file of the bundle.
    `calibration` maps precision ("fp32", "int8") to the numbers for that model; `inputs` maps "finder_survey",
    "finder_closeup" and "bmd" to their preprocessing. `signed` is None where no signature was checked.
    """

    root: Path
    manifest: Manifest
    digest: str
    calibration: dict[str, PrecisionCalibration]
    inputs: dict[str, InputSpec]
    signed: Signed | None = None

    def precisions(self, model: str) -> tuple[str, ...]:
        """Precisions the bundle holds for "finder" or "bmd", fp32 first."""
        return tuple(name for name in MODEL_FILES[model] if name in self.manifest.models[model].files)

    @property
    def signature(self) -> str:
        """What is known of its signature: a key of `bmd_edge.report.film_report.SIGNATURES`."""
        if self.signed:
            return "verified"
        return "not_checked" if (self.root / SIGNATURE).is_file() else "unsigned"

    @property
    def int8_on_gpu(self) -> bool:
        """Whether INT8 was judged with TensorRT's numbers too, and kept the error budget."""
        return "int8" in self.precisions("bmd") and INT8_AS_WRITTEN in self.manifest.guard

    def withheld(self, precision: str) -> str | None:
        """Why no estimate of a precision has a T-score, a key of `T_SCORE_REASONS`; None where one may be given."""
        knowledge = self.manifest.knowledge
        return None if knowledge is None or knowledge.shown(precision) else "not_shown"

    def flags(self, maker: str | None) -> tuple[str, ...]:
        """Cautions about a film of this maker: a bundle of one maker's films says nothing of another's."""
        makers = {name.casefold() for name in self.manifest.validity.makers}
        return ("other_maker",) if makers and (maker or "").casefold() not in makers else ()

    def model_path(self, model: str, precision: str = "fp32") -> Path:
        """Path of a model's file; BundleError if the bundle does not hold that precision."""
        files = self.manifest.models[model].files
        if precision not in files:
            held = ", ".join(files)
            raise BundleError(f"the bundle has no {precision} {model} (it has {held}): choose another --precision")
        return self.root / files[precision]

    def model_bytes(self, model: str, precision: str = "fp32") -> bytes:
        """A model's file, hashed again as it is read: what the engine parses is what the manifest names."""
        return read_verified(self.model_path(model, precision), self.manifest.files)

    def golden(self) -> dict[str, NDArray[np.float32]]:
        """Arrays of the self-test: "finder/input/image", "bmd/int8/bmd" and so on."""
        return read_golden(read_verified(self.root / GOLDEN, self.manifest.files))

    def drift(self) -> dict[str, Any]:
        """drift.json: precision -> `calibration.drift.watched_features.to_dict`; empty if the bundle holds none."""
        if DRIFT not in self.manifest.files:
            return {}
        found: dict[str, Any] = read_json(read_verified(self.root / DRIFT, self.manifest.files), DRIFT)
        return found


def read_bundle(
    path: str | os.PathLike[str] | None = None, key: str | os.PathLike[str] | None = None
) -> VerifiedBundle:
    """Read and verify the bundle in folder `path`; None is the one embedded in the package.

    With the file `key`, the public key of an elliptic curve as PEM, only a bundle that its owner signed is opened.

    Raises:
        BundleError: names the first thing that is wrong and what to do about it.
        UsageError, MissingExtra: the key cannot be used, or what checks signatures is not installed.
    """
    root = Path(path) if path is not None else Path(__file__).parents[1] / "data" / "bundle"
    if not (root / MANIFEST).is_file():
        if path is None:
            raise BundleError("this installation holds no bundle (a zipapp never does): give the folder of one")
        if said := mistaken(root, "bundle"):
            raise BundleError(said)
        raise BundleError(f"{str(root)!r}: no bundle here, for {MANIFEST} is missing; `bmd-edge export` writes one")
    raw = read_regular(root / MANIFEST, MAX_MANIFEST_BYTES)
    manifest = read_manifest(raw)
    inputs = inputs_of(manifest)
    for finding in findings(root, manifest):
        raise BundleError(finding)
    numbers = read_json(read_verified(root / CALIBRATION, manifest.files), CALIBRATION)
    calibration = parse(CalibrationFile, numbers, CALIBRATION)
    check_calibration(calibration, manifest)
    digest = hashlib.sha256(raw).hexdigest()
    signed = None if key is None else Signed(digest, check_signature(root, Path(key)))
    return VerifiedBundle(root, manifest, digest, calibration.precisions, inputs, signed)
