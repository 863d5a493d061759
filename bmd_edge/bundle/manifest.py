"""What a bundle's `manifest.json` says, as frozen dataclasses."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bmd_edge.bundle.error_budget import SiteShift
from bmd_edge.bundle.knowledge import Knowledge
from bmd_edge.bundle.network_input import InputSpec
from bmd_edge.errors import BundleError
from bmd_edge.sites import SITES

LANDMARKS = (
    "head_center",
    "neck_center",
    "greater_trochanter",
    "lesser_trochanter",
    "shaft_proximal",
    "shaft_distal",
)
"""The finder's heat maps, in this order; where the neck or the shaft lies is told from the index."""
KINDS = ("intact", "implant", "fracture", "wrong_view", "immature", "not_a_hip")
"""The classes of the finder, in this order; all but the first are refusal codes."""

INPUTS = {"finder_survey": "finder", "finder_closeup": "finder", "bmd": "bmd"}
"""Input -> the network that takes it."""
UNIT = "g/cm2"
PHANTOM = "digital hip phantom"
"""The `training_data` of a bundle that has seen no patient."""

_MOST = {
    "min_peak": 1.0,
    "max_disagreement_mm": 60.0,  # the other hip of the same patient is further away
    "min_intact": 1.0,
    "max_shape_distance": 100.0,
    "flag_embedding_distance": 1000.0,
    "max_embedding_distance": 1000.0,
}
"""Numbers of `Plausibility` lie between 0 and these: beyond, a check would refuse every hip, or none."""
_LEAST_PRECISION = 1e-4
"""Of any direction of a shape or an embedding: an SD of 100 is more than either has, and every hip would be near."""


class TensorSpec(NamedTuple):
    """Shape (None = batch, any number) and NumPy dtype name of one input or output of a network."""

    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Size and SHA-256 (64 hex digits) of one file of the bundle."""

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A network: which file holds which precision, what goes in and out, and the self-test's tolerance.

    `golden_tolerance` is precision -> output -> largest absolute difference allowed, in the unit of the output.
    """

    files: dict[str, str]
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    golden_tolerance: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class InputFacts:
    """One preprocessing as an `InputSpec` has it, and its fingerprint when the model was made."""

    size_px: int
    spacing_mm: float
    low_percentile: float
    high_percentile: float
    fingerprint: str
    disc_share: float = 0.0

    def spec(self, name: str) -> InputSpec:
        """The preprocessing itself; ValueError if no image can be made so."""
        return InputSpec(
            name, self.size_px, self.spacing_mm, self.low_percentile, self.high_percentile, self.disc_share
        )


@dataclass(frozen=True, slots=True)
class Plausibility:
    """What a found hip must satisfy; the numbers are measured on phantom films (`export.bundle.finder_limits`).

    `min_peak` and those of intact are probabilities; distances without a unit are Mahalanobis distances. A
    shape is the landmarks relative to the head center in units of head center to lesser trochanter, 10 numbers
    (`bmd_edge.hips.landmarks.shape_of`); an embedding is as long as the finder's. A precision is an inverse
    covariance, symmetric and positive definite. No check can be switched off.

    Raises:
        BundleError: a number is out of its range, or a mean and its precision do not fit.
    """

    min_peak: float
    max_disagreement_mm: float
    min_intact: float
    shape_mean: tuple[float, ...]
    shape_precision: tuple[tuple[float, ...], ...]
    max_shape_distance: float
    embedding_mean: tuple[float, ...]
    embedding_precision: tuple[tuple[float, ...], ...]
    flag_embedding_distance: float
    max_embedding_distance: float
    flag_intact: float = 0.0  # bundles made before it was measured flag no hip for it
    min_survey_intact: float = 0.0  # nor refuse one for this

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 0 < getattr(self, name) < most:
                raise BundleError(f"plausibility.{name} is {getattr(self, name):g}, not between 0 and {most:g}")
        if self.flag_intact and not self.min_intact <= self.flag_intact < 1:
            raise BundleError(f"plausibility.flag_intact is {self.flag_intact:g}, not between min_intact and 1")
        if not 0 <= self.min_survey_intact < 1:
            raise BundleError(f"plausibility.min_survey_intact is {self.min_survey_intact:g}, not between 0 and 1")
        if self.flag_embedding_distance > self.max_embedding_distance:
            raise BundleError("plausibility.flag_embedding_distance is above max_embedding_distance")
        if len(self.shape_mean) != 2 * (len(LANDMARKS) - 1):
            raise BundleError("plausibility.shape_mean is no shape: two numbers for each landmark but the head center")
        for name in ("shape", "embedding"):
            count, precision = len(getattr(self, f"{name}_mean")), getattr(self, f"{name}_precision")
            if not count or [len(row) for row in precision] != [count] * count:
                raise BundleError(f"plausibility.{name}_precision is no square as long as {name}_mean")
            matrix = np.array(precision)
            # Symmetric to the rounding of its numbers.
            if not np.allclose(matrix, matrix.T, atol=1e-3) or np.linalg.eigvalsh(matrix).min() < _LEAST_PRECISION:
                raise BundleError(f"plausibility.{name}_precision is no inverse covariance: it measures no distance")


