"""Pixels to network input: the one preprocessing of the finder and of the BMD network.

Training, calibration, export and the runtime all call `normalize`; its parameters and their fingerprint travel in the
bundle, so an input that was prepared otherwise is noticed. The runtime uses the inputs of its bundle (`Bundle.inputs`);
the three below are those that this version trains networks for. This file knows nothing of hips.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Raised whenever `normalize` changes its numbers."""

MIN_SIZE_PX, MAX_SIZE_PX = 16, 2048
"""Pixels a side: `gray_statistics` halves an image four times, and a larger one asks for gigabytes."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """How a square region becomes the input of a network.

    `low_percentile` and `high_percentile` of the finite pixels become 0 and 1; values beyond are clipped. With a
    `disc_share` they are those of a disc in the middle, this share of the side wide, without constant areas: a label,
    a beam's edge or padding beside the hip moves nothing. 0 takes the whole square.

    Raises:
        ValueError: no image can be made so.
    """

    name: str
    size_px: int
    spacing_mm: float
    low_percentile: float
    high_percentile: float
    disc_share: float = 0.0

    def __post_init__(self) -> None:
        if not MIN_SIZE_PX <= self.size_px <= MAX_SIZE_PX:
            raise ValueError(f"{self.name} has {self.size_px} pixels a side, not {MIN_SIZE_PX} to {MAX_SIZE_PX}")
        if not 0 < self.spacing_mm < math.inf:
            raise ValueError(f"{self.name} has pixels of {self.spacing_mm:g} mm, not above 0")
        if not 0 <= self.low_percentile < self.high_percentile <= 100:
            raise ValueError(f"{self.name} has percentiles {self.low_percentile:g} and {self.high_percentile:g}")
        if not 0 <= self.disc_share <= 1:
            raise ValueError(f"{self.name} has a disc of {self.disc_share:g} of its side, not 0 to 1")

    @property
    def side_mm(self) -> float:
        """Side of the square, mm at the hip."""
        return self.size_px * self.spacing_mm

    def facts(self) -> dict[str, Any]:
        """The parameters; without a disc as they were before there was one, so that old fingerprints stay."""
        return {key: value for key, value in asdict(self).items() if key != "disc_share" or value > 0}

    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 over the parameters and the version of the code."""
        facts = json.dumps({"version": VERSION, **self.facts()}, sort_keys=True)
        return hashlib.sha256(facts.encode()).hexdigest()[:16]


FINDER_SURVEY = InputSpec("finder_survey", 256, 1.8, 1.0, 99.0)
"""The whole film: 460.8 mm, more than the largest detector shows at the hip."""

FINDER_CLOSEUP = InputSpec("finder_closeup", 256, 0.9, 1.0, 99.0)
"""One hip with its surroundings: 230.4 mm, mirrored to a right hip."""

BMD = InputSpec("bmd", 112, 1.3, 1.0, 99.0)
"""The region of interest: 145.6 mm, mirrored to a right hip; pixels half as wide cost four times as much."""


def normalize(region: NDArray[np.float32], spec: InputSpec) -> NDArray[np.float32]:
    """Scale one region to the range the networks were trained on.

    Args:
        region: (size_px, size_px) float32, bone bright, any range; NaN outside the film.
        spec: the input it is made for.

    Returns:
        (1, size_px, size_px) float32, 0..1, bone bright; pixels outside the film are 0. A region without contrast or
        without a finite pixel gives zeros.

    Raises:
        ValueError: the region has another shape than the spec asks for.
    """
    if region.shape != (spec.size_px, spec.size_px):
        raise ValueError(f"{spec.name} takes {spec.size_px} x {spec.size_px} pixels, not {region.shape}")
    inside = np.isfinite(region)
    scaled = np.zeros((1, *region.shape), np.float32)
    if not inside.any():
        return scaled
    counted = _counted(region, inside, spec.disc_share) if spec.disc_share > 0 else region[inside]
    low, high = np.percentile(counted, (spec.low_percentile, spec.high_percentile))
    if high - low <= 1e-6:
        return scaled
    np.clip((region - np.float32(low)) / np.float32(high - low), 0, 1, out=scaled[0], where=inside)
    return scaled


_FLAT = 1e-4
"""Neighbors that differ by less than this share of the square's range are equal but for rounding."""

_FEWEST = 0.1
"""Share of the disc below which what is not constant says too little of the hip."""


def _counted(region: NDArray[np.float32], inside: NDArray[np.bool_], share: float) -> NDArray[np.float32]:
    """The finite pixels whose levels count: in the disc and outside constant areas, if there are enough of them."""
    disc = _disc(len(region), share) & inside
    if not disc.any():
        return region[inside]
    varied = disc & ~constant_areas(region)
    return region[varied if varied.sum() >= _FEWEST * disc.sum() else disc]


@cache
def _disc(size: int, share: float) -> NDArray[np.bool_]:
    steps = np.arange(size) + 0.5 - size / 2
    near: NDArray[np.bool_] = np.hypot(steps, steps[:, None]) <= share * size / 2
    return near


def constant_areas(region: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of areas of one level (collimated, written over, cut off by a display's window), and their neighbors,
    which mix it with what lies beside. NaN is no level.
    """
    smallest = _FLAT * max(float(np.nanmax(region) - np.nanmin(region)), 1e-6)
    same = _of_nine(np.maximum, region) - _of_nine(np.minimum, region) <= smallest
    for _ in range(2):  # from the middles of 3 x 3 pixels of one level to all nine, and on to their neighbors
        same = _of_nine(np.logical_or, np.pad(same, 1))
    constant: NDArray[np.bool_] = np.pad(same, 1)
    return constant


def _of_nine(combine: np.ufunc, image: NDArray[Any]) -> NDArray[Any]:
    """All 3 x 3 neighbors combined: (h, w) -> (h - 2, w - 2)."""
    rows = combine(combine(image[:-2], image[1:-1]), image[2:])
    combined: NDArray[Any] = combine(combine(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return combined
