"""A network from its name and keyword arguments, the trained one of a run folder, and its folded copy.

Only this room is shared with the export: forward passes hold nothing that ONNX lacks, and each returns a tuple in the
order of `OUTPUTS`.
"""

import json
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bmd_edge.bundle.layout import MANIFEST
from bmd_edge.bundle.network_input import BMD, InputSpec
from bmd_edge.errors import UsageError
from bmd_edge.system.own_files import mistaken
from trainer.networks.backbones import BACKBONES
from trainer.networks.bmd_net import BmdNet
from trainer.networks.finder_net import FinderNet


def build(name: str, **kwargs: Any) -> nn.Module:
    """Make an untrained network.

    Args:
        name: "finder" or a key of `BACKBONES`.
        kwargs: of the network; those of `BmdNet` too for a BMD network.

    Raises:
        UsageError: no network has this name or takes these arguments.
        MissingExtra: ImageNet weights were asked for and are not installed.
    """
    try:
        if name == "finder":
            return FinderNet(**kwargs)
        if name in BACKBONES:
            own = {key: kwargs.pop(key) for key in ("label_mean", "label_sd", "ranking") if key in kwargs}
            return BmdNet(*BACKBONES[name](**kwargs), **own)
    except TypeError as error:
        raise UsageError(f"network {name}: {error}") from error
    raise UsageError(f"no network is called {name!r}; there are finder, {', '.join(BACKBONES)}")


def folded(network: nn.Module) -> nn.Module:
    """A copy in eval mode whose batch norms are part of their convolutions: the same numbers, about a third sooner."""
    copy = deepcopy(network).eval()
    for block in [block for block in copy.modules() if isinstance(block, nn.Sequential)]:
        for place, (convolution, norm) in enumerate(pairwise(block)):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                block[place], block[place + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
    return copy


def shortened(network: nn.Module) -> nn.Module:
    """A folded copy with weights of 11 binary digits, as halves have: its files pack to half, and an estimate of BMD
    moves by some 0.0001 g/cm2.
    """
    copy = folded(network)
    for weight in copy.parameters():
        bits = weight.data.view(torch.int32)
        bits.add_(1 << 12).bitwise_and_(-(1 << 13))
    return copy


def load_run(run: Path | str) -> nn.Module:
    """The best network of a run folder, in eval mode, on the CPU.

    Raises:
        UsageError: the folder holds no finished checkpoint.
    """
    run = Path(run)
    network, weights = untrained(run), load_file(run / "checkpoint.safetensors")
    network.load_state_dict(weights)
    return network.eval()


def untrained(run: Path, **more: Any) -> nn.Module:
    """The network that a run folder's config.json describes, with `more` arguments.

    Raises:
        UsageError: this is no folder of a finished run.
    """
    facts = _facts(run)
    without = {"pretrained": False} if facts["network"] == "effnet_lite0" else {}  # the checkpoint has every weight
    return build(facts["network"], **facts["kwargs"] | without | more)


def input_of(run: Path) -> InputSpec:
    """What the BMD network of a run folder reads."""
    facts = _facts(run)
    return InputSpec(**facts["input"]) if "input" in facts else BMD


def check_run(run: Path, finder: bool = False) -> None:
    """UsageError if this is no folder of a finished training of the BMD network, or with `finder` of a finder."""
    if (_facts(run)["network"] == "finder") != finder:
        named = ("a finder", "a BMD network") if not finder else ("a BMD network", "a finder")
        raise UsageError(f"{run.name} is the run of {named[0]}: give the run folder of {named[1]}")


def _facts(run: Path) -> dict[str, Any]:
    if (run / MANIFEST).is_file():
        raise UsageError(f"{run.name} is a bundle: give the run folder that it was made of")
    if said := mistaken(run, "run"):
        raise UsageError(said)
    if not run.is_dir():
        raise UsageError(f"{run.name}: no such folder; a run folder is what `bmd-edge train` writes to --out")
    for name in ("config.json", "checkpoint.safetensors"):
        if not (run / name).is_file():
            raise UsageError(
                f"{run.name} is no run folder: it has no {name}; give the --out of a `bmd-edge train` that has ended"
            )
    facts: dict[str, Any] = json.loads((run / "config.json").read_text(encoding="utf-8"))
    return facts
