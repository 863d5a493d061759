"""The reader of an ONNX file's head: equal to onnx where the file is whole, else a BundleError and nothing else."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bmd_edge.bundle.onnx_header import read_head
from bmd_edge.errors import BundleError
from tests.support.bundles import tiny_network


def wholes() -> list[bytes]:
    from bmd_edge.bundle.bundle import read_bundle

    bundle = read_bundle()
    return [tiny_network("bmd"), tiny_network("finder"), bundle.model_bytes("bmd", "int8")]


def sizes(value: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    return tuple(size.dim_value if size.HasField("dim_value") else None for size in value.type.tensor_type.shape.dim)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_it_reads_what_onnx_reads(index: int) -> None:
    raw = wholes()[index]
    head, model = read_head(raw, "a.onnx"), onnx.load_from_string(raw)
    assert {name: spec.shape for name, spec in head.inputs.items()} == {v.name: sizes(v) for v in model.graph.input}
    assert {name: spec.shape for name, spec in head.outputs.items()} == {v.name: sizes(v) for v in model.graph.output}
    assert {spec.dtype for spec in (*head.inputs.values(), *head.outputs.values())} == {"float32"}
    assert head.metadata == {entry.key: entry.value for entry in model.metadata_props}


def external(tensor: onnx.TensorProto) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"


def external_weight(model: onnx.ModelProto) -> None:
    external(model.graph.initializer[0])


def location_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer[1].data_location = TensorProto.EXTERNAL


def external_constant(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "c")
    external(tensor)
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))


def external_in_a_branch(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "c")
    external(tensor)
    branch = helper.make_graph([], "branch", [], [], [tensor])
    model.graph.node.append(helper.make_node("If", ["image"], ["x"], then_branch=branch, else_branch=branch))


def deep(model: onnx.ModelProto) -> None:
    graph = helper.make_graph([], "g", [], [])
    for _ in range(20):
        graph = helper.make_graph([helper.make_node("Loop", [], ["x"], body=graph)], "g", [], [])
    model.graph.node.extend(graph.node)


def function(model: onnx.ModelProto) -> None:
    nodes = [helper.make_node("Relu", ["a"], ["b"])]
    model.functions.append(helper.make_function("own", "f", ["a"], ["b"], nodes, model.opset_import))


def sparse(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.ones(1, np.float32), "s")
    indices = numpy_helper.from_array(np.zeros(1, np.int64), "i")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))


def output_twice(model: onnx.ModelProto) -> None:
    model.graph.output.append(model.graph.output[0])


REFUSED: dict[str, tuple[Callable[[onnx.ModelProto], object], str]] = {
    "external weight": (external_weight, "outside the file"),
    "external without a path": (location_alone, "outside the file"),
    "external constant": (external_constant, "outside the file"),
    "external in a branch": (external_in_a_branch, "outside the file"),
    "graphs without end": (deep, "without end"),
    "function": (function, "functions of its own"),
    "training graph": (lambda model: model.training_info.add(), "a training graph"),
    "own operator": (lambda m: m.graph.node.add(op_type="PyOp", domain="ai.onnx.contrib"), "does not define"),
    "own operators": (lambda m: m.opset_import.append(helper.make_opsetid("com.x", 1)), "does not define"),
    "sparse weight": (sparse, "sparse"),
    "output twice": (output_twice, "twice"),
    "no graph": (lambda model: model.ClearField("graph"), "0 graphs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_network_of_a_bundle_holds_is_refused(name: str) -> None:
    edit, says = REFUSED[name]
    model = onnx.load_from_string(tiny_network("bmd"))
    edit(model)
    with pytest.raises(BundleError, match=says):
        read_head(model.SerializeToString(), "a.onnx")


def test_a_second_graph_cannot_hide() -> None:
    """Protocol buffers merge a field that comes twice: the file would be another than its first graph says."""
    raw = tiny_network("bmd")
    with pytest.raises(BundleError, match="2 graphs"):
        read_head(raw + onnx.ModelProto(graph=onnx.GraphProto(name="more")).SerializeToString(), "a.onnx")


@pytest.mark.parametrize(
    "raw", [b"", b"not onnx", b"\x80\x04K\x01.", bytes(100), b"\xff" * 100, b"PK\x03\x04" + bytes(30)]
)
def test_other_files_are_refused(raw: bytes) -> None:
    with pytest.raises(BundleError, match=r"a\.onnx"):
        read_head(raw, "a.onnx")


def test_broken_bytes_raise_nothing_else() -> None:
    raw, rng = tiny_network("bmd"), np.random.default_rng(0)
    refused = 0
    for trial in range(3000):
        changed = bytearray(raw[: rng.integers(1, len(raw))] if trial % 3 == 0 else raw)
        for place in rng.integers(0, len(changed), rng.integers(1, 4)):
            changed[place] = rng.integers(0, 256)
        try:
            read_head(bytes(changed), "a.onnx")
        except BundleError:
            refused += 1
    assert refused > 1000
