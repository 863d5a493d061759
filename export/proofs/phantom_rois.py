"""ROI images of phantom cohorts through the shipped BMD network: what the proofs are computed from."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.engine.open import open_engine
from bmd_edge.engine.self_test import self_test
from bmd_edge.errors import BmdEdgeError, TableError, UsageError
from bmd_edge.measure.network_answer import gray_statistics
from bmd_edge.sites import SITES
from bmd_edge.table.dxa_scales import to_hologic
from bmd_edge.table.film_table import HipRow, read_table
from calibration.drift.studies import F64
from export.bundle.calibration_films import halves
from trainer.images.roi_files import ROI_PX, ROI_SPACING_MM, read_rois, roi_image


def named(argument: str) -> str:
    """Folder and name instead of a path of this machine."""
    path, colon, splits = argument.partition(":")
    return "/".join(Path(path).parts[-2:]) + colon + splits if "/" in path else argument


def run(main: Callable[[Sequence[str], Callable[[str], object]], int]) -> NoReturn:
    """Run a proof's command on the process's arguments; an error of this project becomes one line and an exit code."""
    try:
        sys.exit(main(sys.argv[1:], print))
    except BmdEdgeError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2 if isinstance(error, UsageError) else 1)


_BATCH = 16


@dataclass(frozen=True, slots=True)
class RoiAnswers:
    """Hips and what one precision of a bundle says: dexa, bmd and spread (n, sites), embedding (n, d), gray (n, 7)."""

    rows: tuple[HipRow, ...]
    dexa: F64
    bmd: F64
    spread: F64
    embedding: F64
    gray: F64


def rows_named(text: str) -> list[HipRow]:
    """Rows of TABLE[:SPLITS] (default calibrate) with an ROI and DEXA of every site. TableError if there is none.

    SPLITS may be "ranges": the half of the split calibrate that an export takes nothing but INT8 ranges from. Subjects
    are named with the table's folder, so that those of two tables stay apart.
    """
    name, _, splits = text.partition(":")
    table, wanted = Path(name), (splits or "calibrate").split(",")
    everything = halves(table)[0] if wanted == ["ranges"] else [row for row in read_table(table) if row.split in wanted]
    rows = [row for row in everything if row.extra.get("x_image") == "roi"]
    rows = [row for row in rows if all(value is not None for value in row.bmd_gcm2.values())]
    if not rows:
        raise TableError(f"{table.name}: no ROI with DEXA of every site in the split {' or '.join(wanted)}")
    return [replace(row, subject=f"{table.parent.name}/{row.subject}") for row in rows]


def answers_of(bundle: VerifiedBundle, precision: str, rows: Sequence[HipRow], threads: int = 1) -> RoiAnswers:
    """Run the bundle's own file over the ROIs. UsageError if the bundle wants more of a hip than cohorts hold."""
    spec = bundle.inputs["bmd"]
    if spec.side_mm > ROI_PX * ROI_SPACING_MM:
        raise UsageError("this bundle's network reads a larger region of interest than phantom cohorts hold")
    found = []
    with open_engine(bundle, "bmd", device="cpu", precision=precision, threads=threads) as engine:
        self_test(bundle, "bmd", engine)
        for start in range(0, len(rows), _BATCH):
            pixels = read_rois(rows[start : start + _BATCH]).pixels
            images = np.stack([roi_image(one, spec) for one in pixels])
            found.append(engine.run({"image": images}) | {"gray": np.stack([gray_statistics(one) for one in images])})
    names = ("bmd", "spread", "embedding", "gray")
    parts = (np.concatenate([one[name] for one in found]).astype(float) for name in names)
    dexa = [[to_hologic(row.bmd_gcm2[site] or np.nan, site, row.scale or "") for site in SITES] for row in rows]
    return RoiAnswers(tuple(rows), np.array(dexa), *parts)
