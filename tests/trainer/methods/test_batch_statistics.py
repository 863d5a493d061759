import numpy as np
import pytest
import torch
from torch import nn

from trainer.methods.batch_statistics import kept_statistics, norms, take_statistics
from trainer.networks.build import build


def images(n: int, seed: int, level: float = 0.0) -> torch.Tensor:
    values = np.random.default_rng(seed).random((n, 1, 32, 32), dtype=np.float32)
    return torch.from_numpy(values) + level


def test_statistics_are_the_means_of_the_batches() -> None:
    network = nn.Sequential(nn.Conv2d(1, 16, 3, bias=False), nn.BatchNorm2d(16))
    weights = {name: value.clone() for name, value in network.named_parameters()}
    batches = [images(6, 0), images(6, 1, 3.0)]
    take_statistics(network, batches)
    found = [network[0](batch).transpose(0, 1).flatten(1) for batch in batches]
    mean, variance = (sum(parts) / 2 for parts in zip(*((one.mean(1), one.var(1)) for one in found), strict=True))
    assert torch.allclose(network[1].running_mean, mean, atol=1e-4)
    assert torch.allclose(network[1].running_var, variance, rtol=1e-4)
    assert network[1].momentum == 0.1
    assert all(torch.equal(value, weights[name]) for name, value in network.named_parameters())


def test_kept_statistics_are_forgotten_and_the_pass_has_its_own() -> None:
    torch.manual_seed(0)
    network = build("resnet18", width=0.25).train()
    before = [norm.running_mean.clone() for norm in norms(network)]
    with torch.no_grad():
        plain = network(images(4, 0, 5.0))[0]
        network.load_state_dict({**network.state_dict()})
        for norm, mean in zip(norms(network), before, strict=True):
            norm.running_mean.copy_(mean)
        with kept_statistics(network):
            assert torch.allclose(network(images(4, 0, 5.0))[0], plain, atol=1e-6)
    assert len(before) > 10
    assert all(torch.equal(norm.running_mean, mean) for norm, mean in zip(norms(network), before, strict=True))
    with pytest.raises(RuntimeError), kept_statistics(network):
        raise RuntimeError
    assert {norm.momentum for norm in norms(network)} == {0.1}
