"""Finished units -> table.json, table.md and their picture; needs the units' files only, no films and no network."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bmd_edge.errors import UsageError
from bmd_edge.measure.t_score import OSTEOPOROSIS_T, t_score
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_file
from calibration.statistics.bootstrap import F64
from calibration.statistics.over_seeds import agreement, auroc, interval, paired_difference
from trainer.paper_table.plot import SITE_TITLES, draw
from trainer.paper_table.units import ALTERNATIVES, CURVE_LABELS, FULL, RECIPES, SUPERVISED, TableSize
from trainer.phantom.cohort.plan import items

Units = dict[str, list[dict[str, Any]]]
"""Finished units by the name of their row, seed after seed."""


@dataclass(frozen=True, slots=True)
class Hips:
    """The films that a row is measured on: labels_gcm2 (n, 2) in the order of `SITES`; subject (n,) names."""

    labels_gcm2: F64
    subject: tuple[str, ...]


TITLES = {
    "mse": "MSE",
    "triplet": "MSE + triplet",
    "adaptive_triplet": "MSE + adaptive triplet",
    "pi_model": "Pi-model",
    "temporal_ensembling": "temporal ensembling",
    "mean_teacher": "mean teacher",
    "self_training": "self-training without triplet",
    "paper": "as the paper (recollected): one network's pseudo BMDs",
    "full": "full method: a committee's pseudo BMDs",
    "rankup": "RankUp",
}
DEVELOPMENT = (
    "Before that, the recipes were settled on seeds 0 and 1 by looking at the true BMD of unlabelled phantom films,"
    " never at test films: two weight decays for all rows, several strengths of augmentation; for self-training about"
    " forty trainings with other batches, views, rates, weights, starts and committees of two to sixteen networks; for"
    " the rivals two rates. Units of earlier recipes, test films included, were thrown away; their test figures"
    " decided nothing.\n\n"
    "A first whole table, of three seeds, validated the full method after every epoch, as it does the other"
    " semi-supervised rows. It was level with MSE (RMSE +0.2 % at the femoral neck, -0.8 % at the total hip): val, of"
    " 149 hips, had kept networks of the first, second and seventh epoch of 15, of which two had hardly learned from"
    " their committee. On the true BMD of every second unlabelled film their last epochs were better by 2.2 %, while no"
    " other row was better at its last epoch. So the full method has since been validated every fifth epoch, its three"
    " seeds were trained again, and the table got two more seeds of every row. The six other semi-supervised rows are"
    " still validated after every epoch, so part of the full method's lead over them may be the choice of the"
    " checkpoint and not the method; the supervised rows are validated every fifth epoch, as the full method is."
)
"""What no trial shows, for rows are compared that were not developed alike."""


def write_report(out: Path, size: TableSize, command: str) -> Path:
    """Make the table of the units in OUT/units; returns the path of table.json.

    Raises:
        UsageError: no unit is finished.
    """
    found = read_units(out / "units")
    hips = read_hips(out / "units" / "films.json")
    table = summary(found, hips, size, command)
    with replace_file(out / "table.json") as file:
        file.write(json.dumps(table, indent=1) + "\n")
    with replace_file(out / "table.md") as file:
        file.write(markdown(table))
    draw(table, out / "table.png")
    return out / "table.json"


def read_units(folder: Path) -> Units:
    """Finished units by row, seed after seed."""
    found: Units = {}
    for path in sorted(folder.glob("*-*.json")):
        unit = json.loads(path.read_text())
        found.setdefault(unit["row"], []).append(unit)
    if not found:
        raise UsageError(f"{folder} holds no finished unit yet; run `bmd-edge table` without --report-only first")
    if len({unit["phantom_config"] for row in found.values() for unit in row}) > 1:
        raise UsageError(f"{folder.name} holds units of several cohorts; remove those of the older one")
    return {row: sorted(seeds, key=lambda unit: unit["seed"]) for row, seeds in found.items()}


def read_hips(path: Path) -> dict[str, Hips]:
    """Labels and subjects of each set."""
    facts = json.loads(path.read_text())
    return {name: Hips(np.array(one["labels_gcm2"]), tuple(one["subject"])) for name, one in facts.items()}


def rows_of(everything: Units) -> Units:
    """The units of each row of the table: those of the setting that was the better one on val."""
    found = {}
    for recipe in RECIPES:
        tried = [everything[name] for name in (recipe, f"{recipe}_alternative") if name in everything]
        if tried:
            found[recipe] = max(tried, key=lambda units: units[0]["best"]["val_score"])
    return found


def trials_of(everything: Units) -> dict[str, list[dict[str, Any]]]:
    """What each row tried with seed 0: the settings beyond its recipe's and the score on val (minus mean RMSE)."""
    return {
        recipe: [
            {"changes": changes, "val_score": round(everything[name][0]["best"]["val_score"], 5)}
            for name, changes in ((recipe, {}), (f"{recipe}_alternative", ALTERNATIVES[recipe]))
            if name in everything
        ]
        for recipe in RECIPES
    }


