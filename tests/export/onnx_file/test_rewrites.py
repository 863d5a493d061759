import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from export.onnx_file.rewrites import rewrite

IMAGE = np.random.default_rng(0).normal(size=(3, 4, 8, 8)).astype(np.float32)


def gated(gate: str = "Sigmoid", axes: tuple[int, ...] = (2, 3), second_reader: bool = False) -> ModelProto:
    """Squeeze-and-excitation with a maximum behind it, as torch exports it."""
    rng = np.random.default_rng(1)
    constants = {"axes": np.array(axes), "w": rng.normal(size=(4, 4, 1, 1)).astype(np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["mean"], "mean", keepdims=1),
        helper.make_node("Conv", ["mean", "w"], ["c"], "conv"),
        helper.make_node(gate, ["c"], ["gate"], "gate"),
        helper.make_node("Mul", ["image", "gate"], ["gated"], "mul"),
        helper.make_node("MaxPool", ["gated"], ["pooled"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    outputs = {"pooled": [None, 4, 4, 4]}
    if second_reader:
        nodes.append(helper.make_node("Relu", ["gated"], ["other"], "relu"))
        outputs["other"] = [None, 4, 8, 8]
    graph = helper.make_graph(
        nodes,
        "gated",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [None, 4, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: ModelProto) -> list[np.ndarray]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"image": IMAGE})


def test_the_maximum_is_taken_before_the_gate() -> None:
    model = gated()
    rewrite(model)
    assert [node.op_type for node in model.graph.node] == ["GlobalAveragePool", "Conv", "Sigmoid", "MaxPool", "Mul"]
    assert {info.name for info in model.graph.value_info} >= {"mean", "gate", "gated"}
    np.testing.assert_allclose(run(model)[0], run(gated())[0], rtol=1e-6)


def test_moving_the_maximum_changes_no_bit() -> None:
    gates = np.random.default_rng(2).random((3, 4, 1, 1), dtype=np.float32)
    pooled = IMAGE.reshape(3, 4, 4, 2, 4, 2).max((3, 5))
    np.testing.assert_array_equal((IMAGE * gates).reshape(3, 4, 4, 2, 4, 2).max((3, 5)), pooled * gates)


@pytest.mark.parametrize(
    "settings",
    [{"gate": "Tanh"}, {"axes": (3,)}, {"second_reader": True}],
    ids=["may be negative", "rows", "read twice"],
)
def test_other_products_stay(settings: dict[str, object]) -> None:
    model = gated(**settings)
    rewrite(model)
    names = [node.op_type for node in model.graph.node]
    assert names.index("Mul") < names.index("MaxPool")
    for found, wanted in zip(run(model), run(gated(**settings)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
