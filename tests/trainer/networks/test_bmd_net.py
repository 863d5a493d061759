import torch

from trainer.networks.bmd_net import BmdNet
from trainer.networks.build import build


def test_spread_never_moves_the_backbone() -> None:
    network = build("resnet18", width=0.125)
    network(torch.rand(2, 1, 64, 64))[1].sum().backward()
    assert isinstance(network, BmdNet)
    assert network.spread_head.weight.grad is not None
    assert all(value.grad is None for value in network.backbone.parameters())
