"""What every exported ONNX file keeps to, so that ONNX Runtime and TensorRT both read it, and read the same numbers.

TensorRT has no calibrators or precision flags any more (11 removed them): what the graph says is all there is. What it
would refuse on the hospital's machine, or worse, take and compute otherwise, is found here. `make compile-check` builds
the files with TensorRT's own parser and so keeps this list honest.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from bmd_edge.errors import BundleError
from export.onnx_file.int32_sums import MOST_UNITS, quantized_convolutions

OPSET = 20
"""Accepted by ONNX Runtime >= 1.20 and by TensorRT 10 and 11."""

OPERATORS = frozenset(
    (
        "Add", "Cast", "Clip", "Concat", "Conv", "DequantizeLinear", "Gemm", "GlobalAveragePool", "Greater", "Identity",
        "MaxPool", "Mul", "QuantizeLinear", "ReduceMax", "ReduceMean", "ReduceSum", "Relu", "Reshape", "Resize",
        "Sigmoid", "Softmax", "Softplus", "Where",
    )
)  # fmt: skip
"""What the networks are built of. Another one joins together with a network that `make compile-check` builds."""

RULES = {
    "valid": "The file is ONNX, by the checker of onnx, with shapes that follow from the input.",
    "self_contained": "No external data, no functions of its own: one file is all there is.",
    "opset": f"Standard operators only, of opset {OPSET}.",
    "operator": "Operators that TensorRT and the CPU engine both have.",
    "float32_interface": "Inputs and outputs are float32; TensorRT has no 16-bit integers.",
    "integer16": "No 16-bit integer anywhere inside.",
    "static_rank": "Every tensor has a known rank, and all its sizes but the batch are numbers.",
    "dynamic_batch": "The first size of every input and output is the batch, and free.",
    "int8_zero": "Quantized values are int8 with the constant zero point 0.",
    "uint8": "No uint8: TensorRT takes it with zero point 0 and clips what is negative without a word.",
    "scale": "Scales are constant, float32, finite and above 0.",
    "fp32_bias": "The bias of a convolution stays float32; TensorRT refuses an int32 one behind DequantizeLinear.",
    "int32_sum": "No channel's bias and worst sum reach 2^31 units: the CPU adds in int32, which wraps without a word.",
    "pairs": "What QuantizeLinear writes is read by DequantizeLinear only.",
    "resize": "No antialiased Resize, nearest or linear mode: TensorRT has no other.",
}
"""Rule -> what it demands. `broken_rules` names them, the error says both."""

_INTEGERS_16 = (TensorProto.INT16, TensorProto.UINT16)
_QDQ = ("QuantizeLinear", "DequantizeLinear")
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)


def check(model: str | os.PathLike[str] | onnx.ModelProto) -> None:
    """Raise BundleError, naming every broken rule of a file or a loaded model and what it demands; nothing if it keeps
    to all.
    """
    if found := broken_rules(model):
        name = Path(model).name if isinstance(model, str | os.PathLike) else "the model"
        broken = "; ".join(f"{rule} ({detail})" for rule, detail in found)
        demands = " ".join(text for rule, text in RULES.items() if rule in dict(found))
        raise BundleError(f"{name} breaks the contract of exported files: {broken}. {demands}")


def broken_rules(model: str | os.PathLike[str] | onnx.ModelProto) -> list[tuple[str, str]]:
    """(rule, what breaks it) for every finding, rules as in `RULES`; an unreadable file breaks "valid" alone."""
    try:
        loaded = model if isinstance(model, onnx.ModelProto) else onnx.load(model, load_external_data=False)
        if not loaded.graph.node:
            return [("valid", "it holds no network")]
        found = list(_self_contained(loaded))
        if found:
            return found  # the checker would follow the paths
        onnx.checker.check_model(loaded, full_check=True)
        inferred = onnx.shape_inference.infer_shapes(loaded, strict_mode=True, data_prop=True)
    except Exception as error:  # noqa: BLE001 - protobuf's and onnx's errors have no common base
        return [("valid", (str(error).splitlines() or [type(error).__name__])[0][:200])]
    checks = (_operators, _interface, _quantization, _sums, _resizes)
    return [*_tensors(inferred), *(broken for rule in checks for broken in rule(loaded))]


def _self_contained(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            yield "self_contained", f"{tensor.name} lies outside"
    for function in model.functions:
        yield "self_contained", f"function {function.name}"


def _operators(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    for entry in model.opset_import:
        if entry.domain not in ("", "ai.onnx") or entry.version != OPSET:
            yield "opset", f"{entry.domain or 'ai.onnx'} {entry.version}"
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            yield "operator", f"{node.op_type} at {node.name}"


def _tensors(inferred: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    graph = inferred.graph
    infos = {info.name: info for info in (*graph.value_info, *graph.input, *graph.output)}
    for name in (output for node in graph.node for output in node.output if output):
        if name not in infos or not _is_static(infos[name].type.tensor_type):
            yield "static_rank", name
    kinds = {name: info.type.tensor_type.elem_type for name, info in infos.items()}
    kinds |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    for name, kind in kinds.items():
        if kind in _INTEGERS_16:
            yield "integer16", name
        if kind == TensorProto.UINT8:
            yield "uint8", name


def _is_static(tensor: onnx.TypeProto.Tensor) -> bool:
    return tensor.HasField("shape") and all(size.HasField("dim_value") for size in tensor.shape.dim[1:])


def _interface(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    for value in (*model.graph.input, *model.graph.output):
        tensor = value.type.tensor_type
        if tensor.elem_type != TensorProto.FLOAT:
            yield "float32_interface", f"{value.name} is {TensorProto.DataType.Name(tensor.elem_type)}"
        if not tensor.shape.dim or tensor.shape.dim[0].HasField("dim_value"):
            yield "dynamic_batch", value.name
    for value in model.graph.input:
        if not _is_static(value.type.tensor_type):
            yield "static_rank", value.name


def _quantization(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    readers: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    for node in model.graph.node:
        if node.op_type in _QDQ:
            scale, zero = (_values(constants, name) for name in (*node.input[1:3], "")[:2])
            if zero is None or zero.dtype != np.int8 or zero.any():
                yield "int8_zero", node.input[0]
            if scale is None or scale.dtype != np.float32 or not (np.isfinite(scale) & (scale > 0)).all():
                yield "scale", node.input[0]
        if node.op_type == "QuantizeLinear" and readers.get(node.output[0], set()) != {"DequantizeLinear"}:
            yield "pairs", node.input[0]
        if node.op_type == "Conv" and len(node.input) > 2:
            bias = constants.get(node.input[2])
            if bias is None or bias.data_type not in _FLOATS:
                yield "fp32_bias", node.name


def _sums(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    for conv in quantized_convolutions(model):
        if not (conv.weight_scale > 0).all() or not conv.input_scale > 0:
            continue  # a rule of its own
        worst = conv.worst_units()
        for channel in np.flatnonzero(~(worst <= MOST_UNITS))[:1]:
            yield "int32_sum", f"{conv.node.name}, channel {channel}: {worst[channel]:.3g} units"


def _values(constants: dict[str, TensorProto], name: str) -> NDArray[Any] | None:
    tensor = constants.get(name)
    return None if tensor is None else onnx.numpy_helper.to_array(tensor)


def _resizes(model: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    for node in model.graph.node:
        if node.op_type == "Resize":
            settings = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
            if settings.get("antialias", 0):
                yield "resize", f"{node.name} is antialiased"
            if settings.get("mode", b"nearest") not in (b"nearest", b"linear"):
                yield "resize", f"{node.name} has mode {settings['mode'].decode()}"