def summary(everything: Units, hips: dict[str, Hips], size: TableSize, command: str) -> dict[str, Any]:
    """The content of table.json, from units by the name of their row."""
    found, trials = rows_of(everything), trials_of(everything)
    splits = Counter(item.split for item in items(size.cohort))
    every_unit = [unit for units in everything.values() for unit in units]
    minutes = {run: spent for unit in every_unit for run, spent in unit["minutes_of_runs"].items()}  # some are shared
    return {
        "synthetic": True,
        "scale": {
            "budget": size.budget,
            "train_val_test_hips": [splits["train"], splits["val"], len(hips["test"].subject)],
            "unlabelled_hips": size.cohort.unlabelled,
            "second_cohort_hips": len(hips["second"].subject),
            "seeds": size.seeds,
        },
        "phantom_config": every_unit[0]["phantom_config"],
        "command": command,
        "training_minutes": round(sum(minutes.values())),
        "rows": [
            _row(recipe, site, units, hips, len(trials[recipe])) for recipe, units in found.items() for site in SITES
        ],
        "trials": trials,
        "paired": _paired(found, hips["test"], "test"),
        "learning_curve": _learning_curve(everything, found, hips["test"]),
        "second_cohort": {
            "phantom_config": every_unit[0]["second_phantom_config"],
            "rows": [
                _figures(recipe, site, units, hips, "second") for recipe, units in found.items() for site in SITES
            ],
            "paired": _paired(found, hips["second"], "second"),
        },
    }


def of_site(units: list[dict[str, Any]], name: str, site: str) -> F64:
    """Estimates (seeds, n) of one site on one set."""
    return np.array([unit["estimates_gcm2"][name] for unit in units])[:, :, SITES.index(site)]


def _figures(recipe: str, site: str, units: list[dict[str, Any]], hips: dict[str, Hips], name: str) -> dict[str, Any]:
    """Figures of a row on one set, with intervals of r and RMSE."""
    found, labels = of_site(units, name, site), hips[name].labels_gcm2[:, SITES.index(site)]
    figures: dict[str, Any] = {"recipe": recipe, "site": site, "n_seeds": len(units)}
    figures |= {key: round(value, 4) for key, value in agreement(found, labels).items()}
    for key, short in (("r", "r"), ("rmse_gcm2", "rmse")):
        low, high = interval(key, found, labels, hips[name].subject)
        figures |= {f"{short}_low": round(low, 4), f"{short}_high": round(high, 4)}
    area = auroc(found, np.array([t_score(site, float(label)) <= OSTEOPOROSIS_T for label in labels]))
    return figures | {"auroc_t25": None if area is None else round(area, 4)}


def _row(
    recipe: str, site: str, units: list[dict[str, Any]], hips: dict[str, Hips], settings_tried: int
) -> dict[str, Any]:
    unseen = agreement(of_site(units, "unseen", site), hips["unseen"].labels_gcm2[:, SITES.index(site)])
    row = _figures(recipe, site, units, hips, "test")
    row |= {"r_unseen_maker": round(unseen["r"], 4), "rmse_unseen_maker_gcm2": round(unseen["rmse_gcm2"], 4)}
    return row | {"settings_tried": settings_tried}


def _paired(found: Units, hips: Hips, name: str) -> dict[str, Any]:
    """The full method minus each row, on the seeds that both have; femoral neck first, the total hip inside."""
    if FULL not in found:
        return {}
    return {
        f"{FULL}_vs_{recipe}": {
            "site": SITES[0],
            **_difference(found[FULL], found[recipe], hips, name, SITES[0]),
            SITES[1]: _difference(found[FULL], found[recipe], hips, name, SITES[1]),
        }
        for recipe in RECIPES
        if recipe in found and recipe != FULL
    }


