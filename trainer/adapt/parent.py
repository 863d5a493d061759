"""The network that is adapted: that of a run folder, or of a bundle, whose weights are read back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bmd_edge.bundle.bundle import VerifiedBundle, read_bundle
from bmd_edge.bundle.layout import MANIFEST
from bmd_edge.errors import BundleError, MissingExtra, UsageError, nearest
from bmd_edge.sites import SITES
from bmd_edge.system.files import replace_bytes
from trainer.methods.batch_statistics import settle
from trainer.networks.build import build, check_run, input_of
from trainer.run.run_folder import write_tensors

EMBEDDED = "embedded"
"""Names the bundle of the installation."""

Arrays = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Parent:
    """Run folders of the networks, each of which is adapted and all name pseudo BMDs; what a bundle says of them: its
    version and digest, and the multiplier of the mean spread for its interval (sites,), None of a run.
    """

    runs: tuple[Path, ...]
    facts: dict[str, str]
    scale: NDArray[np.float64] | None


def parent_of(place: Path | None, scratch: Path, images: Iterable[Tensor]) -> Parent:
    """What is adapted.

    Args:
        place: a run folder, or a bundle; None is the embedded one.
        scratch: folder that gets the run folders of a bundle's networks.
        images: labelled films (n, 1, px, px) at a time, whose statistics the norms of a bundle get.

    Raises:
        UsageError: the folder is neither, or a bundle's weights cannot be read back.
        MissingExtra: a bundle's file cannot be read without the package onnx.
    """
    if place is not None and not (place / MANIFEST).is_file():
        check_run(place)
        return Parent((place,), {"run": place.name}, None)
    bundle = read_bundle(place)
    batches = list(images)
    runs = []
    for number, (facts, network) in enumerate(networks_of(bundle), 1):
        settle(network, batches)
        run = scratch / str(number)
        run.mkdir(parents=True, exist_ok=True)
        replace_bytes(run / "config.json", json.dumps(facts, indent=1).encode())
        write_tensors(run / "checkpoint.safetensors", network.state_dict(), {"bundle": bundle.digest})
        runs.append(run)
    sites = bundle.calibration["fp32"].sites
    scale = np.array([sites[site].scale for site in SITES])
    return Parent(tuple(runs), {"bundle": bundle.manifest.version, "bundle_digest": bundle.digest}, scale)


def check_parent(place: Path | None) -> None:
    """What can be wrong with a parent, as of `parent_of`, without reading its weights."""
    if place is not None and not place.is_dir():
        raise UsageError(
            f"{place.name}: no such folder{nearest(place.name, [EMBEDDED])}; give a bundle, a run folder, or {EMBEDDED}"
        )
    input_facts(place)
    if (place is None or (place / MANIFEST).is_file()) and find_spec("onnx") is None:
        raise MissingExtra("onnx", "export")


def input_facts(place: Path | None) -> Any:
    """The input of the networks that are adapted, an `InputSpec`."""
    if place is not None and not (place / MANIFEST).is_file():
        check_run(place)
        return input_of(place)
    return read_bundle(place).inputs["bmd"]


def networks_of(bundle: VerifiedBundle) -> list[tuple[dict[str, Any], nn.Module]]:
    """The BMD networks of a bundle in eval mode, each with what its run's config.json says; their mean is held against
    the answers that the bundle keeps for its self-test.
    """
    arrays, runs = _arrays(bundle), bundle.manifest.provenance.runs
    names = [name for name in runs if name == "bmd" or name.startswith("bmd_")]
    found = []
    for number, name in enumerate(names):
        kwargs = json.loads(runs[name]["settings"])
        facts = {"network": runs[name]["network"], "kwargs": kwargs, "input": bundle.inputs["bmd"].facts()}
        prefix = f"members.{number}." if len(names) > 1 else ""
        found.append((facts, _read_back(build(facts["network"], **kwargs), arrays, prefix)))
    golden = bundle.golden()
    with torch.no_grad():
        answers = [network(torch.from_numpy(golden["bmd/input/image"]))[0] for _, network in found]
    if not np.allclose(torch.stack(answers).mean(0).numpy(), golden["bmd/fp32/bmd"], atol=1e-3):
        raise UsageError("the weights of this bundle cannot be read back: give the run folder that it was made of")
    return found


def _arrays(bundle: VerifiedBundle) -> Arrays:
    try:
        import onnx
        from onnx import numpy_helper
    except ModuleNotFoundError as error:
        raise MissingExtra("onnx", "export") from error
    model = onnx.load_from_string(bundle.model_bytes("bmd", "fp32"))
    return {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}


def _read_back(network: nn.Module, arrays: Arrays, prefix: str) -> nn.Module:
    """A network with the weights of an exported file, where each batch norm is part of the convolution before it."""
    weights = dict(network.state_dict())
    folded: dict[str, str] = {}
    for name, block in network.named_modules():
        for place, (convolution, norm) in enumerate(pairwise(block)) if isinstance(block, nn.Sequential) else ():
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                # Its bias: that of a convolution that was folded in torch, or the one that the exporter made.
                names = (f"{name}.{place}.bias", f"{name}.{place}.weight_bias")
                folded[f"{name}.{place + 1}"] = next((one for one in names if prefix + one in arrays), names[0])
                weights[f"{name}.{place + 1}.weight"].fill_((1 + norm.eps) ** 0.5)
    try:
        for norm_name, bias in folded.items():
            weights[f"{norm_name}.bias"].copy_(torch.tensor(arrays[prefix + bias]))
        for name, value in weights.items():
            if name.rpartition(".")[0] not in folded:
                # What two members have in common, such as the scale of the labels, an exported file holds once.
                there = prefix + name if prefix + name in arrays else f"members.0.{name}"
                value.copy_(torch.tensor(arrays[there]).reshape(value.shape))
    except (KeyError, RuntimeError) as error:
        raise BundleError(
            "the weights of this bundle cannot be read back: give the run folder that it was made of"
        ) from error
    return network.eval()
