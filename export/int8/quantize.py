"""fp32 ONNX -> INT8 ONNX with explicit Q/DQ: int8 with zero point 0 everywhere, per-channel weights, fp32 bias.

One file serves TensorRT and the CPU. A tensor has one pair, behind the Relu of a convolution or sum and not before it,
so that TensorRT fuses all three. Every activation has one of two zero points, `ZERO_NONNEGATIVE` behind a Relu and
`ZERO_SIGNED` else; both are int8 0 in the file, and by their names the CPU engine re-encodes them as uint8 (see
`bmd_edge.engine.onnx_runtime.cpu_encoding`).

What gains nothing stays fp32: the first convolution (with one input channel its 8-bit kernel is several times slower),
poolings of what is fp32, and what works on pooled vectors (the heads that make the estimate, the gates of
squeeze-and-excitation).
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import QuantType
from onnxruntime.quantization.calibrate import TensorData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from bmd_edge.engine.onnx_runtime import ZERO_NONNEGATIVE, ZERO_SIGNED
from bmd_edge.errors import BundleError
from export.int8.layers import CLAMPS, POOLINGS, fp32_nodes
from export.int8.ranges import LEVELS, Histogram
from export.onnx_file.int32_sums import MOST_UNITS, quantized_convolutions
from export.onnx_file.rules import check

logger = logging.getLogger(__name__)

QUANTIZED_OPS = ("Conv", "Add", "MaxPool", "ReduceMean", "GlobalAveragePool")
_OUTPUTS_LEFT_FP32 = ("Conv", "Add", "ReduceMean", "GlobalAveragePool")  # the reader quantizes its input


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
        onnx_path: fp32 file as `export.onnx_file.to_onnx` writes it.
        out_path: the INT8 file to write; its `metadata_props` are those of the fp32 file.
        histograms: tensor -> histogram, from `export.int8.ranges.collect` on the same file.
        method: one of `export.int8.ranges.METHODS`.
        keep_fp32: names of further nodes that must not be quantized.

    Raises:
        BundleError: nothing is quantized, or the result breaks a rule of `export.onnx_file.rules`.
    """
    fp32 = onnx.load(onnx_path)
    result = quantized(fp32, histograms, method=method, keep_fp32=keep_fp32)
    check(result)
    for name, channels in widened(fp32, result).items():
        logger.warning("%s: weights of %d channels nearly 0 beside their bias got a wider scale", name, channels)
    if not quantized_layers(result):
        raise BundleError("no convolution is quantized: keep fewer layers in fp32, or leave INT8 out")
    out_path.write_bytes(result.SerializeToString(deterministic=True))


def quantized(
    fp32: onnx.ModelProto, histograms: Mapping[str, Histogram], *, method: str, keep_fp32: Sequence[str] = ()
) -> onnx.ModelProto:
    """The INT8 model of an fp32 one, unchecked; arguments as in `int8_from_onnx`."""
    limits = thresholds(fp32, histograms, method)
    kept = fp32_nodes(fp32, keep_fp32)
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
        nodes_to_exclude=kept,
        op_types_to_quantize=list(QUANTIZED_OPS),
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "ForceQuantizeNoInputCheck": True,
            "OpTypesToExcludeOutputQuantization": list(_OUTPUTS_LEFT_FP32),
        },
    )
    for node in model.graph.node:  # the CPU's kernel ends in a pair; a Relu's will do, but a Clip's cuts off above too
        clipped = any(reader.op_type == "Clip" for reader in fp32.graph.node if node.output[0] in reader.input)
        if node.op_type == "Conv" and node.name not in kept and clipped:
            quantizer.quantize_activation_tensor(node.output[0])
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    _name_zero_points(result)
    _widen(fp32, result)
    del result.metadata_props[:]
    onnx.helper.set_model_props(result, {entry.key: entry.value for entry in fp32.metadata_props})
    onnx.checker.check_model(result, full_check=True)
    return result


