"""TensorRT-RTX parses and builds for real, without a GPU; the whole gate is `make compile-check`."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from bmd_edge.engine.tensorrt import BATCHES, build
from bmd_edge.errors import EngineError
from export.onnx_file.rules import broken_rules
from export.proofs import compile_check
from export.proofs.compile_check import GPUS, compile_all, files_of_backbone, files_of_bundle, fp16_from_onnx
from tests.support.bundles import images_of, tiny_bundle

trt = pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: extra compile-check")


def test_every_file_of_a_bundle_is_built_for_every_gpu(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "b")
    found = [one for name, files in files_of_bundle(bundle).items() for one in compile_all(trt, name, files)]
    assert len(found) == len(GPUS) * (2 + 3)  # the finder in fp32 and fp16, the BMD network in int8 too
    assert {one.compute_capability for one in found} == set(GPUS)
    assert all(one.layers > 5 and one.engine_bytes > 10_000 for one in found)


def test_a_backbone_is_built_in_int8_and_says_how_far_it_is() -> None:
    files = files_of_backbone("vgg11_se")
    seen: list[tuple[str, int, int]] = []
    built = build(trt, files["int8"], compute_capability=trt.ComputeCapability.SM86, progress=lambda *s: seen.append(s))
    assert len(built.plan) > 1_000_000
    assert seen  # a build is never silent


def test_fp16_is_in_the_graph_and_close_to_fp32(tmp_path: Path) -> None:
    fp32 = tiny_bundle(tmp_path / "b").model_bytes("bmd")
    half = onnx.load_from_string(fp16_from_onnx(fp32))
    kinds = {tensor.name: tensor.data_type for tensor in half.graph.initializer}
    assert TensorProto.FLOAT not in kinds.values()
    assert {value.type.tensor_type.elem_type for value in half.graph.output} == {TensorProto.FLOAT}
    assert broken_rules(half) == []
    answers = [_run(model) for model in (fp32, half.SerializeToString())]
    np.testing.assert_allclose(*answers, atol=2e-3)


def _run(model: bytes) -> np.ndarray:
    from bmd_edge.engine.onnx_runtime import OnnxEngine

    with OnnxEngine(model) as engine:
        return engine.run({"image": images_of(4)})["bmd"]


def model_with(node: onnx.NodeProto, size: int, *constants: TensorProto) -> bytes:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4, size, size])],
        constants,
    )
    model: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def test_what_the_contract_forbids_tensorrt_refuses() -> None:
    node = helper.make_node("Bernoulli", ["image"], ["y"], "coin")
    assert "operator" in {rule for rule, _ in broken_rules(onnx.load_from_string(model_with(node, 8)))}
    with pytest.raises(EngineError, match="TensorRT does not take the network: Bernoulli at coin"):
        build(trt, model_with(node, 8), compute_capability=trt.ComputeCapability.SM86)
    sizes = numpy_helper.from_array(np.array([1, 1, 0.5, 0.5], np.float32), "sizes")
    node = helper.make_node("Resize", ["image", "", "sizes"], ["y"], "down", mode="linear", antialias=1)
    assert "resize" in {rule for rule, _ in broken_rules(onnx.load_from_string(model_with(node, 4, sizes)))}
    with pytest.raises(EngineError, match="TensorRT does not take the network"):
        build(trt, model_with(node, 4, sizes), compute_capability=trt.ComputeCapability.SM86)


def test_the_gate_prints_what_it_built(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_bundle(tmp_path / "hospital")
    compile_check.main([str(tmp_path / "hospital")])
    lines = capsys.readouterr().out.splitlines()
    assert "built, not run" in lines[0]
    assert any(line.split()[:4] == ["hospital", "bmd", "int8", "SM120"] for line in lines)
    assert len(lines) == 2 + len(GPUS) * 5
    assert BATCHES == (1, 8, 32)
