"""What the proofs of the embedded bundle found, in words, from the committed JSON of `make proofs`."""

import textwrap
from typing import Any

from calibration.study.assumptions import Assumptions

_SHIFTS = {
    "maker": "a maker that no training saw",
    "processing": "another processing",
    "kvp": "10 kV more",
    "spacing": "a spacing 5 % off",
    "older patients": "patients ten years older",
}


def coverage(found: dict[str, Any], score: dict[str, Any], validation: dict[str, Any]) -> str:
    """How often intervals and headline cuts keep their promise: `coverage.json`, beside the figures of whole films."""
    sites = found["precisions"]["int8"]
    neck, hip = (_share(sites[site]["shipped"]) for site in ("femoral_neck", "total_hip"))
    unseen = [sites[site]["unseen_makers"] for site in ("femoral_neck", "total_hip")]
    fresh = score["bmd"]["femoral_neck"]["coverage_of_90_percent_interval"]
    validated = validation["precisions"]["int8"]["sites"]["femoral_neck"]["figures"]["coverage"]["value"]
    cuts = {part: found["headline"]["int8"][part] for part in ("sensitivity", "specificity")}
    kept = (f"{part} {one['coverage']:.2f} ({one['low']:.2f} to {one['high']:.2f})" for part, one in cuts.items())
    return _paragraph(
        f"On fresh **synthetic** regions of interest ({sites['total_hip']['shipped']['hips']:,} of them, cut around the"
        f" true place of the hip plus an assumed error of the finder; `calibration/results/coverage.json`{_of(found)})"
        f" the INT8 intervals, calibrated on {found['calibrated_on_hips']['int8']:,} hips, cover {neck} at the neck and"
        f" {hip} at the total hip; by a maker that no training saw, {_percent(unseen[0]['coverage'])} and"
        f" {_percent(unseen[1]['coverage'])} of {unseen[0]['hips']} hips. The headline's cuts had {' and '.join(kept)}"
        f" on {sum(one['subjects'] for one in cuts.values()):,} subjects. On whole films, where the finder itself"
        f" places the region, the embedded bundle's intervals hold at the neck {_percent(fresh)} of the fresh films"
        f" above, and {_percent(validated)} of those validated against DEXA-like labels, where"
        f" {_percent(found['wanted'], 0)} are meant: they are made for films and anatomies that differ more."
    )


def recalibration(found: dict[str, Any]) -> str:
    """What a recalibration removes and what it costs where nothing is to be removed, from `planted.json`."""
    sites = found["precisions"]["int8"].values()
    planted = [one["offset +0.05, slope 0.9"] for one in sites]
    bias = [one["abs_bias_gcm2"] for one in planted]
    rmse = [one["nothing"]["rmse_change"] for one in sites]
    refused = max(one["refused"] for site in sites for one in site.values())
    unbelieved = f"; of {planted[0]['draws']} draws {refused} at most gave a line that is refused" if refused else ""
    return _paragraph(
        f"On **synthetic** films (`calibration/results/planted.json`{_of(found)}): with +0.05 g/cm2 and a slope of 0.9"
        f" planted, {planted[0]['subjects']} subjects leave a bias of {max(one['median'] for one in bias):.3f} in the"
        f" median and {max(one['p90'] for one in bias):.3f} in nine of ten draws on"
        f" {planted[0]['other_subjects']} others; where nothing was planted the RMSE grows by"
        f" {_percent(max(one['mean'] for one in rmse))} on average, and by"
        f" {_percent(max(one['p90'] for one in rmse))} in one draw of ten{unbelieved}."
    )


def study(sizes: dict[str, Any], pooling: dict[str, Any], measured: Assumptions, stated: Assumptions) -> str:
    """What a plan takes of the embedded bundle, sizes of common aims with the share of simulated studies that showed
    them, and what pooling holds.
    """
    known, kinds = sizes["assumptions"], pooling["kinds"]
    rows = [
        f"| `{one['aim']}` | {one['subjects']} | {one['enrolled']} | {_percent(one['reached'])} |"
        for one in sizes["aims"]
    ]
    first, second = kinds["one off"], kinds["drawn around a mean"]
    return "\n".join([
        _paragraph(
            f"Of the embedded bundle a plan takes the {measured.source.partition(';')[0]}: {_errors(measured)}, where"
            " 90 % are meant. Real films may well be read worse, so beside it stands what each aim would need with the"
            f" {stated.source.partition(';')[0]}, which are the films that its intervals are made for:"
            f" {_errors(stated)}. Of any other bundle only the latter is known, and planned with."
        ),
        "",
        _paragraph(
            f"**Synthetic**, from drawn numbers alone (`{sizes['command']}`): RMSE"
            f" {known['rmse_gcm2']['femoral_neck']:g}, bias {known['bias_gcm2']['femoral_neck']:g} g/cm2,"
            f" {known['hips']:g} hips a subject, prevalence"
            f" {known['prevalence']:g}, {_percent(known['left_out'], 0)} without both numbers; each aim planned with"
            f" {_percent(sizes['aims'][0]['planned'], 0)}, and shown in so many of {sizes['n']:,} simulated studies:"
        ),
        "",
        "| aim | subjects with both numbers | to enroll | shown |",
        "| --- | --- | --- | --- |",
        *rows,
        "",
        _paragraph(
            f"Of {pooling['n']:,} simulated sets of {pooling['clinics']} clinics, drawn around a mean, the pooled 95 %"
            f" interval held that mean in {second['random']:,}; of as many with one clinic off by 0.05 g/cm2 it held"
            f" the clinics' own mean in {first['random']:,}: it is of all clinics like these, and wide for these alone."
            f" Of these alone is the fixed effect, whose interval held their mean by precision in"
            f" {second['fixed_of_these']:,} and {first['fixed_of_these']:,} (`{pooling['command']}`)."
        ),
    ])  # fmt: skip


def _errors(known: Assumptions) -> str:
    neck, hip = known.rmse_gcm2.values()
    return (
        f"RMSE {neck:.3f} (neck) and {hip:.3f} g/cm2 (total hip), {_percent(known.coverage)} inside the"
        " intervals of the worse site"
    )


def drift(found: dict[str, Any]) -> str:
    """How fast the charts see planted shifts and how seldom they cry wolf, from `drift.json`."""
    int8 = found["precisions"]["int8"]
    delays = {name: one["p90"] for name, one in int8["delay_in_studies"].items()}
    if not str(delays["kvp, not stated"]).startswith(">"):
        raise ValueError("the page says that kV which no header states are not seen: write it anew")
    seen = ", ".join(f"{words} {delays[name]:.0f}" for name, words in _SHIFTS.items())
    run = round(int8["in_control"]["average_run_length"], -2)
    return _paragraph(
        f"On **synthetic** films (`calibration/results/drift.json`{_of(found)}) nine of ten planted shifts are seen"
        f" within so many studies: {seen}; in control there is one false alarm in {run:,} studies. Ten kV more that no"
        " header states are not seen: they hardly move the image."
    )


def _of(found: dict[str, Any]) -> str:
    """Which bundle was measured: not always the embedded one."""
    return f", bundle {found['bundle']} ({found['bundle_digest'][:8]})"


def _share(one: dict[str, float]) -> str:
    return f"{_percent(one['coverage'])} ({_percent(one['low'])} to {_percent(one['high'])})"


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"


def _paragraph(words: str) -> str:
    return textwrap.fill(words, 120, break_on_hyphens=False, break_long_words=False)
