"""A recalibration: a clinic's own line toward DEXA on the numbers of one bundle, made by `bmd-edge calibrate`.

Its file is bound to the bundle by the bundle's digest. The bundle stays as it is; leaving the file out undoes all.
"""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.calibration import HeadlineCuts, PrecisionCalibration, SiteCalibration
from bmd_edge.bundle.strict_json import parse_version
from bmd_edge.bundle.verify import read_regular
from bmd_edge.errors import BundleError
from bmd_edge.system.own_files import mistaken

SCHEMA = 2
SLOPE_BOUNDS = (0.7, 1.4)
MAX_SHIFT_GCM2 = 0.15
MIDDLE_GCM2 = 0.75
"""Bounds of a recalibration. Slope: twice the step between any two DXA scales, which is 0.86 to 1.16 at the neck. Shift
at 0.75 g/cm2, the middle of the adults to expect: Hologic and Lunar necks differ by 0.16 there, so a wrong scale lies
outside. What is out of bounds is a wrong table, scale or side, not a recalibration."""

NO_HEADLINE = (
    "No headline: the films of this recalibration hold too few subjects with or without low BMD to set its cuts."
)
"""Said of a recalibration without cuts where the bundle has some: its own were set for other estimates."""

_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class RecalibrationLine:
    """Line of one site: DEXA = `intercept_gcm2` + `slope` x network's BMD, interval +- `scale` x `slope` x spread."""

    slope: float
    intercept_gcm2: float
    scale: float
    coverage: float
    hips: int
    subjects: int

    @property
    def shift_gcm2(self) -> float:
        """What the line adds to an estimate of 0.75 g/cm2."""
        return self.intercept_gcm2 + (self.slope - 1) * MIDDLE_GCM2

    @property
    def inside_bounds(self) -> bool:
        """Whether it is a line that can be believed."""
        return SLOPE_BOUNDS[0] <= self.slope <= SLOPE_BOUNDS[1] and abs(self.shift_gcm2) <= MAX_SHIFT_GCM2


@dataclass(frozen=True, slots=True)
class RecalibrationFile:
    """What the file says: precision -> site -> line; `scales` counts hips by the DXA scale of the table.

    `operating_points` maps precision to the headline's cuts on corrected estimates, None where the films were too few.
    """

    schema: int
    bundle_digest: str
    table_sha256: str
    scales: dict[str, int]
    precisions: dict[str, dict[str, RecalibrationLine]]
    operating_points: dict[str, HeadlineCuts | None]


@dataclass(frozen=True, slots=True)
class Recalibration:
    """A recalibration that fits a bundle; `digest` is the SHA-256 of its file's bytes."""

    file: RecalibrationFile
    digest: str

    def applied_to(self, calibration: PrecisionCalibration, precision: str) -> PrecisionCalibration:
        """The bundle's calibration with the intervals and the headline's cuts of the recalibration.

        The bundle's own cuts do not stay: 90 % sensitivity and specificity were promised for uncorrected estimates.
        """
        sites = {
            site: SiteCalibration(line.scale, line.coverage, line.hips)
            for site, line in self.file.precisions[precision].items()
        }
        return replace(calibration, sites=sites, operating_points=self.file.operating_points[precision])

    def corrected(
        self, bmd_gcm2: NDArray[np.float32], spread_gcm2: NDArray[np.float32], precision: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """BMD and spread of one hip, (..., sites) in the order of the bundle, each on the line of its site."""
        lines = self.file.precisions[precision].values()
        slope = np.array([line.slope for line in lines])
        intercept = np.array([line.intercept_gcm2 for line in lines])
        return intercept + slope * bmd_gcm2, slope * spread_gcm2


def open_recalibration(path: str | os.PathLike[str], bundle: VerifiedBundle) -> Recalibration:
    """Read a recalibration of this bundle. BundleError if it was made for another, or breaks its contract."""
    name = Path(path).name
    if said := mistaken(Path(path), "recalibration"):
        raise BundleError(said)
    raw = read_regular(Path(path), _MAX_BYTES, "is larger than any recalibration", links=True)
    anew = "is no recalibration of this version: make it anew with `bmd-edge calibrate`"
    found = parse_version(RecalibrationFile, raw, name, SCHEMA, anew)
    if found.bundle_digest != bundle.digest:
        raise BundleError(f"{name} was made for another bundle: run `bmd-edge calibrate` with this one")
    for precision, lines in found.precisions.items():
        if tuple(lines) != bundle.manifest.sites:
            raise BundleError(f"{name}: the {precision} lines do not cover the sites of the bundle")
        for site, line in lines.items():
            if not (line.inside_bounds and line.scale > 0 and 0 < line.coverage < 1):
                raise BundleError(f"{name}: the numbers of {precision} {site} are out of bounds")
    if missing := sorted(set(bundle.calibration) - (set(found.precisions) & set(found.operating_points))):
        raise BundleError(f"{name} holds no numbers for {missing[0]}: run `bmd-edge calibrate` again")
    for precision, points in found.operating_points.items():
        if points is not None and points.low_suspected_t > points.refer_for_dxa_t:
            raise BundleError(f"{name}: the headline's cuts of {precision} are in the wrong order")
    return Recalibration(found, hashlib.sha256(raw).hexdigest())
