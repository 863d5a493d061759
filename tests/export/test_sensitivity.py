from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bmd_edge.engine import OnnxEngine
from export.quantize import layers
from export.ranges import Histogram, collect
from export.sensitivity import layers_to_keep, shifts_alone
from export.to_onnx import onnx_from_network
from tests.bundles import images_of

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
        return bmd, bmd.abs(), features


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("onnx") / "outlier.onnx"
    onnx_from_network(Outlier().eval(), IMAGES[:2], ("bmd", "spread", "embedding"), path, {})
    return path


@pytest.fixture(scope="module")
def histograms(fp32: Path) -> dict[str, Histogram]:
    return collect(fp32, [IMAGES])


def estimates(serialized: bytes) -> np.ndarray:
    with OnnxEngine(serialized) as engine:
        return engine.run({"image": IMAGES})["bmd"]


def test_the_planted_layer_is_the_worst(fp32: Path, histograms: dict[str, Histogram]) -> None:
    shifts = shifts_alone(onnx.load(fp32), histograms, "minmax", estimates)
    assert set(shifts) == set(layers(onnx.load(fp32)))
    assert next(iter(shifts)) == layers(onnx.load(fp32))[2]


def test_the_planted_layer_stays_fp32(fp32: Path, histograms: dict[str, Histogram]) -> None:
    shifts = list(shifts_alone(onnx.load(fp32), histograms, "minmax", estimates).values())
    kept = layers_to_keep(fp32, histograms, "minmax", estimates, limit_gcm2=(shifts[0] + shifts[1]) / 2)
    assert kept == [layers(onnx.load(fp32))[2]]


def test_a_model_that_holds_still_keeps_nothing(fp32: Path, histograms: dict[str, Histogram]) -> None:
    assert layers_to_keep(fp32, histograms, "minmax", estimates, limit_gcm2=10.0) == []


def test_where_half_the_layers_do_not_help_none_is_kept(fp32: Path, histograms: dict[str, Histogram]) -> None:
    assert layers_to_keep(fp32, histograms, "minmax", estimates, limit_gcm2=0.0) == []
