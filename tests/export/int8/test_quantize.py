from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from bmd_edge.engine.onnx_runtime import ZERO_NONNEGATIVE, ZERO_SIGNED, OnnxEngine, cpu_encoding
from bmd_edge.errors import BundleError
from export.int8.layers import fp32_nodes, layers
from export.int8.quantize import int8_from_onnx, thresholds
from export.int8.ranges import METHODS, Histogram, collect
from export.onnx_file.to_onnx import onnx_from_network
from tests.support.bundles import images_of

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


def quantized_file(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> onnx.ModelProto:
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms)
    return onnx.load(tmp_path / "int8.onnx")


def test_the_file_is_what_tensorrt_takes(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    model = quantized_file(fp32, histograms, tmp_path)
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    convs = [node for node in model.graph.node if makers.get(node.input[0]) == "DequantizeLinear"]
    convs = [node for node in convs if node.op_type == "Conv"]
    assert len(convs) == 2
    assert all(makers[conv.input[1]] == "DequantizeLinear" for conv in convs)
    assert all(kinds[conv.input[2]] == TensorProto.FLOAT for conv in convs)
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {kinds[node.input[2]] for node in pairs} == {TensorProto.INT8}
    assert {entry.key: entry.value for entry in model.metadata_props} == {"unit": "g/cm2"}


def test_weights_have_a_scale_per_channel(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    model = quantized_file(fp32, histograms, tmp_path)
    scales = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    assert scales["body.0.weight_scale"] == (8,)


def test_a_relu_and_what_it_follows_stay_together(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    nodes = quantized_file(fp32, histograms, tmp_path).graph.node
    makers = {output: node.op_type for node in nodes for output in node.output}
    assert {makers[node.input[0]] for node in nodes if node.op_type == "Relu"} == {"Conv", "Add"}
    assert {makers[node.input[0]] for node in nodes if node.op_type == "Clip"} == {"DequantizeLinear"}  # cuts off above


def test_zero_points_tell_what_can_be_negative(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    nodes = quantized_file(fp32, histograms, tmp_path).graph.node
    makers = {output: node.op_type for node in nodes for output in node.output}
    found = {(makers[node.input[0]], node.input[2]) for node in nodes if node.op_type == "QuantizeLinear"}
    behind = {("MaxPool", ZERO_NONNEGATIVE), ("Relu", ZERO_NONNEGATIVE), ("Mul", ZERO_NONNEGATIVE)}
    assert found == {*behind, ("Conv", ZERO_SIGNED), ("Clip", ZERO_SIGNED)}


def test_stem_heads_and_gates_stay_fp32(fp32: Path) -> None:
    model = onnx.load(fp32)
    nodes = {node.name: node for node in model.graph.node}
    kept = [nodes[name] for name in fp32_nodes(model)]
    assert {"Gemm", "Sigmoid", "MaxPool"} <= {node.op_type for node in kept}
    weights = {node.input[1] for node in kept if node.op_type == "Conv"}
    assert weights == {"stem.0.weight", "gate.0.weight", "gate.2.weight"}
    # their poolings read what is quantized
    assert not {"ReduceMean", "GlobalAveragePool"} & {node.op_type for node in kept}


def test_cpu_encoding_keeps_every_number_of_the_file(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path
) -> None:
    """Same scales; the zero points move with the values; on films inside the calibrated range, the same estimates."""
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms)
    raw = (tmp_path / "int8.onnx").read_bytes()
    before, after = onnx.load_from_string(raw), onnx.load_from_string(cpu_encoding(raw))
    onnx.checker.check_model(after, full_check=True)
    assert before.graph.node == after.graph.node
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in after.graph.initializer}
    for tensor in before.graph.initializer:
        if tensor.name not in (ZERO_SIGNED, ZERO_NONNEGATIVE):
            np.testing.assert_array_equal(tensors[tensor.name], numpy_helper.to_array(tensor))
    assert (tensors[ZERO_SIGNED], tensors[ZERO_NONNEGATIVE]) == (128, 0)
    assert tensors[ZERO_SIGNED].dtype == tensors[ZERO_NONNEGATIVE].dtype == np.uint8
    answers = [estimates(model, images_of(8)) for model in (raw, cpu_encoding(raw))]
    np.testing.assert_allclose(*answers, atol=1e-3)  # a value on the edge between two steps may fall either way


def test_cpu_encoding_keeps_what_lies_beyond_the_calibrated_range() -> None:
    """The one difference to int8, and the better one: 127 steps are the calibrated maximum, the CPU goes on to 255."""
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y")]
    scale = numpy_helper.from_array(np.array(0.5, np.float32), "scale")
    zeros = [numpy_helper.from_array(np.array(0, np.int8), name) for name in (ZERO_SIGNED, ZERO_NONNEGATIVE)]
    nodes = [helper.make_node("Relu", ["x"], ["positive"])]
    for source, zero, target in (("positive", ZERO_NONNEGATIVE, "r"), ("x", ZERO_SIGNED, "s")):
        nodes.append(helper.make_node("QuantizeLinear", [source, "scale", zero], [f"{target}q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{target}q", "scale", zero], [target]))
    nodes.append(helper.make_node("Sub", ["r", "s"], ["y"]))
    graph = helper.make_graph(nodes, "steps", value[:1], value[1:], [scale, *zeros])
    raw = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()
    x = np.array([-80, -3.2, 0, 3.3, 63.5, 64, 127.5, 200], np.float32)
    int8, cpu = (session_of(model).run(None, {"x": x})[0] for model in (raw, cpu_encoding(raw)))
    np.testing.assert_array_equal(int8, [64, 3, 0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(cpu, [64, 3, 0, 0, 0, 0.5, 64, 64])


def test_onnx_runtime_takes_8_bit_kernels_throughout(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path
) -> None:
    """What the speed rests on: no pair is left alone around a convolution or sum, and no Relu between two of them."""
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    model = cpu_encoding((tmp_path / "int8.onnx").read_bytes())
    onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    nodes = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert nodes.count("QLinearConv") == 2
    assert "QLinearAdd" in nodes


def estimates(model: bytes, images: np.ndarray) -> np.ndarray:
    return session_of(model).run(["bmd"], {"image": images})[0]


def session_of(model: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime alone, without the engine's encoding."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])


def test_a_relu_rules_the_range_before_it(fp32: Path, histograms: dict[str, Histogram]) -> None:
    model = onnx.load(fp32)
    limits = thresholds(model, histograms, "minmax")
    clamps = [node for node in model.graph.node if node.op_type in ("Relu", "Clip")]
    assert clamps
    assert all(limits[node.input[0]] == limits[node.output[0]] for node in clamps)


@pytest.mark.parametrize("other_reader", ["none", "node", "output"])
def test_a_tensor_with_several_readers_keeps_its_own_range(other_reader: str) -> None:
    """What the Relu cuts off, the other reader needs."""
    x, y, z = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y", "z"))
    nodes = [onnx.helper.make_node("Relu", ["x"], ["y"])]
    outputs = [y]
    if other_reader == "node":
        nodes.append(onnx.helper.make_node("Sigmoid", ["x"], ["z"]))
        outputs.append(z)
    if other_reader == "output":
        outputs.append(x)
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [x], outputs))
    histograms = {"x": Histogram(), "y": Histogram()}
    histograms["x"].add(np.array([-8.0, 2.0], np.float32))
    histograms["y"].add(np.array([0.0, 2.0], np.float32))
    limits = thresholds(model, histograms, "minmax")
    assert limits == {"x": 2.0 if other_reader == "none" else 8.0, "y": 2.0}


def test_layers_can_be_kept_in_fp32(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    last = layers(onnx.load(fp32))[-1]
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms, keep_fp32=[last])
    nodes = {node.name: node for node in onnx.load(tmp_path / "int8.onnx").graph.node}
    assert nodes[last].input[1] == "last.0.weight"


def test_a_file_with_nothing_quantized_is_refused(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    everything = [node.name for node in onnx.load(fp32).graph.node]
    with pytest.raises(BundleError, match="no convolution is quantized"):
        int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms, keep_fp32=everything)
    assert not (tmp_path / "int8.onnx").exists()
