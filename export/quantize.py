"""fp32 ONNX -> INT8 ONNX with explicit Q/DQ: int8 with zero point 0 everywhere, per-channel weights, fp32 bias.

The file is what TensorRT wants (symmetric, a pair of its own for every consumer, bias in fp32) and what ONNX Runtime's
CPU kernels can fuse: a convolution needs a pair behind it too. The pair between a convolution and its Relu takes the
range of the Relu's output, so that it changes no number: rounding twice on one grid is rounding once, and whatever is
below zero ends as zero. What works on pooled
vectors (the heads that make the estimate, the gates of squeeze-and-excitation) is small and stays fp32.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from bmd_edge.errors import BundleError
from export.contract import check
from export.ranges import Histogram

QUANTIZED_OPS = ("Conv", "Add", "MaxPool", "ReduceMean", "GlobalAveragePool")
_OUTPUTS_LEFT_FP32 = ("Add", "ReduceMean", "GlobalAveragePool")  # fused with what follows, or read by the fp32 head
_POOLINGS = ("ReduceMean", "GlobalAveragePool")
_CLAMPS = ("Relu", "Clip")


def int8_from_onnx(
    onnx_path: Path,
    out_path: Path,
    histograms: Mapping[str, Histogram],
    *,
    method: str = "minmax",
    keep_fp32: Sequence[str] = (),
) -> None:
    """Quantize the file at `onnx_path` into `out_path`.

    Args:
        onnx_path: fp32 file as `export.to_onnx` writes it.
        out_path: the INT8 file to write; its `metadata_props` are those of the fp32 file.
        histograms: tensor -> histogram, from `export.ranges.collect` on the same file.
        method: one of `export.ranges.METHODS`.
        keep_fp32: names of further nodes that must not be quantized.

    Raises:
        BundleError: nothing is quantized, or the result breaks a rule of `export.contract`.
    """
    result = quantized(onnx.load(onnx_path), histograms, method=method, keep_fp32=keep_fp32)
    check(result)
    if not quantized_layers(result):
        raise BundleError("no convolution is quantized: keep fewer layers in fp32, or leave INT8 out")
    out_path.write_bytes(result.SerializeToString(deterministic=True))


def quantized(
    fp32: onnx.ModelProto, histograms: Mapping[str, Histogram], *, method: str, keep_fp32: Sequence[str] = ()
) -> onnx.ModelProto:
    """The INT8 model of an fp32 one, unchecked; arguments as in `int8_from_onnx`."""
    limits = thresholds(fp32, histograms, method)
    model = onnx.ModelProto()
    model.CopyFrom(fp32)  # the quantizer works in place
    quantizer = QDQQuantizer(
        model,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8,
        tensors_range={n: TensorData(lowest=np.float32(-top), highest=np.float32(top)) for n, top in limits.items()},
        nodes_to_quantize=[],
        nodes_to_exclude=[*fp32_nodes(model), *keep_fp32],
        op_types_to_quantize=list(QUANTIZED_OPS),
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "DedicatedQDQPair": True,
            "OpTypesToExcludeOutputQuantization": list(_OUTPUTS_LEFT_FP32),
        },
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    del result.metadata_props[:]
    onnx.helper.set_model_props(result, {entry.key: entry.value for entry in fp32.metadata_props})
    onnx.checker.check_model(result, full_check=True)
    return result


def quantized_layers(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions whose input is quantized."""
    dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return [node.name for node in model.graph.node if node.op_type == "Conv" and node.input[0] in dequantized]


def layers(fp32: onnx.ModelProto) -> list[str]:
    """Names of the nodes that can be kept in fp32 one by one, in graph order: convolutions and sums."""
    fixed = set(fp32_nodes(fp32))
    return [node.name for node in fp32.graph.node if node.op_type in ("Conv", "Add") and node.name not in fixed]


def thresholds(model: onnx.ModelProto, histograms: Mapping[str, Histogram], method: str) -> dict[str, float]:
    """Tensor -> magnitude that becomes +-127; a tensor read only by a Relu or Clip takes that one's output range."""
    limits = {name: histogram.threshold(method) for name, histogram in histograms.items()}
    for node in model.graph.node:
        if node.op_type in _CLAMPS and node.input[0] in limits and len(_consumers(model, node.input[0])) == 1:
            limits[node.input[0]] = limits[node.output[0]]
    return limits


def fp32_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that stay fp32: all that work on pooled vectors, and the poolings that only feed gates.

    The pooling in front of the heads is quantized: its input is, and so the last convolution can be.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    pooled: set[str] = set()
    vectors: dict[str, onnx.NodeProto] = {}
    for node in model.graph.node:  # topological order
        inputs = {name for name in node.input if name and name not in constants}
        if node.op_type in _POOLINGS or (inputs and inputs <= pooled):
            pooled |= set(node.output)
            vectors[node.name] = node
    return [name for name, node in vectors.items() if node.op_type not in _POOLINGS or _fed(model, node) - set(vectors)]


def _consumers(model: onnx.ModelProto, tensor: str) -> list[onnx.NodeProto]:
    outputs = [value for value in model.graph.output if value.name == tensor]
    return [node for node in model.graph.node if tensor in node.input] + outputs


def _fed(model: onnx.ModelProto, start: onnx.NodeProto) -> set[str]:
    """Names of all nodes that `start` feeds, directly or not."""
    tensors, names = set(start.output), set()
    for node in model.graph.node:
        if tensors & set(node.input):
            tensors |= set(node.output)
            names.add(node.name)
    return names
