"""The films an export is calibrated with: ROI images of the split `calibrate`, halved by subject."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmd_edge.bundle.manifest import CalibrationFilms
from bmd_edge.bundle.network_input import BMD, InputSpec
from bmd_edge.cli.minutes import Minutes
from bmd_edge.errors import TableError, UsageError
from bmd_edge.film.film import short_id
from bmd_edge.measure.t_score import t_score_reason
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import hologic_gcm2
from bmd_edge.table.film_table import HipRow, read_table
from bmd_edge.table.names import subject_key
from export.int8.shift_in_gcm2 import JudgingHips
from trainer.images.cut_rois import HEADER_MAKER, left_out_said, roi_table
from trainer.images.roi_files import read_rois, roi_image

SPLIT = "calibrate"
MIN_SUBJECTS = 20
"""In each half; an interval at 90 % needs 9 hips to exist at all."""

WIDE = "wide"
"""The phantom's population, and its style, that are drawn to learn from: far stranger than people and their films."""

MANY_MAKERS = {"random", WIDE}
"""The phantom's styles whose films each have a processing of their own: not one maker."""


def table_of_rois(table: Path, progress: Callable[[str], None]) -> Path:
    """The table itself if it holds ROI images; for DICOM films that of the ROIs that the embedded finder cuts."""
    rois, left_out = roi_table(table, Minutes("hips found", progress))
    if left_out:
        progress(f"{table.name}: {left_out_said(left_out)}")
    return rois


def halves(table: Path) -> tuple[list[HipRow], list[HipRow]]:
    """Hips for the ranges, and hips that judge; no subject is in both, and the halves are always the same.

    Only ROI images (`x_image` "roi") with DEXA of every site count. The error budget gets half of them or more.

    Raises:
        TableError: too few subjects, or a film that is also in another split.
    """
    everything = [row for row in read_table(table) if row.extra.get("x_image") == "roi"]
    rows = [row for row in everything if row.split == SPLIT and all(row.bmd_gcm2[site] is not None for site in SITES)]
    subjects = sorted({row.subject for row in rows}, key=lambda name: hashlib.sha256(name.encode()).digest())
    if len(subjects) < 2 * MIN_SUBJECTS:
        raise TableError(
            f"{table.name}: {len(subjects)} subjects of the split {SPLIT} have ROI images and DEXA of every site;"
            f" {2 * MIN_SUBJECTS} or more are needed"
        )
    _check_copies(table.name, rows, [row for row in everything if row.split != SPLIT])
    hips, first = Counter(row.subject for row in rows), set[str]()
    for subject in subjects:
        if sum(hips[name] for name in first) + hips[subject] > len(rows) // 2:
            break
        first.add(subject)
    return [row for row in rows if row.subject in first], [row for row in rows if row.subject not in first]


