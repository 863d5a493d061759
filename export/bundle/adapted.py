"""The bundle of an adapted network: its interval, and how far INT8 moves the films that it was adapted to."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.calibration import SiteCalibration
from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.bundle.network_input import InputSpec
from bmd_edge.errors import BundleError
from bmd_edge.sites import SITES
from export.int8.choose import answers
from trainer.adapt.record import TABLE, Adapted
from trainer.images.roi_files import read_rois
from trainer.images.rows import read_rows
from trainer.methods.supervised import in_use


def never_narrower(calibration: Mapping[str, SiteCalibration], adapted: Adapted | None) -> dict[str, SiteCalibration]:
    """The sites' intervals, widened where an adapted network's would be narrower than its parent's."""
    least = adapted.least_scale if adapted else {}
    return {site: replace(one, scale=max(one.scale, least.get(site, 0.0))) for site, one in calibration.items()}


def check_int8(adapted: Adapted, files: Mapping[str, Path], spec: InputSpec, say: Callable[[str], None]) -> None:
    """Hold INT8 against fp32 on the films that the network was adapted to, whose BMD nobody knows.

    Raises:
        BundleError: the estimates move by more than the error budget allows, on average or for one hip in a hundred.
        TableError: the films are no longer where they were cut.
    """
    for run in adapted.runs:
        rows = read_rows(run / TABLE, "roi", ["unlabelled"])
        images = [batch.numpy() for batch in in_use(read_rois(rows, labelled=False), spec, channels_last=False)]
        moved = answers(files["int8"], images).bmd.astype(np.float64) - answers(files["fp32"], images).bmd
        broken = list(_broken(moved))
        if broken:
            raise BundleError(
                f"INT8 refused, on the films that the network was adapted to it is outside its error budget:"
                f" {'; '.join(broken)}. Make the bundle without it, --no-int8"
            )
        p99 = np.percentile(np.abs(moved), 99)
        say(f"int8: moves {len(rows)} hips that the network was adapted to by {p99:.4f} g/cm2 at most in 99 of 100")


def _broken(moved: NDArray[np.float64]) -> list[str]:
    """Limits that shifts (n, sites) in g/cm2 do not keep."""
    found = []
    for site, shift in zip(SITES, moved.T, strict=True):
        mean, p99 = shift.mean(), np.percentile(np.abs(shift), 99)
        if not abs(mean) <= LIMITS.mean_shift_gcm2:
            found.append(f"{site}: mean shift {mean:+.4f} g/cm2, allowed {LIMITS.mean_shift_gcm2}")
        if not p99 <= LIMITS.p99_shift_gcm2:
            found.append(f"{site}: 99th percentile of the shift {p99:.4f} g/cm2, allowed {LIMITS.p99_shift_gcm2}")
    return found
