"""The films an export is calibrated with: ROI images of the split `calibrate`, halved by subject."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.errors import TableError
from bmd_edge.manifest import CalibrationFilms
from bmd_edge.table import SITES, HipRow, read_table
from trainer.data import read_rois, roi_image

SPLIT = "calibrate"
MIN_SUBJECTS = 20
"""In each half; an interval at 90 % needs 9 hips to exist at all."""


def halves(table: Path) -> tuple[list[HipRow], list[HipRow]]:
    """Hips for the ranges and hips for guard and interval; no subject is in both, and the halves are always the same.

    Only ROI images (`x_image` "roi") with DEXA of every site count. Raises TableError with too few subjects.
    """
    rows = [row for row in read_table(table) if row.split == SPLIT and row.extra.get("x_image") == "roi"]
    rows = [row for row in rows if all(row.bmd_gcm2[site] is not None for site in SITES)]
    subjects = sorted({row.subject for row in rows}, key=lambda name: hashlib.sha256(name.encode()).digest())
    if len(subjects) < 2 * MIN_SUBJECTS:
        raise TableError(
            f"{table.name}: {len(subjects)} subjects of the split {SPLIT} have ROI images and DEXA of every site;"
            f" {2 * MIN_SUBJECTS} or more are needed"
        )
    first = set(subjects[: len(subjects) // 2])
    return [row for row in rows if row.subject in first], [row for row in rows if row.subject not in first]


def check_apart(run: Path, rows: Sequence[HipRow]) -> None:
    """Raise TableError if a network learned from a subject that is to judge it.

    The films that chose its checkpoint may only be shown to it under that name, as split `val`.
    """
    learned = json.loads((run / "split.json").read_text(encoding="utf-8"))
    known = {subject: split for split, subjects in learned.items() for subject in subjects}
    for row in rows:
        if row.subject in known and not known[row.subject] == row.split == "val":
            raise TableError(
                f"subject {row.subject}: of the split {row.split} here, but the run {run.name} knows it from"
                f" {known[row.subject]}; films that judge a network must be of other subjects"
            )


def batches(rows: Sequence[HipRow], size: int = 8) -> Iterator[NDArray[np.float32]]:
    """The rows' images in order as the runtime shows them to the BMD network, (n <= size, 1, 112, 112) at a time.

    Raises TableError if a stored image is missing, broken or no ROI.
    """
    for start in range(0, len(rows), size):
        yield np.stack([roi_image(pixels) for pixels in read_rois(rows[start : start + size]).pixels])


def dexa(rows: Sequence[HipRow]) -> NDArray[np.float64]:
    """Labels of the rows, (n, sites) g/cm2."""
    return np.array([[row.bmd_gcm2[site] for site in SITES] for row in rows], np.float64)


def facts(table: Path, ranges: Sequence[HipRow], guard: Sequence[HipRow]) -> CalibrationFilms:
    """What the manifest says of these films."""
    labels = dexa([*ranges, *guard])
    makers = [row.extra.get("x_maker_style") or row.maker or "not stated" for row in [*ranges, *guard]]
    return CalibrationFilms(
        table_sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
        ranges_hips=len(ranges),
        ranges_subjects=len({row.subject for row in ranges}),
        guard_hips=len(guard),
        guard_subjects=len({row.subject for row in guard}),
        makers={maker: makers.count(maker) for maker in sorted(set(makers))},
        bmd_mean_gcm2=dict(zip(SITES, labels.mean(axis=0).round(4).tolist(), strict=True)),
        bmd_sd_gcm2=dict(zip(SITES, labels.std(axis=0, ddof=1).round(4).tolist(), strict=True)),
    )