def check_apart(run: Path, rows: Sequence[HipRow]) -> None:
    """Raise TableError if a network learned from a subject that is to judge it, UsageError if `run` is no run folder.

    The films that chose its checkpoint may only be shown to it under that name, as split `val`.
    """
    try:
        learned = json.loads((run / "split.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{run.name} is no run folder: it has no split.json; `bmd-edge train` makes one") from error
    known = {subject_key(subject): split for split, subjects in learned.items() for subject in subjects}
    for row in rows:
        split = known.get(subject_key(row.subject))
        if split is not None and not split == row.split == "val":
            raise TableError(
                f"subject {row.subject}: of the split {row.split} here, but the run {run.name} knows it from"
                f" {split}; films that judge a network must be of other subjects"
            )


def batches(rows: Sequence[HipRow], size: int = 8, spec: InputSpec = BMD) -> Iterator[NDArray[np.float32]]:
    """The rows' images in order as the runtime shows them to the BMD network, (n <= size, 1, px, px) at a time.

    Raises TableError if a stored image is missing, broken or no ROI.
    """
    for start in range(0, len(rows), size):
        yield np.stack([roi_image(pixels, spec) for pixels in read_rois(rows[start : start + size]).pixels])


def dexa(rows: Sequence[HipRow]) -> NDArray[np.float64]:
    """Labels of the rows, (n, sites) g/cm2 on the Hologic scale."""
    return np.array([[hologic_gcm2(row)[site] for site in SITES] for row in rows], np.float64)


def as_met(rows: Sequence[HipRow]) -> NDArray[np.bool_]:
    """Which hips are people's on films of a clinic, (n,): all but those of the phantom that are wide in anything."""
    return np.array([WIDE not in (row.extra.get("x_population"), row.extra.get("x_maker_style")) for row in rows])


def maker(row: HipRow) -> str:
    """Who made the film's processing: the phantom's style where the table states one."""
    return row.extra.get("x_maker_style") or row.maker or "not stated"


def only_maker(rows: Sequence[HipRow]) -> tuple[str, ...]:
    """The spellings of the only maker of these films in their headers; empty where there are several, or where each
    has a processing of its own. What headers say counts before the table, which cannot make many makers of one.
    """
    named = {row.extra.get("x_maker_style") or row.extra.get(HEADER_MAKER) or maker(row) for row in rows}
    if named <= MANY_MAKERS or (len(named) > 1 and len({maker(row) for row in rows}) > 1):
        return ()
    return tuple(sorted({row.extra.get(HEADER_MAKER) or row.maker or maker(row) for row in rows}))


def makers_contradicted(rows: Sequence[HipRow]) -> str | None:
    """What the table names several makers of, where all headers name one; None where they agree."""
    table, headers = {row.maker for row in rows}, {row.extra.get(HEADER_MAKER) for row in rows}
    if len(table) < 2 or len(headers) > 1 or None in headers:
        return None
    names = ", ".join(sorted(name or "none" for name in table))
    return f"the table names several makers ({names}), every header {headers.pop()}: the bundle is of this one maker"


def judging_hips(rows: Sequence[HipRow]) -> JudgingHips:
    """What the error budget needs to know of the hips that judge it."""
    return JudgingHips(
        dexa(rows),
        [row.subject for row in rows],
        [maker(row) for row in rows],
        [short_id(_sha256(row)) for row in rows],
        np.array([t_score_reason(row.age_years, row.sex) is None for row in rows], bool),
    )


def facts(table: Path, ranges: Sequence[HipRow], judging: Sequence[HipRow]) -> CalibrationFilms:
    """What the manifest says of these films."""
    rows = [*ranges, *judging]
    labels = dexa(rows)
    return CalibrationFilms(
        table_sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
        films_sha256=hashlib.sha256("".join(sorted(map(_sha256, rows))).encode()).hexdigest(),
        ranges_hips=len(ranges),
        ranges_subjects=len({row.subject for row in ranges}),
        guard_hips=len(judging),
        guard_subjects=len({row.subject for row in judging}),
        makers=dict(sorted(Counter(map(maker, rows)).items())),
        bmd_mean_gcm2=dict(zip(SITES, labels.mean(axis=0).round(4).tolist(), strict=True)),
        bmd_sd_gcm2=dict(zip(SITES, labels.std(axis=0, ddof=1).round(4).tolist(), strict=True)),
    )


def _check_copies(name: str, rows: Sequence[HipRow], others: Sequence[HipRow]) -> None:
    """A patient under two names: the subjects differ, the films do not."""
    known: dict[str, HipRow] = {}
    for row in [*others, *rows]:
        same = known.setdefault(_sha256(row), row)
        if row.split == SPLIT and same.subject != row.subject:
            raise TableError(
                f"{name}: film {row.film} of the split {SPLIT} is the same as {same.film} of the split {same.split},"
                " under another subject; films that judge a network must be of other subjects"
            )


def _sha256(row: HipRow) -> str:
    try:
        return hashlib.sha256(row.film_path.read_bytes()).hexdigest()
    except OSError as error:
        raise TableError(f"film {row.film}: cannot be read ({error.strerror})") from error
