"""The figures of the pages as Markdown, each from the JSON of a committed measurement, so that no page can say what
was not measured.
"""

from typing import Any

from bmd_edge.measure.t_score import OSTEOPOROSIS_T

UNSEEN_MAKER = "Synthetic-H"
VALIDATION_COMMANDS = (
    "bmd-edge phantom COHORT --labelled 0 --calibrate 0 --unlabelled 0 --dicom 180 --poses 2 --style named"
    " --makers A,B,C,D,E,H --seed 501",
    "bmd-edge validate --table COHORT/films.csv --out R",
)
SCORE_COMMAND = "bmd-edge phantom score --n {n_films} --seed {seed} --json"
REPEAT_COMMAND = "bmd-edge phantom score --poses {poses} --n {n_subjects} --seed {seed} --json"


def figures(validation: dict[str, Any], score: dict[str, Any]) -> str:
    """The one table of README.md, from a `validation.json` and from `bmd-edge phantom score --json`."""
    sites = validation["precisions"][validation["primary"]]["sites"]
    whole = f"{validation['table']['films']} whole films, synthetic"
    fresh = f"{score['n_films']} fresh films, synthetic"
    rows = []
    for label, name, write in (
        ("Pearson r to the DEXA-like label", "r", "{:.3f}"),
        ("RMSE, g/cm2", "rmse_gcm2", "{:.3f}"),
        ("inside the 90 % interval", "coverage", "{:.1%}"),
    ):
        rows += [
            (whole, f"{site.replace('_', ' ')}: {label}", _interval(one["figures"][name], write))
            for site, one in sites.items()
        ]
    rows += [(fresh, "intact hips found", _percent(score["found_share"]))]
    rows += [(fresh, "good hips in usual poses: refused", _percent(score["good_hips_refused_share"]))]
    rows += [(fresh, "films that must be refused: refused", _percent(score["refusal_cases_refused_share"]))]
    lines = ["| films of the phantom | what | measured (95 % interval) |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def score_table(score: dict[str, Any]) -> str:
    """How fresh films are read and refused, from what `bmd-edge phantom score --json` printed."""
    command = SCORE_COMMAND.format(**score)
    rows = [("median landmark error", "<= 2 mm", _mm(score["landmark_error_median_mm"]))]
    rows += [("95th percentile of it", "<= 6 mm", _mm(score["landmark_error_p95_mm"]))]
    rows += [("intact hips found", ">= 99 %", _percent(score["found_share"]))]
    rows += [("side right", ">= 99.5 %", _percent(score["side_right_share"]))]
    rows += [("films that must be refused: refused", ">= 95 %", _percent(score["refusal_cases_refused_share"]))]
    rows += [("good hips in usual poses: refused", "<= 2 %", _percent(score["good_hips_refused_share"]))]
    rows += [("intact hips in wide poses: refused", "", _percent(score["wide_pose_hips_refused_share"]))]
    for site, bmd in score["bmd"].items():
        name, target = site.replace("_", " "), ">= 0.85" if site == "femoral_neck" else ""
        error = f"{bmd['rmse_gcm2']:.3f}, {bmd['bias_gcm2']:+.3f} g/cm2"
        rows += [(f"{name}: Pearson r to the DXA-like label", target, f"{bmd['r']:.3f} (n = {bmd['n']})")]
        rows += [(f"{name}: RMSE, bias", "", error)]
        rows += [(f"{name}: the 90 % interval covers", "90 %", _percent(bmd["coverage_of_90_percent_interval"]))]
    cases = ", ".join(
        f"{case.replace('_', ' ')} {_percent(facts['refused_share'])} of {facts['n']}"
        for case, facts in score["refusal_cases"].items()
    )
    lines = [
        f"All figures of this table are **synthetic**: {score['n_films']} fresh films of the digital hip phantom with",
        f"{score['n_intact_hips']} intact hips, read by the embedded bundle with `{command}`. Headers gave neither",
        "body part, view, side nor age away. They say nothing about real patients.",
        "",
        "| on fresh phantom films | aim | measured |",
        "| --- | --- | --- |",
        *(f"| {what} | {aim} | {value} |" for what, aim, value in rows),
        "",
        f"Refused, by case: {cases}.",
    ]
    return "\n".join(lines)


def repeatability(facts: dict[str, Any]) -> str:
    """How far estimates of one hip differ over films, from `bmd-edge phantom score --poses K --json`."""
    sites = [facts["bmd"][site] for site in ("femoral_neck", "total_hip")]
    neck_cv, hip_cv = (f"{site['rms_cv_percent']:.1f} %" for site in sites)
    neck_change, hip_change = (f"{site['least_significant_change_gcm2']:.3f}" for site in sites)
    lines = [
        f"**Synthetic**, too: of {facts['n_subjects']} hips, {facts['poses']} films each in other poses and with other",
        f"exposures (`{REPEAT_COMMAND.format(**facts)}`;",
        f"{sites[0]['n_films']} films got a number). The estimates of one hip differ by",
        f"{neck_cv} (neck) and {hip_cv} (total hip) RMS-CV; the least significant",
        f"change is {neck_change} and {hip_change} g/cm2. On real films in four poses another method",
        "gave 3.27 to 3.79 % (Gu et al., arXiv 2307.11513).",
    ]
    return "\n".join(lines)


def int8_speed(found: dict[str, Any]) -> str:
    """How fast INT8 is on the CPU, from what `python -m export.bench.int8_speed` printed."""
    head = ("network, width, image", "threads", "batch", "torch", "fp32", "INT8", "INT8 over fp32", "over torch")
    rows = [
        (
            f"{row['network']}, {row['width']:g}, {row['size_px']} px",
            f"{row['threads']}",
            f"{row['batch']}",
            *(_ms(row[f"{name}_ms_per_image"]) for name in ("torch", "fp32", "int8")),
            f"{row['int8_over_fp32']:.2f} x",
            f"{row['int8_over_torch']:.2f} x",
        )
        for row in found["rows"]
    ]
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    lines = [
        f"Milliseconds per image on {found['machine']}, with random weights: `{found['command']}`",
        f"({versions}). The three run in turns, so that a busy moment hits all of them alike; ratios",
        "are medians over rounds, and tell more than the times, which swing with what else runs on the machine.",
        "",
        *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)),
    ]
    return "\n".join(lines)


