"""The picture of the table, table.png: the rows' RMSE, their differences, and the learning curve."""

import io
from pathlib import Path
from typing import Any

from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_bytes
from trainer.paper_table.units import FULL, SUPERVISED

SITE_TITLES = {"femoral_neck": "femoral neck", "total_hip": "total hip"}


def draw(table: dict[str, Any], path: Path) -> None:
    """The rows' RMSE, what the full method changes in it, and the learning curve, as a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 7), layout="constrained")
    panels = figure.subplots(2, 3, width_ratios=(3, 3, 2))
    for site, (left, middle, right) in zip(SITES, panels, strict=True):
        rows = [row for row in table["rows"] if row["site"] == site][::-1]
        for place, row in enumerate(rows):
            color = "tab:blue" if row["recipe"] == FULL else "0.35"
            left.plot([row["rmse_low"], row["rmse_high"]], [place, place], color=color, lw=2)
            left.plot(row["rmse_gcm2"], place, "o", color=color)
            if paired := table["paired"].get(f"{FULL}_vs_{row['recipe']}"):
                one = paired if site == paired["site"] else paired[site]
                middle.plot([one["low"], one["high"]], [place, place], color="0.35", lw=2)
                middle.plot(one["rmse_diff_by_seed_gcm2"], [place] * one["n_seeds"], ".", color="0.6", ms=4)
                middle.plot(one["rmse_diff_gcm2"], place, "o", color="0.35")
        left.set_yticks(range(len(rows)), [row["recipe"] for row in rows])
        middle.set_yticks(range(len(rows)), [""] * len(rows))
        middle.locator_params(axis="x", nbins=6)
        left.set_xlabel(f"RMSE, {SITE_TITLES[site]}, g/cm2 (95 % interval)")
        middle.axvline(0, color="0.6", lw=1)
        middle.set_ylim(left.get_ylim())
        middle.set_xlabel(f"its change by {FULL}, g/cm2 (95 % interval; each seed)")
        for recipe, mark, color in ((SUPERVISED, "s--", "0.35"), (FULL, "o-", "tab:blue")):
            points = [p for p in table["learning_curve"] if (p["site"], p["recipe"]) == (site, recipe)]
            right.plot([p["labels"] for p in points], [p["rmse_gcm2"] for p in points], mark, color=color, label=recipe)
        for p in table["learning_curve"]:
            if (p["site"], p["recipe"]) == (site, "all_true_labels"):
                right.axhline(p["rmse_gcm2"], color="0.6", lw=1, label="all true labels")
        right.set_xlabel("labelled hips (seed 0)")
        right.set_ylabel("RMSE, g/cm2")
        right.legend(fontsize=8)
    figure.suptitle(f"Synthetic films, budget {table['scale']['budget']:g}. Research use only.", fontsize=10)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    replace_bytes(path, picture.getvalue())
