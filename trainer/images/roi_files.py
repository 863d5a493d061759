"""Stored regions: their size, how a hip becomes one, how they are read, and how the network sees them.

Pixels stay uint16 in memory: 2,000 regions take 260 MB. The network's image is made of block means and by
`bmd_edge.bundle.network_input.normalize`: training sees what the runtime will show.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.network_input import BMD, InputSpec, normalize
from bmd_edge.errors import TableError
from bmd_edge.film.area_average import area_average
from bmd_edge.film.film import Film
from bmd_edge.hips.region import Hip
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import hologic_gcm2
from bmd_edge.table.film_table import HipRow
from trainer.images.gray_png import floats, read_png
from trainer.images.rows import number

ROI_PX, ROI_SPACING_MM = 256, 0.65
"""A stored region: 166.4 mm, so with room around the network's for shifts and scale."""


@dataclass(frozen=True, slots=True)
class Rois:
    """Stored regions of hips.

    pixels (n, 256, 256) uint16 at `ROI_SPACING_MM`, bone bright, canonical side, the hip in the middle, 0 only outside
    the film; labels_gcm2 (n, 2) float32 in the order of `SITES`, NaN where unlabelled; rows as in the film table.
    """

    pixels: NDArray[np.uint16]
    labels_gcm2: NDArray[np.float32]
    rows: tuple[HipRow, ...]


def read_rois(rows: Iterable[HipRow], labelled: bool = True) -> Rois:
    """Load stored regions.

    Raises:
        TableError: a film is missing or broken, or a row that has to be `labelled` has no label at all.
    """
    rows = tuple(rows)
    labels = np.array([[_label(row, site) for site in SITES] for row in rows], np.float32)
    for row, label in zip(rows, labels, strict=True):
        if labelled and not np.isfinite(label).any():
            raise TableError(f"film {row.film}: no BMD; a row of the split {row.split} needs one")
    pixels = np.empty((len(rows), ROI_PX, ROI_PX), np.uint16)
    for place, row in zip(pixels, rows, strict=True):
        one, spacing_mm = read_png(row), number(row, "x_spacing_mm")
        if one.shape != place.shape or abs(spacing_mm - ROI_SPACING_MM) > 1e-6:
            raise TableError(
                f"film {row.film}: a stored region has {ROI_PX} x {ROI_PX} pixels of {ROI_SPACING_MM} mm, this one has"
                f" {one.shape[0]} x {one.shape[1]} of {spacing_mm:g} mm"
            )
        place[:] = one
    return Rois(pixels, labels, rows)


def roi_image(pixels: NDArray[np.uint16], spec: InputSpec = BMD) -> NDArray[np.float32]:
    """One stored region (256, 256) as the runtime would show it to the network: (1, size, size) float32, 0..1."""
    side = spec.side_mm / ROI_SPACING_MM
    edge = (ROI_PX - side) / 2
    return normalize(area_average(floats(pixels), edge, edge, side, side, (spec.size_px, spec.size_px)), spec)


def _label(row: HipRow, site: str) -> float:
    value = hologic_gcm2(row)[site]
    return np.nan if value is None else value


def stored_roi(film: Film, hip: Hip) -> NDArray[np.float32]:
    """A hip's region as a cohort stores it: (256, 256) float32, 0..1, 0.65 mm, mirrored to a right hip, NaN outside."""
    left, top, width, height = hip.box_px
    more = ROI_PX * ROI_SPACING_MM / BMD.side_mm
    box = (left - (more - 1) / 2 * width, top - (more - 1) / 2 * height, more * width, more * height)
    region = film.region(*box, shape=(ROI_PX, ROI_PX))
    return region[:, ::-1] if hip.side == "L" else region