def validation(facts: dict[str, Any]) -> str:
    """Agreement with DEXA, from a `validation.json`."""
    sites = facts["precisions"][facts["primary"]]["sites"]
    unseen = {
        site: next(row for row in rows if row["part"] == UNSEEN_MAKER) for site, rows in facts["subgroups"].items()
    }
    shifts = facts["quantized"]["int8"]["sites"]
    rows = [("hips, subjects", [f"{one['hips']}, {one['subjects']}" for one in sites.values()])]
    for label, name, write in (
        ("Pearson r", "r", "{:.3f}"),
        ("RMSE, g/cm2", "rmse_gcm2", "{:.3f}"),
        ("bias, g/cm2", "bias_gcm2", "{:+.3f}"),
        ("lower limit of agreement, g/cm2", "loa_low_gcm2", "{:+.3f}"),
        ("upper limit of agreement, g/cm2", "loa_high_gcm2", "{:+.3f}"),
        ("calibration slope", "slope", "{:.3f}"),
        ("inside the 90 % interval", "coverage", "{:.1%}"),
    ):
        rows.append((label, [_interval(one["figures"][name], write) for one in sites.values()]))
    areas = [one["detection"]["targets"][f"{OSTEOPOROSIS_T:g}"]["auroc"] for one in sites.values()]
    rows.append(("AUROC, T <= -2.5, by hip", [_interval(one, "{:.3f}") for one in areas]))
    for label, name, write in (("RMSE, g/cm2", "rmse_gcm2", "{:.3f}"), ("inside the interval", "coverage", "{:.1%}")):
        label = f"maker {UNSEEN_MAKER}, of no training film ({unseen['total_hip']['hips']} hips): {label}"
        rows.append((label, [_interval(one["figures"][name], write) for one in unseen.values()]))
    label, write = "INT8 minus fp32: mean, g/cm2", "{:+.4f}"
    rows.append((label, [_interval(one["figures"]["mean_shift_gcm2"], write) for one in shifts.values()]))
    films = facts["table"]
    lines = [
        f"All figures of this table are **synthetic**: {films['films']} whole films of {films['subjects']} subjects of",
        "the digital hip phantom, of a seed and with a maker that no training saw; bundle"
        f" {facts['bundle']} ({facts['bundle_digest'][:8]}), {facts['primary']}.",
        "They say nothing about real patients.",
        "",
        "| against DEXA-like labels (95 % interval by subject) | femoral neck | total hip |",
        "| --- | --- | --- |",
        *(f"| {label} | {' | '.join(cells)} |" for label, cells in rows),
        "",
        "```console",
        *(f"$ {command}" for command in VALIDATION_COMMANDS),
        "```",
    ]
    return "\n".join(lines)


def paper_table(facts: dict[str, Any]) -> str:
    """The short form of the trainer's `table.json`."""
    scale, sites = facts["scale"], ("femoral_neck", "total_hip")
    train, val, test = scale["train_val_test_hips"]
    rows = []
    for recipe in dict.fromkeys(row["recipe"] for row in facts["rows"]):
        cells = [f"`{recipe}`"]
        for site in sites:
            row = next(row for row in facts["rows"] if (row["recipe"], row["site"]) == (recipe, site))
            paired = facts["paired"].get(f"full_vs_{recipe}")
            cells += [f"{row['r']:.3f}", f"{row['rmse_gcm2']:.4f}", "" if paired is None else _paired(paired, site)]
        rows.append([*cells[:1], str(row["n_seeds"]), *cells[1:]])
    columns = ("r", "RMSE", "`full` less")
    head = ["recipe", "seeds", *(f"{site}: {name}" for site in ("neck", "hip") for name in columns)]
    lines = [
        f"All of it is **synthetic**: {train} labelled hips to learn from, {val} to choose by, {test} to test on, and",
        f"{scale['unlabelled_hips']} without a label (`{facts['command']}`, {facts['training_minutes']} minutes of",
        "one-thread training). RMSE in g/cm2, mean over seeds; `full` less: its RMSE minus that of the row, with a",
        "95 % interval over the same subjects, which holds for these trained networks.",
        "",
        *(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)),
    ]
    return "\n".join(lines)


def _interval(figure: dict[str, float | None], write: str) -> str:
    value, low, high = ("" if figure[name] is None else write.format(figure[name]) for name in ("value", "low", "high"))
    return (f"{value} ({low} to {high})" if low and high else value).replace("%", " %")


def _paired(both: dict[str, Any], site: str) -> str:
    one = both if site == both["site"] else both[site]
    return f"{one['rmse_diff_gcm2']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f})"


def _mm(value: float) -> str:
    return f"{value:.2f} mm"


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{100 * share:.1f} %"
