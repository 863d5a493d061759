"""The figures of speed and memory, from the JSON of `bmd-edge bench` and `bmd-edge phantom reduced`."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from bmd_edge.system.files import replace_bytes

RESULTS = Path(__file__).parents[1] / "results"
_COLUMNS = ("films", "n", "films/s", "of the floor", "plain, films/s", "times plain", "memory, MB")


def results() -> dict[str, Any]:
    """The committed figures: bench.json, cold.json, day.json, reduced.json (int8) and the like."""
    names = ("bench", "cold", "day", "reduced", "reduced_fp32", "noise_floor")
    return {name: json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in names}


def text(
    bench: dict[str, Any],
    cold: dict[str, Any],
    day: dict[str, Any],
    reduced: dict[str, Any],
    reduced_fp32: dict[str, Any],
    noise_floor: dict[str, Any],
) -> str:
    """The section between the markers, Markdown."""
    stages = next(iter(bench["films"].values()))["stages"]
    speeds = [_speed(name, row) for name, row in bench["films"].items()]
    costs = [[name, *(f"{1000 * s:.1f}" for s in row["stages"].values())] for name, row in bench["films"].items()]
    lines = [
        f"**Synthetic** films of 9 Mpx and 12 bits, {bench['cpus']} CPUs, {bench['precision']} networks of bundle"
        f" {bench['bundle_digest'][:8]}:",
        f"`bmd-edge bench --against plain --rounds {bench['rounds']} --json`. The floor is what the CPU time of all",
        "stages, each measured alone, allows on these CPUs. *Plain* is the loop one would write: pydicom with GDCM and",
        "pylibjpeg, `apply_voi_lut` on the whole film, the same networks in torch, one film at a time.",
        *([bench["note"]] if "note" in bench else []),
        "",
        *_table(_COLUMNS, speeds),
        "",
        "Where the CPU time of a film goes, ms:",
        "",
        *_table(("films", *stages), costs),
        "",
        *_start(cold),
        *_list(day),
        *_moved(reduced),
        *_moved(reduced_fp32),
        *_floor(noise_floor),
        "",
        "![Memory of all processes over a long list of films](../export/results/day.png)",
    ]
    return "\n".join(lines)


def _speed(name: str, row: dict[str, Any]) -> list[str]:
    plain = f"{row['plain_films_per_s']:.2f} ({row['plain_decoder']})"
    cells = [f"{row['films_per_s']:.1f}", f"{100 * row['ratio_to_floor']:.0f} %", plain, f"{row['ratio_to_plain']:.1f}"]
    return [name, str(row["n"]), *cells, str(row["peak_rss_mb"])]


def _table(head: tuple[str, ...], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _start(cold: dict[str, Any]) -> list[str]:
    return [
        f"* Start (`bmd-edge bench --cold --json`, medians of {cold['n']}): `--help` {cold['help_s']:.2f} s, `import"
        f" bmd_edge` {cold['import_s']:.3f} s,",
        f"  a whole `screen` of one JPEG 2000 film of 9 Mpx {cold['first_result_s']:.2f} s.",
    ]


def _list(day: dict[str, Any]) -> list[str]:
    slope, low, high = day_slope(day["series"])
    return [
        f"* A long list (`bmd-edge bench --day {day.get('asked', day['n_films'])} --json`): {day['n_films']} films,"
        f" {day['distinct']} of"
        f" them distinct, in {day['seconds']:.0f} s;",
        f"  at most {day['peak_rss_mb']:.0f} MB resident in all processes together. Over the second half memory grew",
        f"  by {slope:+.1f} MB per 1,000 films (95 % interval {low:+.1f} to {high:+.1f}).",
        *([f"  {day['note']}"] if "note" in day else []),
    ]


def _moved(reduced: dict[str, Any]) -> list[str]:
    command = f"bmd-edge phantom reduced --n {reduced['n_films']} --precision {reduced['precision']}"
    rows = []
    for name, row in reduced["syntaxes"].items():
        sites = (
            f"{site.replace('_', ' ')} {moved['p99']:.4f} (largest {moved['largest']:.4f})"
            for site, moved in row["moved_gcm2"].items()
        )
        rows.append(f"  {name.split(' Image')[0]}: {', '.join(sites)}, n = {row['n_hips']};")
    said = f"* Reduced decoding against decoding in full (`{command}`) moves estimates, 99th percentile in g/cm2:"
    return [said, *rows[:-1], rows[-1].replace(";", ".")]


def _floor(noise: dict[str, Any]) -> list[str]:
    return [
        f"* The last digits of an image (`{noise['command']}`:",
        f"  noise of SD {noise['noise']:f} of the gray range, {noise['hips']} hips, {noise['draws']} noises each) move"
        f" an estimate by {noise['fp32']['largest']:.6f} g/cm2",
        f"  at most in fp32; in INT8, which rounds up or down, by {noise['int8']['p99']:.4f} in 99 of 100 and"
        f" {noise['int8']['largest']:.4f} at most.",
    ]


def day_slope(series: list[list[float]]) -> tuple[float, float, float]:
    """Growth of resident memory over the second half of a list, MB per 1,000 films, with its 95 % interval.

    Least squares on the means of 20 stretches: neighbors in time are not independent, means of stretches nearly are.
    """
    rows = np.array(series)
    rows = rows[rows[:, 1] >= rows[-1, 1] / 2][:-1]  # at the last look some workers may have ended
    stretches = np.array([part.mean(axis=0) for part in np.array_split(rows, 20)])
    fit = stats.linregress(stretches[:, 1] / 1000, stretches[:, 2])
    half = float(stats.t.ppf(0.975, len(stretches) - 2) * fit.stderr)
    return float(fit.slope), float(fit.slope) - half, float(fit.slope) + half


def draw_day(day: dict[str, Any], path: Path) -> None:
    """Plot memory over the films of a list."""
    import matplotlib.pyplot as plt

    rows = np.array(day["series"])
    figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
    axes.plot(rows[:, 1], rows[:, 2], lw=1, label="resident, summed over the processes")
    axes.plot(rows[:, 1], rows[:, 3], lw=1, label="shared pages counted once")
    axes.axhline(800, color="0.6", lw=1, ls="--")
    axes.set(xlabel="films finished", ylabel="MB", ylim=(0, 900), xlim=(0, None))
    axes.set_title(f"{day['n_films']} synthetic films of 9 Mpx, {day['cpus']} CPUs; aim: below 800 MB", fontsize=10)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    replace_bytes(path, picture.getvalue())
    plt.close(figure)
