"""What an 8-bit convolution adds up on the CPU: whole numbers of 32 bits, which wrap without a word.

The kernel's bias is a whole number too, in units of input scale x weight scale. Of a channel whose weights are nearly
nothing the unit is so small that an ordinary bias comes close to 2^31, and the products carry the sum over it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

MOST_UNITS = 2**31 - 1
_LARGEST_INPUT = 255
"""Of the CPU's uint8 activations (`bmd_edge.engine.onnx_runtime.cpu_encoding`); int8 in the file reaches 128."""


@dataclass(frozen=True, slots=True)
class QuantizedConv:
    """A convolution whose input and weights are 8-bit.

    `weight` (channels, ...) int8 and `weight_scale` (channels,) with the names of their initializers; `input_scale` the
    scale of the input; `bias` (channels,) float, zeros without one.
    """

    node: onnx.NodeProto
    weight_name: str
    scale_name: str
    weight: NDArray[np.int8]
    weight_scale: NDArray[np.float64]
    input_scale: float
    bias: NDArray[np.float64]

    def worst_units(self) -> NDArray[np.float64]:
        """The largest sum that each channel can reach, (channels,), in units of its bias."""
        products = _LARGEST_INPUT * np.abs(self.weight.astype(np.float64)).reshape(len(self.weight), -1).sum(1)
        worst: NDArray[np.float64] = products + np.abs(self.bias) / (self.input_scale * self.weight_scale)
        return worst


def quantized_convolutions(model: onnx.ModelProto) -> Iterator[QuantizedConv]:
    """The convolutions of an INT8 file that the CPU computes in whole numbers, in graph order."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        pairs = [makers.get(name) for name in node.input[:2]]
        if node.op_type != "Conv" or not all(pair and pair.op_type == "DequantizeLinear" for pair in pairs):
            continue
        values, weights = (pair for pair in pairs if pair)
        names = [values.input[1], *weights.input[:2]]
        if not all(name in constants for name in names):
            continue  # another rule says so
        scale, weight, weight_scale = (_array(constants[name]) for name in names)
        bias = _array(constants[node.input[2]]) if len(node.input) > 2 and node.input[2] in constants else np.zeros(1)
        channels = (len(weight),)
        yield QuantizedConv(
            node, weights.input[0], weights.input[1], weight,
            np.broadcast_to(weight_scale.astype(np.float64), channels), float(scale),
            np.broadcast_to(bias.astype(np.float64), channels),
        )  # fmt: skip


def _array(tensor: onnx.TensorProto) -> NDArray[Any]:
    return onnx.numpy_helper.to_array(tensor)
