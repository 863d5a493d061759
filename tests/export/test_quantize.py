from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

from bmd_edge.engine import OnnxEngine
from bmd_edge.errors import BundleError
from export.quantize import fp32_nodes, int8_from_onnx, thresholds
from export.ranges import METHODS, Histogram, collect
from export.to_onnx import onnx_from_network
from tests.bundles import images_of

OUTPUTS = ("bmd", "spread", "embedding")


class Small(nn.Module):
    """A residual block, a channel gate, a global average and two heads: every pattern of the real networks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 7, 4, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8))
        self.gate = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 1), nn.Sigmoid())
        self.last = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU6())
        self.bmd = nn.Linear(16, 2)
        self.spread = nn.Linear(16, 2)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = self.stem(image)
        x = torch.relu(x + self.body(x))
        x = x * self.gate(x.mean((2, 3), keepdim=True))
        features = self.last(x).mean((2, 3))
        return 0.7 + 0.1 * self.bmd(features), nn.functional.softplus(self.spread(features)), features


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = Small()
    with torch.no_grad():
        network.train()(torch.from_numpy(images_of(8)))  # gives the batch norms statistics
    path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    onnx_from_network(network.eval(), images_of(2), OUTPUTS, path, {"unit": "g/cm2"})
    return path


@pytest.fixture(scope="module")
def histograms(fp32: Path) -> dict[str, Histogram]:
    return collect(fp32, [images_of(8)])


@pytest.mark.parametrize("method", METHODS)
def test_int8_stays_close_to_fp32(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path, method: str) -> None:
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms, method=method)
    with OnnxEngine(fp32) as full, OnnxEngine(tmp_path / "int8.onnx") as quantized:
        feeds = {"image": images_of(8)}
        wanted, found = full.run(feeds), quantized.run(feeds)
        assert quantized.outputs == full.outputs
    shift = np.abs(found["bmd"] - wanted["bmd"])
    assert 0 < shift.max() < 0.01


def test_the_file_is_what_tensorrt_takes(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms)
    model = onnx.load(tmp_path / "int8.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    convs = [node for node in model.graph.node if node.op_type == "Conv" and "gate" not in node.input[1]]
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    assert len(convs) == 3
    assert all(makers[conv.input[0]] == makers[conv.input[1]] == "DequantizeLinear" for conv in convs)
    assert all(kinds[conv.input[2]] == TensorProto.FLOAT for conv in convs)
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {kinds[node.input[2]] for node in pairs} == {TensorProto.INT8}
    assert {entry.key: entry.value for entry in model.metadata_props} == {"unit": "g/cm2"}


def test_weights_have_a_scale_per_channel(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms)
    scales = {t.name: tuple(t.dims) for t in onnx.load(tmp_path / "int8.onnx").graph.initializer}
    assert scales["stem.0.weight_scale"] == (8,)


def test_every_pair_has_one_reader(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms)
    nodes = onnx.load(tmp_path / "int8.onnx").graph.node
    for pair in (node for node in nodes if node.op_type in ("QuantizeLinear", "DequantizeLinear")):
        assert sum(list(node.input).count(pair.output[0]) for node in nodes) == 1, pair.name


def test_heads_and_gates_stay_fp32(fp32: Path) -> None:
    model = onnx.load(fp32)
    nodes = {node.name: node for node in model.graph.node}
    kept = [nodes[name] for name in fp32_nodes(model)]
    assert {"Gemm", "Sigmoid"} <= {node.op_type for node in kept}
    assert {node.input[1] for node in kept if node.op_type == "Conv"} == {"gate.0.weight", "gate.2.weight"}
    # the gate's pooling is kept, the last one is not
    assert [node.op_type for node in kept].count("ReduceMean") == 1
    assert not {"Add", "Mul", "MaxPool"} & {node.op_type for node in kept if node.input[0] in ("image", "relu")}


def test_a_relu_rules_the_range_before_it(fp32: Path, histograms: dict[str, Histogram]) -> None:
    model = onnx.load(fp32)
    limits = thresholds(model, histograms, "minmax")
    clamps = [node for node in model.graph.node if node.op_type in ("Relu", "Clip")]
    assert clamps
    assert all(limits[node.input[0]] == limits[node.output[0]] for node in clamps)


def test_layers_can_be_kept_in_fp32(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    first = next(node.name for node in onnx.load(fp32).graph.node if node.op_type == "Conv")
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms, keep_fp32=[first])
    nodes = {node.name: node for node in onnx.load(tmp_path / "int8.onnx").graph.node}
    assert nodes[first].input[0] == "image"


def test_a_file_with_nothing_quantized_is_refused(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    everything = [node.name for node in onnx.load(fp32).graph.node]
    with pytest.raises(BundleError, match="no convolution is quantized"):
        int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms, keep_fp32=everything)
    assert not (tmp_path / "int8.onnx").exists()
