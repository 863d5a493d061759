"""What the best network of a run says of the test hips of its table, as a row of the paper's table has it."""

from pathlib import Path

import numpy as np

from bmd_edge.sites import SITES
from bmd_edge.table.film_table import read_table
from calibration.statistics.agreement import plain_figures
from trainer.images.roi_files import read_rois
from trainer.methods.supervised import estimates
from trainer.networks.build import load_run
from trainer.run.settings import BmdConfig

SPLIT = "test"


def on_test(config: BmdConfig, table: Path, run: Path) -> dict[str, dict[str, float]]:
    """Hips, r, RMSE and bias (g/cm2) of each site that has 3 labelled test hips or more; empty without such."""
    rows = [row for row in read_table(table) if row.split == SPLIT and row.extra.get("x_image") == "roi"]
    rows = [row for row in rows if any(value is not None for value in row.bmd_gcm2.values())]
    if not rows:
        return {}
    rois = read_rois(rows)
    bmd, _ = estimates(load_run(run), rois, config.channels_last, config.spec)
    found = {}
    for column, site in enumerate(SITES):
        known = np.isfinite(rois.labels_gcm2[:, column])
        if known.sum() > 2:
            figures = plain_figures(bmd[known, column], rois.labels_gcm2[known, column])
            found[site] = {"hips": float(known.sum())} | {
                name: round(figures[name], 4) for name in ("r", "rmse_gcm2", "bias_gcm2")
            }
    return found
