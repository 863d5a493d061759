"""Run folder -> ONNX file with its contract inside, and the facts that name the run in a bundle."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bmd_edge.bundle.network_input import BMD, FINDER_CLOSEUP, FINDER_SURVEY, InputSpec
from bmd_edge.errors import UsageError
from bmd_edge.sites import SITES
from calibration.fit.stretch import Stretch
from export.onnx_file.spread import fit_spread
from export.onnx_file.to_onnx import onnx_from_network
from trainer.adapt.record import read_adapted
from trainer.networks.bmd_net import BmdNet
from trainer.networks.build import load_run, shortened
from trainer.networks.ensemble import Ensemble
from trainer.networks.outputs import OUTPUTS
from trainer.networks.take_over import load_fine

SPECS: dict[str, InputSpec] = {"finder_survey": FINDER_SURVEY, "finder_closeup": FINDER_CLOSEUP, "bmd": BMD}
"""The inputs of networks by name; a run of the BMD network may have another one: `inputs_of_run`."""


def inputs_of_run(run: Path) -> dict[str, InputSpec]:
    """The inputs of a bundle with the BMD network of this run folder."""
    facts = json.loads((run / "config.json").read_text(encoding="utf-8"))
    return {**SPECS, "bmd": InputSpec(**facts["input"]) if "input" in facts else BMD}


def onnx_from_run(
    name: str,
    run: Path,
    path: Path,
    others: Sequence[Path] = (),
    stretch: Stretch | None = None,
    unseen: tuple[Iterable[NDArray[np.float32]], NDArray[np.float64]] | None = None,
) -> float:
    """Export the network of a run folder, or with `others` the ensemble of several BMD networks, its weights shortened;
    returns the difference to torch as `onnx_from_network` does. One of the others that reads the same square in pixels
    twice as wide is given its fine form. With `stretch` estimates and spread are stretched, at no cost: the scale of
    the labels, by which every BMD network's answer is multiplied anyway, is another. With `unseen`, images in batches
    and their DEXA, the spread is fitted to the errors on these hips (`export.onnx_file.spread.fit_spread`).

    Raises:
        UsageError: one of the others reads another input.
    """
    specs = inputs_of_run(run)
    spec = specs["bmd" if name == "bmd" else "finder_closeup"]
    contract = {
        "input": json.dumps({"image": ["batch", 1, spec.size_px, spec.size_px], "range": "0..1, bone bright"}),
        "inputs": json.dumps({key: each.facts() for key, each in specs.items() if key.startswith(name)}),
        "sites": json.dumps(SITES),
        "unit": "g/cm2",
        "task": name,
        "use": "research only, not for diagnosis",
    }
    network = load_run(run)
    if others:
        network = Ensemble([network, *(_reading_as(run, other) for other in others)]).eval()
    if stretch is not None:
        _stretch(network, stretch)
    if unseen is not None:
        fit_spread(network, *unseen)
    return onnx_from_network(shortened(network), golden_input(spec), OUTPUTS[name], path, contract)


def _stretch(network: nn.Module, by: Stretch) -> None:
    """Each member's estimate becomes slope * estimate + intercept, and so does the mean; its spread slope * spread."""
    slope = torch.tensor(by.slope, dtype=torch.float32)
    for member in network.modules():
        if isinstance(member, BmdNet):
            member.label_mean = slope * member.label_mean + torch.tensor(by.intercept_gcm2, dtype=torch.float32)
            member.label_sd = slope * member.label_sd


def _reading_as(first: Path, run: Path) -> nn.Module:
    """The run's network in the form that reads the input of the first."""
    spec, own = (inputs_of_run(each)["bmd"] for each in (first, run))
    if own == spec:
        return load_run(run)
    if own == replace(spec, size_px=spec.size_px // 2, spacing_mm=2 * spec.spacing_mm):
        return load_fine(run)
    raise UsageError(f"{run.name} reads another input than {first.name}: an ensemble needs one for all")


def golden_input(spec: InputSpec) -> NDArray[np.float32]:
    """Two synthetic images (2, 1, size, size) float32, 0..1: soft blobs of several sizes, in 1/255 steps."""
    rng = np.random.default_rng(spec.size_px)
    y, x = np.mgrid[: spec.size_px, : spec.size_px] / spec.size_px
    image = np.zeros((2, 1, spec.size_px, spec.size_px))
    for _ in range(24):
        row, column, size = rng.uniform(0, 1, 2)[:, None], rng.uniform(0, 1, 2)[:, None], rng.uniform(0.02, 0.3)
        blob = np.exp(-((y.ravel() - row) ** 2 + (x.ravel() - column) ** 2) / (2 * size**2))
        image += rng.normal() * blob.reshape(image.shape)
    image -= image.min(axis=(2, 3), keepdims=True)
    image /= image.max(axis=(2, 3), keepdims=True)
    return (np.round(image * 255) / 255).astype(np.float32)


def run_facts(run: Path) -> dict[str, str]:
    """What a bundle says of a run: network, settings, the hash of its weights, and what it went on from."""
    facts = json.loads((run / "config.json").read_text(encoding="utf-8"))
    weights = (run / "checkpoint.safetensors").read_bytes()
    settings = json.dumps(facts["kwargs"], sort_keys=True)
    own = {"network": facts["network"], "settings": settings, "checkpoint_sha256": hashlib.sha256(weights).hexdigest()}
    made = run / "versions.json"
    made_with = json.loads(made.read_text(encoding="utf-8")) if made.is_file() else {}
    own |= {name: made_with[name] for name in ("init", "init_checkpoint_sha256") if name in made_with}
    adapted = read_adapted(run)
    return own | (adapted.facts if adapted else {})
