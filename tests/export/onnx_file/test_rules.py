from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.errors import BundleError
from export.onnx_file.rules import RULES, broken_rules, check


def good() -> ModelProto:
    """A quantized convolution, an upsampling, a pooling and a linear head: keeps to every rule."""
    rng = np.random.default_rng(0)
    constants = {
        "scale": np.array(0.01, np.float32),
        "zero": np.array(0, np.int8),
        "weight": rng.integers(-127, 128, (4, 1, 3, 3)).astype(np.int8),
        "weight_scale": np.full(4, 0.02, np.float32),
        "weight_zero": np.zeros(4, np.int8),
        "bias": np.ones(4, np.float32),
        "twice": np.array([1, 1, 2, 2], np.float32),
        "axes": np.array([2, 3]),
        "head": np.ones((4, 2), np.float32),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"], "q"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"], "dq"),
        helper.make_node("DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["w"], "dqw", axis=0),
        helper.make_node("Conv", ["dq", "w", "bias"], ["c"], "conv"),
        helper.make_node("Resize", ["c", "", "twice"], ["r"], "up", mode="nearest"),
        helper.make_node("ReduceMean", ["r", "axes"], ["pooled"], "pool", keepdims=0),
        helper.make_node("Gemm", ["pooled", "head"], ["bmd"], "head"),
    ]
    graph = helper.make_graph(
        nodes,
        "good",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 16, 16])],
        [helper.make_tensor_value_info("bmd", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def put(model: ModelProto, name: str, values: np.ndarray) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(numpy_helper.from_array(values, name))


def node(model: ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.name == name)


def insert(model: ModelProto, new: onnx.NodeProto, before: str, position: int = 0) -> None:
    """Put `new` in front of an input of the node `before`."""
    index = [node.name for node in model.graph.node].index(before)
    model.graph.node[index].input[position] = new.output[0]
    model.graph.node.insert(index, new)


def empty(model: ModelProto) -> None:
    del model.graph.node[:]


def contradicting_shape(model: ModelProto) -> None:
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3


def external_data(model: ModelProto) -> None:
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == "head")
    onnx.external_data_helper.set_external_data(tensor, location="../../etc/passwd")
    tensor.ClearField("raw_data")


def own_function(model: ModelProto) -> None:
    body = [helper.make_node("Relu", ["x"], ["y"])]
    function = helper.make_function("own", "Rectify", ["x"], ["y"], body, [helper.make_opsetid("", 20)])
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("own", 1))


def other_opset(model: ModelProto) -> None:
    model.opset_import[0].version = 21


def unsupported_operator(model: ModelProto) -> None:
    insert(model, helper.make_node("Hardmax", ["pooled"], ["hard"], "hardmax"), "head")


def int16_input(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT16
    insert(model, helper.make_node("Cast", ["image"], ["float"], "cast", to=TensorProto.FLOAT), "q")


def int16_inside(model: ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.int16), "sixteen"))
    insert(model, helper.make_node("Cast", ["sixteen"], ["cast"], "cast", to=TensorProto.FLOAT), "head", 1)
    node(model, "head").input[:] = ["pooled", "head", "cast"]


def unknown_size(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"


def fixed_batch(model: ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1


def asymmetric(model: ModelProto) -> None:
    put(model, "zero", np.array(3, np.int8))


def zero_point_left_out(model: ModelProto) -> None:
    """ONNX then means uint8 with zero point 0."""
    del node(model, "q").input[2]
    del node(model, "dq").input[2]


def uint8_zero(model: ModelProto) -> None:
    put(model, "zero", np.array(0, np.uint8))


def uint8_128(model: ModelProto) -> None:
    put(model, "zero", np.array(128, np.uint8))


def bad_scale(model: ModelProto) -> None:
    put(model, "weight_scale", np.array([0.02, 0.0, np.inf, 0.02], np.float32))


def wrapping_bias(model: ModelProto) -> None:
    put(model, "bias", np.array([1, 1, -0.01 * 0.02 * (2**31 - 1000), 1], np.float32))  # fits; with the sum it does not


def computed_scale(model: ModelProto) -> None:
    insert(model, helper.make_node("Identity", ["scale"], ["computed"], "computed"), "q", 1)


def quantized_bias(model: ModelProto) -> None:
    put(model, "bias", np.ones(4, np.int32))
    names = ("bias_scale", "bias_zero")
    values = (np.full(4, 2e-4, np.float32), np.zeros(4, np.int32))
    model.graph.initializer.extend(numpy_helper.from_array(v, n) for n, v in zip(names, values, strict=True))
    insert(model, helper.make_node("DequantizeLinear", ["bias", *names], ["b"], "dqb", axis=0), "conv", 2)


def quantized_value_in_use(model: ModelProto) -> None:
    """The int8 itself goes on instead of through DequantizeLinear."""
    node(model, "dq").op_type = "Cast"
    node(model, "dq").input[:] = ["q"]
    node(model, "dq").attribute.append(helper.make_attribute("to", TensorProto.FLOAT))


def antialiased(model: ModelProto) -> None:
    node(model, "up").attribute.append(helper.make_attribute("antialias", 1))
    node(model, "up").attribute[0].s = b"linear"


def cubic(model: ModelProto) -> None:
    node(model, "up").attribute[0].s = b"cubic"


BREAKERS: list[tuple[Callable[[ModelProto], None], set[str]]] = [
    (empty, {"valid"}),
    (contradicting_shape, {"valid"}),
    (external_data, {"self_contained"}),
    (own_function, {"self_contained"}),
    (other_opset, {"opset"}),
    (unsupported_operator, {"operator"}),
    (int16_input, {"float32_interface", "integer16"}),
    (int16_inside, {"integer16"}),
    (unknown_size, {"static_rank"}),
    (fixed_batch, {"dynamic_batch"}),
    (asymmetric, {"int8_zero"}),
    (zero_point_left_out, {"int8_zero", "uint8"}),
    (uint8_zero, {"int8_zero", "uint8"}),
    (uint8_128, {"int8_zero", "uint8"}),
    (bad_scale, {"scale"}),
    (wrapping_bias, {"int32_sum"}),
    (computed_scale, {"scale"}),
    (quantized_bias, {"fp32_bias", "int8_zero"}),
    (quantized_value_in_use, {"pairs"}),
    (antialiased, {"resize"}),
    (cubic, {"resize"}),
]


@pytest.mark.parametrize(("breaker", "rules"), BREAKERS, ids=[breaker.__name__ for breaker, _ in BREAKERS])
def test_each_rule_has_a_file_that_breaks_it(
    breaker: Callable[[ModelProto], None], rules: set[str], tmp_path: Path
) -> None:
    model = good()
    breaker(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert {rule for rule, _ in broken_rules(path)} == rules
    with pytest.raises(BundleError, match=rf"model\.onnx breaks .*{min(rules)}") as error:
        check(path)
    assert {rule for rule, demand in RULES.items() if demand in str(error.value)} == rules


def test_every_rule_is_broken_by_some_file() -> None:
    assert {rule for _, rules in BREAKERS for rule in rules} == set(RULES)


def test_a_good_file_keeps_to_all(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(good().SerializeToString())
    assert broken_rules(path) == []
    check(good())


def test_other_files_are_not_onnx(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_text("not a network")
    assert [rule for rule, _ in broken_rules(path)] == ["valid"]


def test_the_embedded_files_keep_to_the_contract() -> None:
    bundle = read_bundle()
    for model in bundle.manifest.models:
        for precision in bundle.precisions(model):
            check(bundle.model_path(model, precision))
