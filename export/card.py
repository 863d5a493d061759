"""The model card: what a bundle is made of and how good it is, written from figures alone."""

from collections.abc import Mapping
from typing import Any

from bmd_edge.bundle import SiteCalibration
from bmd_edge.manifest import Manifest
from export.parity import Parity


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
    lines += ["", "## INT8 against fp32", ""]
    for precision, guard in manifest.guard.items():
        lines += [f"* {sentence}" for sentence in Parity(precision, guard).sentences()]
    if not manifest.guard:
        lines.append("This bundle holds no INT8 model.")
    return "\n".join(lines) + "\n"


def _named(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items()) or "not stated"
