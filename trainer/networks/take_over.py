"""The weights of a trained network for a larger one, which starts with the same answers: for an input twice as fine
(`fine`), or of more channels (Chen et al., Net2Net, ICLR 2016).
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from bmd_edge.errors import UsageError
from trainer.networks.build import load_run, untrained


def take_over(network: nn.Module, run: Path) -> None:
    """Start from the best weights of a run folder. A network with a `fine` first convolution can come from one without:
    on an input twice as fine it answers as that one does on the means of 2 x 2 pixels. One of twice (four times) the
    channels can come from the narrower: it answers the same.

    Raises:
        UsageError: the folder holds none, or those of a network of another shape.
    """
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    try:
        weights = {name: _grown(value, shapes[name]) for name, value in load_run(run).state_dict().items()}
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise UsageError(f"init: {run.name} holds a network of another shape; give its settings") from error


def load_fine(run: Path) -> nn.Module:
    """The best network of a run folder in its `fine` form, in eval mode.

    Raises:
        UsageError: the folder holds no finished checkpoint, or a network that has no such form.
    """
    load_run(run)
    network = untrained(run, fine=True)
    take_over(network, run)
    return network.eval()


def _grown(weight: Tensor, shape: torch.Size) -> Tensor:
    """A parameter, (out,) or (out, in), in a larger shape; at its end 6 x 6 pixels for 3 x 3 where they are finer."""
    if weight.ndim == 0:
        return weight
    if weight.shape[2:] == (3, 3) and shape[2:] == (6, 6):
        weight = weight.repeat_interleave(2, 2).repeat_interleave(2, 3) / 4
    weight = weight.repeat(shape[0] // weight.shape[0], *(1,) * (weight.ndim - 1))
    if weight.ndim == 1 or shape[1] == weight.shape[1]:
        return weight
    copies = shape[1] // weight.shape[1]
    if copies == 0:
        return weight
    # Each copy of a channel is read with a share of its weight, by each reader with another one: else all copies
    # would learn the same.
    shares = 0.5 + torch.rand((shape[0], copies, weight.shape[1]), generator=torch.Generator().manual_seed(0))
    shares = (shares / shares.sum(1, keepdim=True)).reshape(*shares.shape, *(1,) * (weight.ndim - 2))
    return (weight[:, None] * shares).flatten(1, 2)
