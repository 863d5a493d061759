from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.errors import BundleError
from export.onnx_file.to_onnx import onnx_from_network
from tests.support.small_runs import local_paths


class Net(nn.Module):
    def __init__(self, wrong: bool = False) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)
        self.wrong = wrong

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.conv(image).mean((2, 3))
        if self.wrong and not torch.compiler.is_compiling():
            embedding = embedding + 1.0  # the exporter sees another network than its user
        return self.head(embedding), embedding


EXAMPLE = np.random.default_rng(0).random((3, 1, 16, 16), dtype=np.float32)


def test_the_file_is_self_contained_and_equal_to_the_network(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    network = Net().eval()
    worst = onnx_from_network(network, EXAMPLE, ("bmd", "embedding"), path, {"unit": "g/cm2", "task": "bmd"})
    assert worst < 1e-5
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx"]  # no data beside it
    with OnnxEngine(path) as engine:
        assert engine.inputs["image"].shape == (None, 1, 16, 16)
        assert list(engine.outputs) == ["bmd", "embedding"]
        assert engine.run({"image": np.repeat(EXAMPLE, 3, axis=0)})["bmd"].shape == (9, 2)
    model = onnx.load(path)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"unit": "g/cm2", "task": "bmd"}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_no_trace_of_this_machine_is_inside(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    onnx_from_network(Net().eval(), EXAMPLE, ("bmd", "embedding"), path, {})
    raw = path.read_bytes()
    assert local_paths(raw) == []
    assert b"stack_trace" not in raw
    assert str(Path(__file__).parents[3]).encode() not in raw
    assert local_paths(b"\x00/home/someone/net.py, line 3") == ["/home/someone/net.py"]


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    network = Net().eval()
    for name in ("a.onnx", "b.onnx"):
        onnx_from_network(network, EXAMPLE, ("bmd", "embedding"), tmp_path / name, {})
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_numbers_that_differ_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="differ from the network"):
        onnx_from_network(Net(wrong=True).eval(), EXAMPLE, ("bmd", "embedding"), tmp_path / "net.onnx", {})


def test_a_network_in_training_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training mode"):
        onnx_from_network(Net(), EXAMPLE, ("bmd", "embedding"), tmp_path / "net.onnx", {})
