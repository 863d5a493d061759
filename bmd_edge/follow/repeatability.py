"""How far estimates of one unchanged hip differ: the file of `bmd-edge precision`, or the figure of the phantom.

Densitometry calls it the precision error: the root mean square of each hip's SD over repeated films, and 2.77 times it
the least significant change (Gluer et al., Osteoporos Int 1995;5:262-270; ISCD official positions). The file changes no
estimate and no UID.
"""

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bmd_edge.bundle.strict_json import parse_version
from bmd_edge.bundle.verify import read_regular
from bmd_edge.errors import BundleError
from bmd_edge.sites import SITES
from bmd_edge.system.own_files import mistaken

SCHEMA = 1
MIN_DEGREES = 30
"""Degrees of freedom from which on a precision error is dependable (ISCD): 30 hips twice, or 15 three times."""
SOURCES = ("clinic", "phantom")
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class LongitudinalSlope:
    """Estimated change over true change, with its 95 % interval; below 1 estimates understate a loss."""

    slope: float
    low: float
    high: float
    subjects: int


@dataclass(frozen=True, slots=True)
class SiteRepeatability:
    """Of one site, in g/cm2: RMS-SD of repeated films with its upper 95 % limit, RMS-CV (a share), 2.77 times both SDs.

    `slope` is None where no true changes were known.
    """

    rms_sd_gcm2: float
    rms_sd_high_gcm2: float
    rms_cv: float
    lsc_gcm2: float
    lsc_high_gcm2: float
    degrees_of_freedom: int
    hips: int
    films: int
    slope: LongitudinalSlope | None


@dataclass(frozen=True, slots=True)
class BetweenUnits:
    """Hips filmed by two X-ray units within the short term: how far the second reads above the first, with 95 %.

    The interval is empty where only one hip was filmed by both.
    """

    units: tuple[str, ...]
    hips: int
    difference_gcm2: dict[str, float]
    low_gcm2: dict[str, float]
    high_gcm2: dict[str, float]


@dataclass(frozen=True, slots=True)
class RepeatabilityFile:
    """What the file says. `source` is one of `SOURCES`; `taken_under` counts films by why they were taken; `units` are
    those of the repeated films by maker and model, none of a phantom.

    `recalibration` is the SHA-256 of the recalibration that the films were read with. `precisions` maps precision
    to site to figures; `between_units` is told apart and is in none of them.
    """

    schema: int
    source: str
    bundle_digest: str
    recalibration: str | None
    table_sha256: str | None
    taken_under: dict[str, int]
    units: tuple[str, ...]
    precisions: dict[str, dict[str, SiteRepeatability]]
    between_units: dict[str, tuple[BetweenUnits, ...]]


def open_repeatability(path: str | os.PathLike[str]) -> RepeatabilityFile:
    """Read a file of `bmd-edge precision`. BundleError if it breaks its contract or is of another version."""
    if said := mistaken(Path(path), "repeatability"):
        raise BundleError(said)
    return _checked(read_regular(Path(path), _MAX_BYTES, "is larger than any such file", links=True), Path(path).name)


def phantoms() -> RepeatabilityFile:
    """The figure of the embedded bundle on films of the phantom: synthetic, and for no other bundle."""
    name = "repeatability.json"
    return _checked(files("bmd_edge").joinpath("data", name).read_bytes(), name)


def _checked(raw: bytes, name: str) -> RepeatabilityFile:
    anew = "is no repeatability of this version: make it anew with `bmd-edge precision`"
    found = parse_version(RepeatabilityFile, raw, name, SCHEMA, anew)
    if found.source not in SOURCES:
        raise BundleError(f"{name}: the source is neither {' nor '.join(SOURCES)}")
    for units in (one for some in found.between_units.values() for one in some):
        if len(units.units) != 2 or tuple(units.difference_gcm2) != SITES:
            raise BundleError(f"{name}: a difference between units is not of two units and both sites")
    for precision, sites in found.precisions.items():
        if tuple(sites) != SITES:
            raise BundleError(f"{name}: the {precision} figures do not cover both sites")
        for site, one in sites.items():
            slope = one.slope
            sound = 0 < one.rms_sd_gcm2 <= one.rms_sd_high_gcm2 and one.degrees_of_freedom >= MIN_DEGREES
            if not sound or (slope and not 0 < slope.low <= slope.slope <= slope.high):
                raise BundleError(f"{name}: the numbers of {precision} {site} are out of bounds")
    return found
