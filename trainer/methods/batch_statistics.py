"""The running statistics of batch norms: whose films they are of."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch norms of a network."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def take_statistics(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Replace the running mean and variance of every batch norm by those of these images (AdaBN; Li et al., Pattern
    Recognition 2018); the network is in train mode afterwards.

    Args:
        network: changed in place, its weights are not.
        images: batches (n, 1, px, px); each layer gets the mean of what it finds in them.
    """
    found, device = norms(network), next(network.parameters()).device
    usual = [norm.momentum for norm in found]
    for norm in found:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain mean of all batches
    network.train()
    with torch.no_grad():
        for batch in images:
            network(batch.to(device))
    for norm, momentum in zip(found, usual, strict=True):
        norm.momentum = momentum


def settle(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Give batch norms that know no films, such as those of a bundle's folded weights, the statistics of these images,
    and scales and shifts with which the network in eval mode says what it said; it is in eval mode afterwards.

    Args:
        network: changed in place.
        images: batches (n, 1, px, px).
    """
    found = norms(network.eval())
    sums = {norm: [torch.zeros(3, norm.num_features, dtype=torch.float64)] for norm in found}

    def count(norm: nn.Module, given: tuple[Tensor]) -> None:
        values = given[0].transpose(0, 1).flatten(1).double()
        assert isinstance(norm, _BatchNorm)
        own = torch.stack([torch.full_like(values[:, 0], values.shape[1]), values.sum(1), values.square().sum(1)])
        sums[norm].append(own.cpu())

    hooks = [norm.register_forward_pre_hook(count) for norm in found]
    with torch.no_grad():
        for batch in images:
            network(batch.to(next(network.parameters()).device))
        for hook in hooks:
            hook.remove()
        for norm in found:
            n, total, squares = torch.stack(sums[norm]).sum(0)
            mean, variance = total / n, (squares / n - (total / n) ** 2).clamp(min=0)
            _say_the_same(norm, mean, variance)


def _say_the_same(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    """Another mean and variance (features,), and the scale and shift that make up for it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight.double().cpu() / (norm.running_var.double().cpu() + norm.eps).sqrt()
    norm.bias.add_((slope * (mean - norm.running_mean.double().cpu())).to(norm.bias))
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)


@contextmanager
def kept_statistics(network: nn.Module) -> Iterator[None]:
    """Let a network in train mode pass films by their own batch statistics, and forget these."""
    found = norms(network)
    usual = [norm.momentum for norm in found]
    for norm in found:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(found, usual, strict=True):
            norm.momentum = momentum
