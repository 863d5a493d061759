"""The model card: what a bundle is made of and how good it is, written from figures alone."""

from collections.abc import Mapping
from typing import Any

from bmd_edge.bundle.calibration import SiteCalibration
from bmd_edge.bundle.error_budget import Flip, SiteShift
from bmd_edge.bundle.manifest import Manifest


def model_card(
    manifest: Manifest,
    calibration: Mapping[str, Mapping[str, SiteCalibration]],
    accuracy: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> str:
    """The model card as Markdown, from figures alone; `accuracy` as in `Parts`."""
    films = manifest.provenance.calibration_films
    lines = [
        f"# bmd-edge bundle {manifest.version}",
        "",
        manifest.validity.notice,
        "",
        f"* Training data: {manifest.validity.training_data}.",
        "* Research use only, not for diagnosis. An estimate from a radiograph is no DXA measurement; confirm by DXA.",
        "* Input: one AP hip or pelvis film of an adult; "
        f"region of {manifest.roi_mm:.1f} mm, {manifest.inputs['bmd'].size_px} px.",
        f"* Output: areal BMD in {manifest.unit} ({', '.join(manifest.sites)}) with an interval; no diagnosis.",
        f"* Made on {manifest.provenance.created} by `{manifest.provenance.command}`.",
        *(f"* Network {name}: {_named(run)}." for name, run in manifest.provenance.runs.items()),
        f"* Tools: {_named(manifest.provenance.versions)}.",
        "",
        "## Accuracy",
        "",
    ]
    if films is not None:
        lines += [
            f"Measured on {films.guard_hips} hips of {films.guard_subjects} subjects of the calibration split that "
            f"neither training nor quantization has seen; makers {_named(films.makers)}. These films are of the same "
            "kind as the training data: they say nothing of other films.",
            "",
        ]
    lines += ["| precision | site | n | r | RMSE g/cm2 | bias g/cm2 | 90 % interval: spread x |", "|" + " --- |" * 7]
    for precision, sites in accuracy.items():
        for site, figures in sites.items():
            row = [f"{figures['n']:.0f}", f"{figures['r']:.3f}", f"{figures['rmse_gcm2']:.4f}"]
            row += [f"{figures['bias_gcm2']:+.4f}", f"{calibration[precision][site].scale:.2f}"]
            lines.append(f"| {precision} | {site} | {' | '.join(row)} |")
    if manifest.knowledge:
        lines += ["", "## What the films add", ""]
        lines += [f"* {line}." for line in manifest.knowledge.sentences()]
    lines += ["", "## INT8 against fp32", ""]
    for precision, guard in manifest.guard.items():
        head, *rows = budget_table(precision.replace("_", " "), guard)
        lines += [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
        lines.append("")
    if (made := manifest.provenance.quantization) is not None:
        kept = ", ".join(made.layers_fp32) or "none"
        lines += ["", f"Ranges by {made.range_method}; of {made.layers} layers these stay fp32: {kept}."]
    if not manifest.guard:
        lines.append("This bundle holds no INT8 model.")
    return "\n".join(lines) + "\n"


def budget_table(precision: str, guard: Mapping[str, SiteShift]) -> list[tuple[str, ...]]:
    """The error budget's verdict as a table, the head first: limits and figures of each site."""
    heads = ("limit", *(f"{precision} {name}" for name in guard))
    sites = list(guard.values())
    limits = sites[0].limits
    rows = [
        (f"hips, >= {limits.min_hips}", *(f"{site.n}" for site in sites)),
        (f"mean shift, <= {limits.mean_shift_gcm2} g/cm2", *(f"{site.mean_shift_gcm2:+.4f}" for site in sites)),
        ("95th percentile of the shift", *(f"{site.p95_shift_gcm2:.4f}" for site in sites)),
        (f"99th percentile, <= {limits.p99_shift_gcm2} g/cm2", *(f"{site.p99_shift_gcm2:.4f}" for site in sites)),
        ("largest shift", *(f"{site.max_shift_gcm2:.4f}" for site in sites)),
        ("RMSE against DEXA", *(f"{site.rmse_change:+.2%}" for site in sites)),
        (
            f"its upper 95 % bound, <= {limits.rmse_change_upper95:.0%}",
            *(f"{site.rmse_change_upper95:+.2%}" for site in sites),
        ),
        (
            f"in another WHO range as shown (T rounded to 0.1), <= {limits.flip_share:.1%}",
            *(f"{len(site.flips)} ({len(site.flips) / site.n:.1%})" for site in sites),
        ),
        (
            f"of them further than {limits.flip_distance_gcm2} g/cm2 from the cut, none",
            *(f"{sum(_distance(flip) > limits.flip_distance_gcm2 for flip in site.flips)}" for site in sites),
        ),
        ("makers judged alone", *(_makers(site) for site in sites)),
        ("verdict", *("passed" if site.passed else "FAILED" for site in sites)),
    ]
    return [heads, *rows]


def _distance(flip: Flip) -> float:
    return abs(flip.fp32_gcm2 - flip.cut_gcm2)


def _makers(site: SiteShift) -> str:
    judged = [maker for maker, shift in site.per_maker.items() if shift.n >= site.limits.maker_min_hips]
    return ", ".join(judged) or f"none has {site.limits.maker_min_hips} hips"


def _named(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items()) or "not stated"
