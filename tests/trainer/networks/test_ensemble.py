from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bmd_edge.bundle.network_input import BMD
from bmd_edge.engine.onnx_runtime import OnnxEngine
from export.int8.quantize import int8_from_onnx, quantized_layers
from export.int8.ranges import collect
from export.onnx_file import rules
from export.onnx_file.from_run import golden_input
from export.onnx_file.to_onnx import onnx_from_network
from trainer.networks.build import build
from trainer.networks.ensemble import Ensemble
from trainer.networks.outputs import OUTPUTS

SCALE = {"label_mean": [0.7, 0.8], "label_sd": [0.1, 0.1]}


def members(*seeds: int) -> list[torch.nn.Module]:
    found = []
    for seed in seeds:
        torch.manual_seed(seed)
        found.append(build("vgg11_se", width=0.05, **SCALE).eval())
    return found


def test_equal_members_change_nothing_and_unlike_ones_doubt() -> None:
    image = torch.from_numpy(golden_input(BMD))
    one, other = members(0, 1)
    with torch.no_grad():
        alone, second = one(image), other(image)
        twice, both = Ensemble([one, one])(image), Ensemble([one, other])(image)
    for value, wanted in zip(twice, alone, strict=True):
        assert torch.allclose(value, wanted)
    assert torch.allclose(both[0], (alone[0] + second[0]) / 2)
    assert torch.allclose(both[1], (alone[1] + second[1]) / 2 + (alone[0] - second[0]).abs() / 2)
    assert torch.equal(both[2], alone[2])


def test_an_ensemble_becomes_one_file_and_its_int8(tmp_path: Path) -> None:
    """The members' own networks are quantized; the mean and the disagreement of their answers stay as they are."""
    network, example = Ensemble(members(0, 1, 2)).eval(), golden_input(BMD)
    onnx_from_network(network, example, OUTPUTS["bmd"], tmp_path / "fp32.onnx", {})
    rules.check(tmp_path / "fp32.onnx")
    histograms = collect(tmp_path / "fp32.onnx", [example])
    int8_from_onnx(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", histograms)
    convolutions = [node for node in onnx.load(tmp_path / "fp32.onnx").graph.node if node.op_type == "Conv"]
    assert len(quantized_layers(onnx.load(tmp_path / "int8.onnx"))) >= 3 * 7 <= len(convolutions)
    with torch.no_grad():
        wanted = network(torch.from_numpy(example))
    with OnnxEngine(tmp_path / "int8.onnx", precision="int8") as engine:
        found = engine.run({"image": example})
    assert found["bmd"] == pytest.approx(wanted[0].numpy(), abs=0.02)
    assert found["spread"] == pytest.approx(wanted[1].numpy(), abs=0.02)
    assert np.isfinite(found["embedding"]).all()
