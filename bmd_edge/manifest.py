"""What a bundle's `manifest.json` says, as frozen dataclasses, and the strict reader of JSON that makes them.

Unknown keys, missing keys, keys written twice and values of another type are refused, naming the place.
"""

import json
import math
import types
from dataclasses import dataclass, is_dataclass
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from bmd_edge.errors import BundleError
from bmd_edge.guard import GuardSite

T = TypeVar("T")


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
    """One preprocessing as `bmd_edge.preprocess.InputSpec` has it, and its fingerprint when the model was made."""

    size_px: int
    spacing_mm: float
    low_percentile: float
    high_percentile: float
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Validity:
    """On what the numbers rest; `notice` is shown with every output."""

    training_data: str
    notice: str


@dataclass(frozen=True, slots=True)
class CalibrationFilms:
    """The films behind ranges, guard and intervals: counts, origin and spread of BMD (g/cm2).

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

    `plausibility` holds the numbers of `bmd_edge.roi.Plausibility`; `guard` is precision -> site -> figures.
    """

    schema: int
    version: str
    files: dict[str, FileFacts]
    models: dict[str, ModelFacts]
    inputs: dict[str, InputFacts]
    roi_mm: float
    landmarks: tuple[str, ...]
    kinds: tuple[str, ...]
    plausibility: dict[str, Any]
    sites: tuple[str, ...]
    unit: str
    validity: Validity
    provenance: Provenance
    guard: dict[str, dict[str, GuardSite]]


def parse(kind: type[T], value: Any, where: str) -> T:
    """Turn parsed JSON into a dataclass (or NamedTuple), checking every key and type; BundleError names the place."""
    result: T = _parse(kind, value, where)
    return result


def _parse(kind: Any, value: Any, where: str) -> Any:
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is types.UnionType:  # X | None
        return None if value is None else _parse(args[0], value, where)
    if is_dataclass(kind) or hasattr(kind, "_fields"):
        return _parse_fields(kind, value, where)
    if origin is dict and isinstance(value, dict):
        return {key: _parse(args[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is tuple and isinstance(value, list):
        return tuple(_parse(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if kind in (str, bool) and isinstance(value, kind):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BundleError(f"{where}: {type(value).__name__} where {getattr(kind, '__name__', kind)} belongs")


def _parse_fields(kind: Any, value: Any, where: str) -> Any:
    hints = get_type_hints(kind)
    if not isinstance(value, dict):
        raise BundleError(f"{where}: {type(value).__name__} where an object belongs")
    if unknown := sorted(set(value) - set(hints)):
        raise BundleError(f"{where}: unknown key {unknown[0]!r}; the bundle may need a newer bmd-edge")
    if missing := sorted(set(hints) - set(value)):
        raise BundleError(f"{where}: key {missing[0]!r} is missing")
    return kind(**{name: _parse(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})


def read_json(raw: bytes, name: str) -> Any:
    """Parse UTF-8 JSON; BundleError for anything odd: a key written twice, NaN, infinity, text that is no JSON."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise BundleError(f"{name} holds a key twice")
        return dict(pairs)

    def float_constant(text: str) -> float:
        raise BundleError(f"{name} holds {text}, which is no number")

    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=unique, parse_constant=float_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not valid JSON: {error}") from error
