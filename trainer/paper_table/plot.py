"""The picture of the table, table.png: the rows' RMSE, their differences, and the learning curve."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_bytes
from trainer.paper_table.units import FULL, SUPERVISED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SITE_TITLES = {"femoral_neck": "femoral neck", "total_hip": "total hip"}


def draw(table: dict[str, Any], path: Path) -> None:
    """The rows' RMSE, and where the table has them what the full method changes and the learning curve, as a PNG."""
    from matplotlib.figure import Figure

    drawn = [(_rows, 3)] + [(_changes, 3)] * bool(table["paired"]) + [(_curve, 2)] * bool(table["learning_curve"])
    heights = [max(1.6, 0.35 * len(table["rows"]) / len(SITES))] * len(SITES)
    width = sum(ratio for _, ratio in drawn)
    figure = Figure(figsize=(1.625 * max(width, 4), sum(heights)), layout="constrained")
    panels = figure.subplots(len(SITES), len(drawn), width_ratios=[ratio for _, ratio in drawn], squeeze=False)
    for site, row in zip(SITES, panels, strict=True):
        for (draw_panel, _), panel in zip(drawn, row, strict=True):
            draw_panel(panel, table, site)
    figure.suptitle(f"Synthetic films, budget {table['scale']['budget']:g}. Research use only.", fontsize=10)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    replace_bytes(path, picture.getvalue())


def _rows(panel: "Axes", table: dict[str, Any], site: str) -> None:
    rows = _of_site(table, site)
    for place, row in enumerate(rows):
        color = "tab:blue" if row["recipe"] == FULL else "0.35"
        panel.plot([row["rmse_low"], row["rmse_high"]], [place, place], color=color, lw=2)
        panel.plot(row["rmse_gcm2"], place, "o", color=color)
    panel.set_yticks(range(len(rows)), [row["recipe"] for row in rows])
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.set_xlabel(f"RMSE, {SITE_TITLES[site]}, g/cm2 (95 % interval)")


def _changes(panel: "Axes", table: dict[str, Any], site: str) -> None:
    rows = _of_site(table, site)
    for place, row in enumerate(rows):
        if paired := table["paired"].get(f"{FULL}_vs_{row['recipe']}"):
            one = paired if site == paired["site"] else paired[site]
            panel.plot([one["low"], one["high"]], [place, place], color="0.35", lw=2)
            panel.plot(one["rmse_diff_by_seed_gcm2"], [place] * one["n_seeds"], ".", color="0.6", ms=4)
            panel.plot(one["rmse_diff_gcm2"], place, "o", color="0.35")
    panel.axvline(0, color="0.6", lw=1)
    panel.set_yticks(range(len(rows)), [""] * len(rows))
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.locator_params(axis="x", nbins=6)
    panel.set_xlabel(f"its change by {FULL}, g/cm2 (95 % interval; each seed)")


def _curve(panel: "Axes", table: dict[str, Any], site: str) -> None:
    for recipe, mark, color in ((SUPERVISED, "s--", "0.35"), (FULL, "o-", "tab:blue")):
        points = [p for p in table["learning_curve"] if (p["site"], p["recipe"]) == (site, recipe)]
        panel.plot([p["labels"] for p in points], [p["rmse_gcm2"] for p in points], mark, color=color, label=recipe)
    for p in table["learning_curve"]:
        if (p["site"], p["recipe"]) == (site, "all_true_labels"):
            panel.axhline(p["rmse_gcm2"], color="0.6", lw=1, label="all true labels")
    panel.set_xlabel("labelled hips (seed 0)")
    panel.set_ylabel("RMSE, g/cm2")
    panel.legend(fontsize=8)


def _of_site(table: dict[str, Any], site: str) -> list[dict[str, Any]]:
    """The rows from below, as they are drawn."""
    return [row for row in table["rows"] if row["site"] == site][::-1]