def _difference(
    full: list[dict[str, Any]], other: list[dict[str, Any]], hips: Hips, name: str, site: str
) -> dict[str, Any]:
    seeds = sorted({unit["seed"] for unit in full} & {unit["seed"] for unit in other})
    first, second = (of_site([unit for unit in units if unit["seed"] in seeds], name, site) for units in (full, other))
    labels = hips.labels_gcm2[:, SITES.index(site)]
    rmse = paired_difference("rmse_gcm2", first, second, labels, hips.subject)
    r = paired_difference("r", first, second, labels, hips.subject)
    change = rmse["difference"] / agreement(second, labels)["rmse_gcm2"]
    by_seed = [
        agreement(one[None], labels)["rmse_gcm2"] - agreement(two[None], labels)["rmse_gcm2"]
        for one, two in zip(first, second, strict=True)
    ]
    return {
        "n_seeds": len(seeds),
        "rmse_diff_gcm2": round(rmse["difference"], 5),
        "low": round(rmse["low"], 5),
        "high": round(rmse["high"], 5),
        "rmse_change_percent": round(100 * change, 1),
        "rmse_diff_by_seed_gcm2": [round(value, 5) for value in by_seed],
        "r_diff": round(r["difference"], 5),
        "r_low": round(r["low"], 5),
        "r_high": round(r["high"], 5),
    }


def _learning_curve(everything: Units, found: Units, hips: Hips) -> list[dict[str, Any]]:
    """Seed 0 of the supervised and the full method at several numbers of labels, and with all true labels.

    It belongs to the whole table: some rows alone have no units of it, and one point would be no curve.
    """
    points = []
    if not any(f"{SUPERVISED}_{labels}" in everything for labels in (*CURVE_LABELS, "all")):
        return []
    for recipe in (SUPERVISED, FULL):
        rows = {labels: everything.get(f"{recipe}_{labels}") for labels in CURVE_LABELS} | {440: found.get(recipe)}
        points += [
            _point(recipe, labels, units, hips, site) for labels, units in rows.items() if units for site in SITES
        ]
    if units := everything.get(f"{SUPERVISED}_all"):
        points += [_point("all_true_labels", None, units, hips, site) for site in SITES]
    return points


def _point(recipe: str, labels: int | None, units: list[dict[str, Any]], hips: Hips, site: str) -> dict[str, Any]:
    figures = agreement(
        of_site([unit for unit in units if unit["seed"] == 0], "test", site), hips.labels_gcm2[:, SITES.index(site)]
    )
    return {"recipe": recipe, "labels": labels, "site": site, **{key: round(v, 4) for key, v in figures.items()}}


def in_short(table: dict[str, Any]) -> list[str]:
    """A line a row: its figures on the test hips."""
    test = table["scale"]["train_val_test_hips"][2]
    lines = []
    for recipe in dict.fromkeys(row["recipe"] for row in table["rows"]):
        rows = [row for row in table["rows"] if row["recipe"] == recipe]
        figures = (f"{SITE_TITLES[row['site']]} r {row['r']:.3f}, RMSE {row['rmse_gcm2']:.4f} g/cm2" for row in rows)
        seeds = f"{rows[0]['n_seeds']} seed{'' if rows[0]['n_seeds'] == 1 else 's'}"
        lines.append(f"{recipe}: {'; '.join(figures)} (synthetic, {test} hips, {seeds})")
    return lines