@dataclass(frozen=True, slots=True)
class Validity:
    """On what the numbers rest; `notice` is shown with every output.

    `makers` is empty where the films that made intervals and cuts are of several makers, else the spellings of the only
    one, as headers have it; one that nobody stated is "not stated". Those of an adapted bundle name the maker of the
    films that it got to know; empty where these state none.
    """

    training_data: str
    notice: str
    makers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CalibrationFilms:
    """The films behind ranges, error budget and intervals: counts, origin and spread of BMD (g/cm2).

    `films_sha256` is the SHA-256 over the sorted SHA-256 of their image files; `makers` counts hips.
    """

    table_sha256: str
    films_sha256: str
    ranges_hips: int
    ranges_subjects: int
    guard_hips: int
    guard_subjects: int
    makers: dict[str, int]
    bmd_mean_gcm2: dict[str, float]
    bmd_sd_gcm2: dict[str, float]


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the INT8 model was made: the method of its ranges, and which of its `layers` layers had to stay fp32."""

    range_method: str
    layers: int
    layers_fp32: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the bundle comes from: date, command, versions of the tools, facts of the training runs, films, INT8."""

    created: str
    command: str
    versions: dict[str, str]
    runs: dict[str, dict[str, str]]
    calibration_films: CalibrationFilms | None
    quantization: Quantization | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything `manifest.json` says; unknown or missing keys are refused.

    `roi_mm` is the side of the BMD network's input; `guard` is precision -> site -> figures. `knowledge` is None in a
    bundle that was made before it was measured.
    """

    schema: int
    version: str
    files: dict[str, FileFacts]
    models: dict[str, ModelFacts]
    inputs: dict[str, InputFacts]
    roi_mm: float
    landmarks: tuple[str, ...]
    kinds: tuple[str, ...]
    plausibility: Plausibility
    sites: tuple[str, ...]
    unit: str
    validity: Validity
    provenance: Provenance
    guard: dict[str, dict[str, SiteShift]]
    knowledge: Knowledge | None = None


def inputs_of(manifest: Manifest) -> dict[str, InputSpec]:
    """The inputs of a bundle's networks by name, a key of `INPUTS`.

    Any size and spacing are taken that the networks take too. What the answers of the networks mean is fixed: their
    landmarks, kinds, sites and unit are those of this version.

    Raises:
        BundleError: this version cannot use the networks, or the manifest contradicts itself.
    """
    for name, known in {"landmarks": LANDMARKS, "kinds": KINDS, "sites": SITES, "unit": UNIT}.items():
        if (said := getattr(manifest, name)) != known:
            raise BundleError(f"the bundle's {name} are {said}, this bmd-edge knows {known}: install the matching one")
    inputs = {name: _spec(name, facts) for name, facts in manifest.inputs.items()}
    if not math.isclose(manifest.roi_mm, inputs["bmd"].side_mm):
        raise BundleError(f"the bundle's roi_mm is {manifest.roi_mm:g}, its input bmd is {inputs['bmd'].side_mm:g} mm")
    for name, model in INPUTS.items():
        size = inputs[name].size_px
        if manifest.models[model].inputs != {"image": TensorSpec((None, 1, size, size), "float32")}:
            raise BundleError(f"the bundle's input {name} has {size} x {size} pixels, its {model} network takes others")
    _check_outputs(manifest)
    return inputs


def _spec(name: str, facts: InputFacts) -> InputSpec:
    try:
        spec = facts.spec(name)
    except ValueError as error:
        raise BundleError(f"the bundle's input {error}") from error
    if spec.fingerprint() != facts.fingerprint:
        raise BundleError(f"this bmd-edge prepares {name} in another way than the networks were trained on: update it")
    return spec


def _check_outputs(manifest: Manifest) -> None:
    """BundleError unless the networks have the outputs that are read, one for each landmark, kind and site."""
    embedding = len(manifest.plausibility.embedding_mean)
    finder = {"heatmaps": (len(LANDMARKS), 4), "kind": (len(KINDS), 2), "embedding": (embedding, 2)}
    for model, wanted in {"finder": finder, "bmd": {"bmd": (len(SITES), 2), "spread": (len(SITES), 2)}}.items():
        for name, (count, rank) in wanted.items():
            shape = manifest.models[model].outputs.get(name, TensorSpec((), "")).shape
            if shape[:2] != (None, count) or len(shape) != rank:
                raise BundleError(f"the bundle's {model} network has no output {name} of {count}, which is read")
