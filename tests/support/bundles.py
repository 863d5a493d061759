"""A real bundle made in a second: hand-made ONNX networks, quantized and packed as the export does."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bmd_edge.bundle.bundle import VerifiedBundle
from bmd_edge.bundle.calibration import SiteCalibration
from bmd_edge.bundle.manifest import Provenance, Validity
from bmd_edge.bundle.network_input import BMD, InputSpec
from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.sites import SITES
from export.bundle.pack import Parts, pack
from export.int8.quantize import int8_from_onnx
from export.int8.ranges import collect
from export.int8.shift_in_gcm2 import JudgingHips, ShiftInGcm2, compare
from tests.support.screening import INPUTS, plausibility


def tiny_bundle(out: Path, *, int8: bool = True) -> VerifiedBundle:
    """Pack the tiny networks into folder `out`."""
    with TemporaryDirectory() as scratch:
        return pack(out, tiny_parts(Path(scratch), int8=int8))


def tiny_parts(work: Path, *, int8: bool = True, inputs: Mapping[str, InputSpec] = INPUTS) -> Parts:
    """Parts of a bundle whose networks lie in the folder `work`."""
    models = {"finder": {"fp32": work / "finder.onnx"}, "bmd": {"fp32": work / "bmd.onnx"}}
    for name, files in models.items():
        files["fp32"].write_bytes(tiny_network(name, inputs))
    images = images_of(8, inputs["bmd"].size_px)
    shift = None
    if int8:
        models["bmd"]["int8"] = work / "bmd.int8.onnx"
        int8_from_onnx(models["bmd"]["fp32"], models["bmd"]["int8"], collect(models["bmd"]["fp32"], [images]))
        shift = shift_between(*(_bmd(models["bmd"][precision], images) for precision in ("fp32", "int8")))
    sites = {site: SiteCalibration(1.7, 0.9, 100) for site in SITES}
    figures = {site: {"n": 100.0, "r": 0.9, "rmse_gcm2": 0.06, "bias_gcm2": 0.001} for site in SITES}
    return Parts(
        version="test",
        models=models,
        calibration=dict.fromkeys(models["bmd"], sites),
        shift=shift,
        shift_as_written=shift,
        plausibility=plausibility(8),
        inputs=inputs,
        golden_inputs={name: images_of(2, size) for name, size in _sizes(inputs).items()},
        validity=Validity(training_data="nothing", notice="A bundle of tests. Research use only."),
        provenance=Provenance(
            created="2026-01-01", command="test", versions={}, runs={}, calibration_films=None, quantization=None
        ),
        accuracy=dict.fromkeys(models["bmd"], figures),
    )


def images_of(n: int, size: int = BMD.size_px) -> np.ndarray:
    """(n, 1, size, size) float32 noise, smoother and brighter from image to image."""
    rng = np.random.default_rng(0)
    small = rng.random((n, 1, size // 8, size // 8), dtype=np.float32).repeat(8, 2).repeat(8, 3)
    return small * np.linspace(0.2, 1, n, dtype=np.float32)[:, None, None, None]


def shift_between(fp32: np.ndarray, int8: np.ndarray, least: int = 1000) -> ShiftInGcm2:
    """The guard's verdict on answers (n, 2) that are repeated until `least` hips are judged."""
    times = -(-least // len(fp32))
    fp32, int8 = (np.tile(answers, (times, 1)) for answers in (fp32, int8))
    n, rng = len(fp32), np.random.default_rng(0)
    names = [f"{i}" for i in range(n)]
    dexa = fp32 + rng.normal(0, 0.06, fp32.shape)
    return compare(fp32, int8, JudgingHips(dexa, names, ["AB"[i % 2] for i in range(n)], names))


def _bmd(path: Path, images: np.ndarray) -> np.ndarray:
    with OnnxEngine(path) as engine:
        return engine.run({"image": images})["bmd"]


def _sizes(inputs: Mapping[str, InputSpec]) -> dict[str, int]:
    return {"finder": inputs["finder_closeup"].size_px, "bmd": inputs["bmd"].size_px}


def tiny_network(name: str, inputs: Mapping[str, InputSpec] = INPUTS) -> bytes:
    """The finder or the BMD network of a bundle with these inputs."""
    return _network(
        name,
        _sizes(inputs)[name],
        json.dumps({key: spec.facts() for key, spec in inputs.items() if key.startswith(name)}),
    )


@cache
def _network(name: str, size: int, inputs: str) -> bytes:
    """Two convolutions, a global average and linear heads; finder: heat maps beside them."""
    rng = np.random.default_rng(1)
    weights = {
        "w1": rng.normal(0, 0.3, (6, 1, 4, 4)),
        "b1": rng.normal(0, 0.1, 6),
        "w2": rng.normal(0, 0.3, (8, 6, 3, 3)),
        "b2": rng.normal(0, 0.1, 8),
        "axes": np.array([2, 3]),
        "wa": rng.normal(0, 0.05, (8, 6 if name == "finder" else 2)),
        "ba": np.full(6 if name == "finder" else 2, 0.7),
        "wb": rng.normal(0, 0.05, (8, 2)),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["c1"], "conv1", strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], "relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], "conv2", strides=[4, 4]),
        helper.make_node("Relu", ["c2"], ["r2"], "relu2"),
        helper.make_node("ReduceMean", ["r2", "axes"], ["embedding"], "pool", keepdims=0),
        helper.make_node("Gemm", ["embedding", "wa", "ba"], ["kind" if name == "finder" else "bmd"], "head"),
    ]
    outputs = {"embedding": [None, 8]}
    if name == "finder":
        nodes.append(helper.make_node("Identity", ["c1"], ["heatmaps"], "maps"))
        outputs = {"heatmaps": [None, 6, size // 2, size // 2], "kind": [None, 6], **outputs}
    else:
        nodes += [
            helper.make_node("Gemm", ["embedding", "wb"], ["raw"], "spread_head"),
            helper.make_node("Softplus", ["raw"], ["spread"], "softplus"),
        ]
        outputs = {"bmd": [None, 2], "spread": [None, 2], **outputs}
    graph = helper.make_graph(
        nodes,
        name,
        [_info("image", [None, 1, size, size])],
        [_info(key, shape) for key, shape in outputs.items()],
        [numpy_helper.from_array(v if k == "axes" else v.astype(np.float32), k) for k, v in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {"task": name, "inputs": inputs, "sites": json.dumps(SITES), "unit": "g/cm2"})
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def _info(name: str, shape: list[int | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch" if n is None else n for n in shape])
