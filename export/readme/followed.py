"""What following hips on the phantom found, in words, from the committed JSON of `export.proofs.follow`."""

import textwrap
from typing import Any

from bmd_edge.follow.change import comparisons_after, least_change
from bmd_edge.sites import SITES

_NAMES = {"femoral_neck": "femoral neck", "total_hip": "total hip"}


def follow(found: dict[str, Any]) -> str:
    """False alarms, power, slope, units and years, from `follow.json`."""
    return "\n\n".join([_intro(found), _power(found), _rest(found), _years(found), _after(found)])


def _intro(found: dict[str, Any]) -> str:
    clinic = found["clinic"]["total_hip"]
    made = f"`{found['command']}`, bundle {found['bundle']} ({found['bundle_digest'][:8]}), {found['precision']}"
    return _paragraph(
        f"**Synthetic**: {found['subjects']} subjects of the phantom, filmed once a year, 2 to 6 times, in other poses"
        f" and with other exposures, without a loss, and three fifths of them again with one; {found['films']} films"
        f" ({made}). No film states its magnification. Counted, by the precision of {clinic['hips']} other subjects:"
        f" the share of series of which a change was stated, with its 95 % interval, and how many series. Behind it,"
        f" modeled: every loss planted on what films of all {found['subjects']} differ by when nothing is lost, a"
        f" clinic's precision drawn anew a hundred times."
    )


def _power(found: dict[str, Any]) -> str:
    visits = sorted({row["visits"] for row in found["counted"]})
    lines = ["| loss a year | " + " | ".join(f"{n} visits" for n in visits) + " |", "| --- |" + " --- |" * len(visits)]
    modeled = {(row["loss_a_year"], row["visits"]): row for row in found["modeled"]}
    for rate in dict.fromkeys(row["loss_a_year"] for row in found["counted"]):
        cells = [
            f"{_share(row)} of {row['n']}; {_percent(modeled[rate, row['visits']]['stated'])}"
            for row in found["counted"]
            if row["loss_a_year"] == rate
        ]
        lines.append(f"| {100 * rate:g} % | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rest(found: dict[str, Any]) -> str:
    looks = max((row for row in found["counted"] if row["loss_a_year"] == 0), key=lambda row: row["ever"]["stated"])
    units, sizes = found["other_unit"], found["two_sizes"]
    wrongly = sizes["true_series"]
    slopes = " and ".join(f"{_slope(found['longitudinal_slope'][site])} ({_NAMES[site]})" for site in SITES)
    named = f"{_share(units | {'stated': units['named']})} of {units['n']} series"
    return _paragraph(
        f"Whoever looks after every visit gets a false word of {_share(looks['ever'])} of unchanged hips at most"
        f" ({looks['visits']} visits, {looks['n']} hips). Estimated over true change is {slopes}; below 1 a loss is"
        f" understated. Taken for two patients' by the size of the hip (`two_sizes`), wrongly, so that nothing is"
        f" stated of them, were {_share(wrongly | {'stated': wrongly['wrongly']})} of {wrongly['n']} series of"
        f" {max(row['visits'] for row in found['counted'])} visits; of hips of two subjects, a film each,"
        f" {_percent(sizes['strangers'])} are told apart by it. A change of X-ray unit halfway was named in {named}."
    )


def _years(found: dict[str, Any]) -> str:
    bundles = [(found["bundle"], found["years_to_tell_1_percent"])]
    if before := found["before"]:
        bundles.insert(0, (before["bundle"], before["years_to_tell_1_percent"]))
    names = [name for name, one in bundles[-1][1]["total_hip"].items() if isinstance(one, dict)]
    heads = [f"{_NAMES[site]}, {bundle}" for site in SITES for bundle, _ in bundles]
    lines = [f"| films at each visit | {' | '.join(heads)} |", "| --- |" + " --- |" * len(heads)]
    for name in names:
        cells = [years[site][name] for site in SITES for _, years in bundles]
        lines.append(f"| {name} | " + " | ".join(f"{c['years']} ({c['low']} to {c['high']})" for c in cells) + " |")
    return "Years until a loss of 1 % a year can be told:\n\n" + "\n".join(lines)


def _after(found: dict[str, Any]) -> str:
    years, clinic = found["years_to_tell_1_percent"], found["clinic"]
    apart = " and ".join(f"{years[site]['correlation of both hips']:.2f}" for site in SITES)
    longer = max(
        least_change(clinic[site]["rms_sd_high_gcm2"], 1, 1, comparisons_after(1))
        / years[site]["one hip, one film"]["lsc_gcm2"]
        for site in SITES
    )
    return _paragraph(
        "That is one comparison between two visits: 2.77 times the SD, over the estimated loss a year; the interval is"
        f" that of the SD alone. `follow`, which looks at both sites and takes the upper limit of the precision of"
        f" {clinic['total_hip']['hips']} subjects, needs {longer:.1f} times as long. Errors of both hips of a pelvis"
        f" are correlated by {apart}."
    )


def _share(row: dict[str, Any]) -> str:
    return f"{_percent(row['stated'])} ({_percent(row['low'])} to {_percent(row['high'])})"


def _slope(one: dict[str, Any] | None) -> str:
    return "not known" if one is None else f"{one['slope']:.2f} ({one['low']:.2f} to {one['high']:.2f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _paragraph(words: str) -> str:
    return textwrap.fill(words, 120, break_on_hyphens=False, break_long_words=False)
