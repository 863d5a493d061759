"""A network from its name and keyword arguments, the trained one of a run folder, and its folded copy.

Only this room is shared with the export: forward passes hold nothing that ONNX lacks, and each returns a tuple in the
order of `OUTPUTS`.
"""

import json
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from bmd_edge.errors import UsageError
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


def load_run(run: Path | str) -> nn.Module:
    """The best network of a run folder, in eval mode, on the CPU.

    Raises:
        UsageError: the folder holds no finished checkpoint.
    """
    run = Path(run)
    try:
        network = _untrained(run)
        weights = load_file(run / "checkpoint.safetensors")
    except FileNotFoundError as error:
        raise UsageError(f"{run.name} is no run folder: it has no {Path(str(error.filename)).name}") from error
    network.load_state_dict(weights)
    return network.eval()


def load_fine(run: Path | str) -> nn.Module:
    """The best network of a run folder for an input twice as fine, in eval mode: on it, it answers as the run's network
    does on the means of 2 x 2 pixels.

    Raises:
        UsageError: the folder holds no finished checkpoint, or a network that has no such form.
    """
    load_run(run)
    network = _untrained(Path(run), fine=True)
    take_over(network, Path(run))
    return network.eval()


def _untrained(run: Path, **more: Any) -> nn.Module:
    """The network that a run folder's config.json describes, with `more` arguments."""
    facts = json.loads((run / "config.json").read_text(encoding="utf-8"))
    without = {"pretrained": False} if facts["network"] == "effnet_lite0" else {}  # the checkpoint has every weight
    return build(facts["network"], **facts["kwargs"] | without | more)


def take_over(network: nn.Module, run: Path) -> None:
    """Start from the best weights of a run folder; a network with a `fine` first convolution from those of one without,
    too: on an input twice as fine it then answers as that one does on the means of 2 x 2 pixels.

    Raises:
        UsageError: the folder holds none, or those of a network of another shape.
    """
    weights = load_run(run).state_dict()
    first = "backbone.0.0.weight"
    if first in weights and weights[first].shape[2:] == (3, 3) and network.state_dict()[first].shape[2:] == (6, 6):
        weights[first] = weights[first].repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UsageError(f"init: {run.name} holds a network of another shape; give its settings") from error