def quantized_layers(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions whose input is quantized."""
    dequantized = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return [node.name for node in model.graph.node if node.op_type == "Conv" and node.input[0] in dequantized]


def _widen(fp32: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Give the weights of a channel whose bias would fill int32 a wider scale, so that no sum wraps.

    Half the range is left to the products. Such weights are next to nothing beside the bias, and so is what coarser
    steps change of them.
    """
    real = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in fp32.graph.initializer}
    weights = {node.name: real.get(node.input[1]) for node in fp32.graph.node if node.op_type == "Conv"}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for conv in quantized_convolutions(model):
        weight, far = weights.get(conv.node.name), conv.worst_units() > MOST_UNITS
        if weight is None or not far.any():
            continue
        least = np.abs(conv.bias) / (conv.input_scale * (MOST_UNITS // 2))
        scale = np.where(far, np.maximum(conv.weight_scale, least), conv.weight_scale).astype(np.float32)
        steps = weight / scale.reshape(-1, *[1] * (weight.ndim - 1))
        coarse = np.where(far.reshape(-1, *[1] * (weight.ndim - 1)), np.round(steps), conv.weight).astype(np.int8)
        constants[conv.weight_name].CopyFrom(onnx.numpy_helper.from_array(coarse, conv.weight_name))
        constants[conv.scale_name].CopyFrom(onnx.numpy_helper.from_array(scale, conv.scale_name))


def widened(fp32: onnx.ModelProto, model: onnx.ModelProto) -> dict[str, int]:
    """Convolution -> channels whose weight scale is wider than their largest weight asks for; none for most files."""
    real = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in fp32.graph.initializer}
    weights = {node.name: real.get(node.input[1]) for node in fp32.graph.node if node.op_type == "Conv"}
    found = {}
    for conv in quantized_convolutions(model):
        weight = weights.get(conv.node.name)
        if weight is not None:
            wanted = np.abs(weight).reshape(len(weight), -1).max(1) / LEVELS
            found[conv.node.name] = int((conv.weight_scale > 1.01 * wanted).sum())
    return {name: channels for name, channels in found.items() if channels}


def thresholds(model: onnx.ModelProto, histograms: Mapping[str, Histogram], method: str) -> dict[str, float]:
    """Tensor -> magnitude that becomes +-127; a tensor read only by a Relu or Clip takes that one's output range."""
    limits = {name: histogram.threshold(method) for name, histogram in histograms.items()}
    for node in model.graph.node:
        if node.op_type in CLAMPS and node.input[0] in limits and len(_consumers(model, node.input[0])) == 1:
            limits[node.input[0]] = limits[node.output[0]]
    return limits


def _name_zero_points(model: onnx.ModelProto) -> None:
    """Give all activations one of the two shared zero points."""
    constants = {tensor.name for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            node.input[2] = ZERO_NONNEGATIVE if _is_nonnegative(node.input[0], makers) else ZERO_SIGNED
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] not in constants:
            node.input[2] = makers[node.input[0]].input[2]
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    zeros = [name for name in (ZERO_NONNEGATIVE, ZERO_SIGNED) if name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    model.graph.initializer.extend(onnx.numpy_helper.from_array(np.array(0, np.int8), name) for name in zeros)


def _is_nonnegative(tensor: str, makers: Mapping[str, onnx.NodeProto]) -> bool:
    """Whether a tensor cannot be negative, whatever the film: a Relu's, a gate's, and what pools or multiplies them."""
    if tensor not in makers:
        return False
    node = makers[tensor]
    if node.op_type in ("MaxPool", "DequantizeLinear", "QuantizeLinear", *POOLINGS):
        return _is_nonnegative(node.input[0], makers)
    if node.op_type == "Mul":
        return all(_is_nonnegative(name, makers) for name in node.input)
    return node.op_type in ("Relu", "Sigmoid")


def _consumers(model: onnx.ModelProto, tensor: str) -> list[onnx.NodeProto]:
    outputs = [value for value in model.graph.output if value.name == tensor]
    return [node for node in model.graph.node if tensor in node.input] + outputs
