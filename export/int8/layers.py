"""What stays fp32 in an INT8 file: nodes that gain nothing from 8 bits, and those that are asked for."""

from collections.abc import Sequence

import onnx

POOLINGS = ("ReduceMean", "GlobalAveragePool")
CLAMPS = ("Relu", "Clip")


def layers(fp32: onnx.ModelProto) -> list[str]:
    """Names of the nodes that can be kept in fp32 one by one, in graph order: convolutions and sums."""
    fixed = set(fp32_nodes(fp32))
    return [node.name for node in fp32.graph.node if node.op_type in ("Conv", "Add") and node.name not in fixed]


def fp32_nodes(model: onnx.ModelProto, keep: Sequence[str] = ()) -> list[str]:
    """Names of the nodes that stay fp32: `keep`, the first convolution, poolings of fp32, what follows a pooling.

    The pooling in front of the heads is quantized: its input is, and so the last convolution can be.
    """
    constants = {tensor.name for tensor in model.graph.initializer}
    images = {value.name for value in model.graph.input}
    pooled: set[str] = set()
    int8: set[str] = set()
    names = []
    for node in model.graph.node:  # topological order
        sources = {name for name in node.input if name and name not in constants}
        if sources and sources <= pooled:
            pooled |= set(node.output)
            names.append(node.name)
        elif node.name in keep:
            names.append(node.name)
        elif node.op_type in ("Conv", "Add") and not sources & images:
            int8 |= set(node.output)
        elif node.op_type in (*CLAMPS, *POOLINGS, "MaxPool") and sources <= int8:
            int8 |= set(node.output) if node.op_type not in POOLINGS else set()
        else:
            names.append(node.name)
        if node.op_type in POOLINGS:
            pooled |= set(node.output)
    return names
