"""torch -> ONNX: one self-contained file with a dynamic batch, run at once and compared with the torch module."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.errors import BundleError
from export.onnx_file.rewrites import rewrite
from export.onnx_file.rules import OPSET

INPUT = "image"


def onnx_from_network(
    network: torch.nn.Module,
    example: NDArray[np.float32],
    output_names: Sequence[str],
    path: Path,
    facts: Mapping[str, str],
) -> float:
    """Export `network` (in eval mode) to `path`.

    Args:
        network: takes (n, 1, H, W) float32 and returns a tuple of tensors, one for each of `output_names`.
        example: (n, 1, H, W) float32, n >= 2; also the input of the comparison.
        output_names: names of the outputs, in order.
        path: the file to write.
        facts: key -> value, written as the file's `metadata_props`; the contract a reader of the file alone sees.

    Returns:
        Largest difference between torch and ONNX Runtime over all outputs, each relative to its largest value.

    Raises:
        BundleError: the file's numbers differ from the network's by more than 1e-3 of an output's range.
    """
    if network.training:
        raise ValueError("the network is in training mode; call eval() first")
    program = _exported(network, torch.from_numpy(example), output_names)
    model = program.model_proto
    _strip(model)
    rewrite(model)
    onnx.helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return _compare(network, example, output_names, path)


def _exported(network: torch.nn.Module, example: torch.Tensor, output_names: Sequence[str]) -> torch.onnx.ONNXProgram:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=list(output_names),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    return program


def _strip(model: onnx.ModelProto) -> None:
    """Remove stack traces, doc strings and paths of this machine; leave what changes no number."""
    model.doc_string = ""
    model.graph.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    entries = [*model.graph.node, *model.graph.initializer, *model.graph.value_info, *model.graph.input]
    for entry in [*entries, *model.graph.output, *model.functions]:
        entry.doc_string = ""
        del entry.metadata_props[:]


def _compare(network: torch.nn.Module, example: NDArray[np.float32], names: Sequence[str], path: Path) -> float:
    worst = 0.0
    with torch.no_grad(), OnnxEngine(path) as engine:
        for batch in (example, example[:1]):  # the batch must be dynamic
            outputs = engine.run({INPUT: batch})
            for name, want in zip(names, network(torch.from_numpy(batch)), strict=True):
                difference = float(np.abs(outputs[name] - want.numpy()).max())
                worst = max(worst, difference / max(float(want.abs().max()), 1e-3))
    if worst > 1e-3:
        raise BundleError(f"the ONNX file's numbers differ from the network's by {worst:.2g} of their range")
    return worst