def markdown(table: dict[str, Any]) -> str:
    """The content of table.md."""
    size = table["scale"]
    train, val, test = size["train_val_test_hips"]
    lines = [
        "# The paper's table on the digital hip phantom",
        "",
        f"Synthetic: {train} labelled hips to learn from, {val} to choose by, {test} to test on, and"
        f" {size['unlabelled_hips']} without a label; budget {size['budget']:g}, phantom configuration"
        f" `{table['phantom_config']}`. Figures are means over seeds, with 95 % BCa intervals by bootstrap over"
        " subjects: they hold for these networks, and what another training would give is seen seed by seed only."
        " RMSE and bias (estimate minus label) in g/cm2; slope of the label, the BMD that a DXA would see, on the"
        " estimate; nothing is learned from films of the unseen makers. Made by"
        f" `{table['command']}` in {table['training_minutes']} minutes of"
        " one-thread training.",
    ]
    if not _whole(table):
        lines += [
            "",
            "Rows or films of the table are left out: no figure here is comparable with one of the whole table,",
        ]
        lines[-1] += " which stands in `trainer/results/table.md` of a checkout."
    for site in SITES:
        lines += ["", f"## {SITE_TITLES[site].capitalize()}", "", *_rows_text(table["rows"], site, unseen=True)]
        if table["paired"]:
            lines += ["", f"Full method minus each row, {SITE_TITLES[site]}, same subjects:"]
            lines += ["", *_paired_text(table["paired"], site)]
    lines += ["", f"## Second cohort ({size['second_cohort_hips']} other hips, same networks)"]
    for site in SITES:
        lines += ["", f"{SITE_TITLES[site].capitalize()}:", "", *_rows_text(table["second_cohort"]["rows"], site)]
        if paired := table["second_cohort"]["paired"]:
            lines += ["", *_paired_text(paired, site)]
    lines += ["", "## Settings tried", "", "Two each with seed 0; the one with the better mean RMSE on val was kept."]
    lines += ["", DEVELOPMENT] if _whole(table) else []
    lines += ["", "| recipe | setting | RMSE on val | |", "| --- | --- | --- | --- |"]
    for recipe, tried in table["trials"].items():
        best = max((one["val_score"] for one in tried), default=None)
        for one in tried:
            changes = ", ".join(f"{key} = {value}" for key, value in one["changes"].items()) or "as in the recipe"
            kept = "kept" if one["val_score"] == best else ""
            lines.append(f"| {TITLES[recipe]} | {changes} | {-one['val_score']:.4f} | {kept} |")
    if table["learning_curve"]:
        lines += ["", "## Learning curve (seed 0)", "", "| site | recipe | labels | r | RMSE |"]
        lines.append("| --- | --- | --- | --- | --- |")
    for p in table["learning_curve"]:
        labels = p["labels"] or "all, true"
        lines.append(f"| {SITE_TITLES[p['site']]} | {p['recipe']} | {labels} | {p['r']:.3f} | {p['rmse_gcm2']:.4f} |")
    return "\n".join([*lines, "", "Research use only, not for diagnosis.", ""])


def _whole(table: dict[str, Any]) -> bool:
    return table["scale"]["budget"] == 1 and {row["recipe"] for row in table["rows"]} == set(RECIPES)


def _rows_text(rows: list[dict[str, Any]], site: str, unseen: bool = False) -> list[str]:
    head = "| recipe | seeds | r | RMSE | bias | slope | AUROC T <= -2.5 |" + (" r, unseen makers |" if unseen else "")
    lines = [head, "|" + " --- |" * (head.count("|") - 1)]
    for row in (row for row in rows if row["site"] == site):
        area = "-" if row["auroc_t25"] is None else f"{row['auroc_t25']:.3f}"
        lines.append(
            f"| {TITLES[row['recipe']]} | {row['n_seeds']} | {row['r']:.3f} ({row['r_low']:.3f} to {row['r_high']:.3f})"
            f" | {row['rmse_gcm2']:.4f} ({row['rmse_low']:.4f} to {row['rmse_high']:.4f}) | {row['bias_gcm2']:+.4f}"
            f" | {row['slope']:.3f} | {area} |" + (f" {row['r_unseen_maker']:.3f} |" if unseen else "")
        )
    return lines


def _paired_text(paired: dict[str, Any], site: str) -> list[str]:
    lines = ["| minus | seeds | RMSE | of it | RMSE, seed by seed | r |", "| --- | --- | --- | --- | --- | --- |"]
    for name, both in paired.items():
        one = both if site == both["site"] else both[site]
        title, change = TITLES[name.removeprefix(f"{FULL}_vs_")], one["rmse_change_percent"]
        rmse = f"{one['rmse_diff_gcm2']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f})"
        r = f"{one['r_diff']:+.4f} ({one['r_low']:+.4f} to {one['r_high']:+.4f})"
        seeds = ", ".join(f"{value:+.4f}" for value in one["rmse_diff_by_seed_gcm2"])
        lines.append(f"| {title} | {one['n_seeds']} | {rmse} | {change:+.1f} % | {seeds} | {r} |")
    return lines
