"""No 8-bit convolution adds up to more than int32 holds: a rule of exported files, and what quantizing does for it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from bmd_edge.bundle.bundle import read_bundle
from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.errors import BundleError
from export.int8.quantize import int8_from_onnx, quantized, widened
from export.int8.ranges import collect
from export.onnx_file.int32_sums import MOST_UNITS, quantized_convolutions
from export.onnx_file.rules import broken_rules, check
from export.onnx_file.to_onnx import onnx_from_network
from tests.support.bundles import images_of

IMAGES = images_of(8, 64)


class NearlyDead(nn.Module):
    """Three convolutions; channels of the last one read next to nothing and have a bias: what a batch norm makes of a
    channel that it has nearly switched off, folded into the convolution.
    """

    def __init__(self, gammas: dict[int, float], bias: float) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 64, 3, 2, 1), nn.ReLU(), nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU())
        self.last = nn.Conv2d(64, 8, 3, 1, 1)
        self.bmd = nn.Linear(8, 2)
        with torch.no_grad():
            for channel, gamma in gammas.items():
                self.last.weight[channel] = self.last.weight[channel].abs() * gamma
                self.last.bias[channel] = bias
                self.bmd.weight[:, channel] = 0.1

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = torch.relu(self.last(self.stem(image))).mean((2, 3))
        bmd = 0.7 + 0.1 * self.bmd(features)
        return bmd, nn.functional.softplus(bmd), features


def made(folder: Path, gammas: dict[int, float], bias: float) -> Path:
    torch.manual_seed(0)
    network = NearlyDead(gammas, bias).eval()
    onnx_from_network(network, IMAGES[:2], ("bmd", "spread", "embedding"), folder / "fp32.onnx", {})
    return folder / "fp32.onnx"


def features(model: Path | bytes, *, as_written: bool = False) -> np.ndarray:
    with OnnxEngine(model, as_written=as_written) as engine:
        return engine.run({"image": IMAGES})["embedding"]


@pytest.mark.parametrize(
    ("gammas", "bias"),
    # Of the first two the CPU said 0.29 and 0.41 where fp32 and the file as written say 1.00.
    [({3: 2e-4}, 1.0), ({0: 2e-4, 7: 3e-4}, 1.0), ({3: 2e-5}, 1.0), ({3: 1e-6}, -1.0), ({2: 2e-6}, 0.01)],
)
def test_a_nearly_dead_channel_keeps_its_number_on_the_cpu(
    tmp_path: Path, gammas: dict[int, float], bias: float, caplog: pytest.LogCaptureFixture
) -> None:
    fp32 = made(tmp_path, gammas, bias)
    int8_from_onnx(fp32, tmp_path / "int8.onnx", collect(fp32, [IMAGES]))
    assert "nearly 0 beside their bias got a wider scale" in caplog.text
    wanted = features(fp32)
    for as_written in (False, True):
        found = features(tmp_path / "int8.onnx", as_written=as_written)
        np.testing.assert_allclose(found, wanted, rtol=0.02, atol=0.02 * np.abs(wanted).max())
    (*_, last) = quantized_convolutions(onnx.load(tmp_path / "int8.onnx"))
    assert (last.worst_units() < MOST_UNITS).all()


def test_live_channels_keep_every_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Weights of other channels are those of a network that has no dead one."""
    fp32 = made(tmp_path, {3: 2e-5}, 1.0)
    model, histograms = onnx.load(fp32), collect(fp32, [IMAGES])
    (*_, last) = quantized_convolutions(quantized(model, histograms, method="minmax"))
    real = next(numpy_helper.to_array(one) for one in model.graph.initializer if one.dims[:2] == [8, 64])
    live = [channel for channel in range(8) if channel != 3]
    largest = np.abs(real).reshape(8, -1).max(1)
    np.testing.assert_allclose(last.weight_scale[live], largest[live] / 127, rtol=1e-3)
    steps = last.weight_scale.reshape(-1, 1, 1, 1)
    assert (np.abs(last.weight * steps - real) <= 0.501 * steps).all()
    (tmp_path / "live").mkdir()
    alive = made(tmp_path / "live", {}, 0.0)
    int8_from_onnx(alive, tmp_path / "live" / "int8.onnx", collect(alive, [IMAGES]))
    assert "wider scale" not in caplog.text
    assert widened(model, quantized(model, histograms, method="minmax"))


@pytest.mark.parametrize("break_by", ["bias", "weight_scale", "input_scale"])
def test_a_file_that_would_wrap_breaks_the_contract(tmp_path: Path, break_by: str) -> None:
    fp32 = made(tmp_path, {}, 0.0)
    model = quantized(onnx.load(fp32), collect(fp32, [IMAGES]), method="minmax")
    assert not broken_rules(model)
    (*_, last) = quantized_convolutions(model)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}
    place = {
        "bias": last.node.input[2],
        "weight_scale": last.scale_name,
        "input_scale": makers[last.node.input[0]].input[1],
    }[break_by]
    value = numpy_helper.to_array(tensors[place])
    room = MOST_UNITS / (np.abs(last.bias) / (last.input_scale * last.weight_scale)).max()
    factor = np.float32(2 * room if break_by == "bias" else 0.5 / room)
    tensors[place].CopyFrom(numpy_helper.from_array((value * factor).astype(np.float32), place))
    assert "int32_sum" in dict(broken_rules(model))
    with pytest.raises(BundleError, match=r"int32_sum .*channel \d.* units.*wraps without a word"):
        check(model)


def test_the_embedded_file_is_far_from_it() -> None:
    bundle = read_bundle()
    for conv in quantized_convolutions(onnx.load(bundle.model_path("bmd", "int8"))):
        assert conv.worst_units().max() < 0.01 * MOST_UNITS
