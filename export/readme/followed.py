"""What following hips on the phantom found, in words, from the committed JSON of `export.proofs.follow`."""

import textwrap
from typing import Any

from bmd_edge.sites import SITES

_NAMES = {"femoral_neck": "femoral neck", "total_hip": "total hip"}


def follow(found: dict[str, Any]) -> str:
    """False alarms, power, slope, units and years, from `follow.json`."""
    return "\n\n".join([_intro(found), _power(found), _rest(found), _years(found), _after(found)])


def _intro(found: dict[str, Any]) -> str:
    (none, *_), clinic = found["counted"], found["clinic"]["total_hip"]
    made = f"`{found['command']}`, bundle {found['bundle']} ({found['bundle_digest'][:8]}), {found['precision']}"
    return _paragraph(
        f"**Synthetic**: {found['subjects']} subjects of the phantom, filmed once a year, 2 to 6 times in other poses"
        f" and with other exposures; {found['films']} films with those of others ({made}). No film states its"
        f" magnification. By the precision of {clinic['degrees_of_freedom']} other subjects a change was stated of"
        f" {_share(none)} of {none['n']} that lose nothing. For the table every loss is planted on the errors of all"
        f" of them, and precision is measured on 40 of them drawn anew a hundred times; of how many of the others a"
        f" change is stated, with 95 % intervals:"
    )


def _power(found: dict[str, Any]) -> str:
    visits = sorted({row["visits"] for row in found["modeled"]})
    lines = ["| loss a year | " + " | ".join(f"{n} visits" for n in visits) + " |", "| --- |" + " --- |" * len(visits)]
    for rate in dict.fromkeys(row["loss_a_year"] for row in found["modeled"]):
        cells = [_share(row) for row in found["modeled"] if row["loss_a_year"] == rate]
        lines.append(f"| {100 * rate:g} % | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _rest(found: dict[str, Any]) -> str:
    looks = max(found["any_look"], key=lambda row: row["stated"] or 0.0)
    units = found["other_unit"]
    slopes = " and ".join(f"{_slope(found['longitudinal_slope'][site])} ({_NAMES[site]})" for site in SITES)
    named = f"{units['named']:.0%} ({units['low']:.0%} to {units['high']:.0%}) of {units['n']} series"
    return _paragraph(
        f"Whoever looks after every visit gets a false word of {_percent(looks['stated'])} of unchanged hips at most"
        f" ({looks['visits']} visits, {looks['n']} hips). Estimated over true change is {slopes}; below 1 a loss is"
        f" understated. A change of X-ray unit halfway was named in {named}."
    )


def _years(found: dict[str, Any]) -> str:
    head = "| years until a loss of 1 % a year can be told | femoral neck | total hip |\n| --- | --- | --- |\n"
    years, before = found["years_to_tell_1_percent"], found["before"]
    rows = []
    if before:
        rows.append((f"one film a visit, {before['bundle']}", before["years_to_tell_1_percent"], "one film"))
    for name, words in (
        ("one film", "one film a visit"),
        ("two films a visit",) * 2,
        ("both hips", "both hips, their mean"),
    ):
        rows.append((f"{words}, {found['bundle']}" if name == "one film" else words, years, name))
    cells = [(words, *(one[site][name] for site in SITES)) for words, one, name in rows]
    lines = (
        f"| {words} | " + " | ".join(f"{c['years']} ({c['low']} to {c['high']})" for c in some) + " |"
        for words, *some in cells
    )
    return head + "\n".join(lines)


def _after(found: dict[str, Any]) -> str:
    years = found["years_to_tell_1_percent"]
    apart = " and ".join(f"{years[site]['correlation of both hips']:.2f}" for site in SITES)
    return _paragraph(
        "That is one comparison between two visits: 2.77 times the SD, over the estimated loss a year; the interval is"
        " that of the SD alone. Errors of both"
        f" hips of a pelvis are correlated by {apart}."
    )


def _share(row: dict[str, Any]) -> str:
    return f"{_percent(row['stated'])} ({_percent(row['low'])} to {_percent(row['high'])})"


def _slope(one: dict[str, Any] | None) -> str:
    return "not known" if one is None else f"{one['slope']:.2f} ({one['low']:.2f} to {one['high']:.2f})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _paragraph(words: str) -> str:
    return textwrap.fill(words, 120, break_on_hyphens=False, break_long_words=False)
