"""A network with one planted layer that int8 cannot hold."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bmd_edge.engine.onnx_runtime import OnnxEngine
from export.onnx_file.to_onnx import onnx_from_network
from tests.support.bundles import images_of

IMAGES = images_of(16, 64)
LOUD = 3000.0


class Outlier(nn.Module):
    """Four convolutions; the third reads one channel that is `LOUD` times the others, and answers to all alike."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (1, 8, 8, 8, 8)
        convs = [nn.Conv2d(a, b, 3, 2 if a == 1 else 1, 1) for a, b in pairwise(sizes)]
        self.convs = nn.ModuleList(convs)
        self.bmd = nn.Linear(8, 2)
        with torch.no_grad():
            convs[1].weight[5] *= LOUD
            convs[1].bias[5] *= LOUD
            convs[1].bias.abs_()
            convs[2].weight[:, 5] /= LOUD

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = image
        for conv in self.convs:
            x = torch.relu(conv(x))
        features = x.mean((2, 3))
        bmd = 0.7 + self.bmd(features)
        return bmd, nn.functional.softplus(bmd), features


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("onnx") / "outlier.onnx"
    onnx_from_network(Outlier().eval(), IMAGES[:2], ("bmd", "spread", "embedding"), path, {})
    return path


def planted(fp32: Path) -> str:
    """The third convolution; the first one always stays fp32."""
    return [node.name for node in onnx.load(fp32).graph.node if node.op_type == "Conv"][2]


def estimates(serialized: bytes) -> np.ndarray:
    with OnnxEngine(serialized) as engine:
        return engine.run({"image": IMAGES})["bmd"]
