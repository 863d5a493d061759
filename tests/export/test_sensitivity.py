import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.engine.onnx_runtime import OnnxEngine
from bmd_edge.errors import BundleError
from export.bundle.pack import pack
from export.int8.choose import Int8, answers, int8_inside_budget
from export.int8.layers import layers
from export.int8.quantize import int8_from_onnx, quantized, quantized_layers
from export.int8.ranges import METHODS, Histogram, collect
from export.int8.sensitivity import compare_methods, mixes, shift_of, shifts_alone
from export.int8.shift_in_gcm2 import GuardHips
from export.onnx_file.to_onnx import onnx_from_network
from tests.bundles import images_of, parity_of, tiny_parts

IMAGES = images_of(16, 64)
LOUD = 3000.0


class Outlier(nn.Module):
    """Four convolutions; the third reads one channel that is `LOUD` times the others, and answers to all alike."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (1, 8, 8, 8, 8)
        convs = [nn.Conv2d(a, b, 3, 2 if a == 1 else 1, 1) for a, b in pairwise(sizes)]
        self.convs = nn.ModuleList(convs)
        self.bmd = nn.Linear(8, 2)
        with torch.no_grad():
            convs[1].weight[5] *= LOUD
            convs[1].bias[5] *= LOUD
            convs[1].bias.abs_()
            convs[2].weight[:, 5] /= LOUD

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = image
        for conv in self.convs:
            x = torch.relu(conv(x))
        features = x.mean((2, 3))
        bmd = 0.7 + self.bmd(features)
        return bmd, nn.functional.softplus(bmd), features


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("onnx") / "outlier.onnx"
    onnx_from_network(Outlier().eval(), IMAGES[:2], ("bmd", "spread", "embedding"), path, {})
    return path


@pytest.fixture(scope="module")
def histograms(fp32: Path) -> dict[str, Histogram]:
    return collect(fp32, [IMAGES])


def planted(fp32: Path) -> str:
    """The third convolution; the first one always stays fp32."""
    return [node.name for node in onnx.load(fp32).graph.node if node.op_type == "Conv"][2]


def estimates(serialized: bytes) -> np.ndarray:
    with OnnxEngine(serialized) as engine:
        return engine.run({"image": IMAGES})["bmd"]


def test_the_planted_layer_is_the_worst(fp32: Path, histograms: dict[str, Histogram]) -> None:
    shifts = shifts_alone(onnx.load(fp32), histograms, "minmax", estimates)
    assert set(shifts) == set(layers(onnx.load(fp32)))
    assert next(iter(shifts)) == planted(fp32)


def test_the_worst_layers_are_kept_first_and_half_of_them_at_most() -> None:
    assert list(mixes(["a", "b", "c", "d", "e"])) == [[], ["a"], ["a", "b"]]


def test_methods_are_ordered_by_their_error(fp32: Path, histograms: dict[str, Histogram]) -> None:
    found = compare_methods(onnx.load(fp32), histograms, estimates)
    assert set(found) == set(METHODS)
    errors = [shift["rms"] for shift in found.values()]
    assert errors == sorted(errors)
    assert 0 < errors[0] < errors[-1]


def test_shift_is_that_of_the_worst_site() -> None:
    wanted = np.zeros((1000, 2))
    found = np.stack([np.full(1000, 0.001), np.where(np.arange(1000) < 20, -0.02, 0.0)], axis=1)
    shift = shift_of(wanted, found)
    assert shift == pytest.approx({"mean": 0.001, "rms": 0.02 * 0.02**0.5, "p99": 0.02, "budget": 2.0})


def choose(fp32: Path, histograms: dict[str, Histogram], target: Path, limit_p99_gcm2: float) -> Int8:
    limits = dataclasses.replace(LIMITS, min_hips=16, p99_shift_gcm2=limit_p99_gcm2, mean_shift_gcm2=1.0, flip_share=1)
    wanted, names = answers(fp32, [IMAGES]), [f"{i}" for i in range(len(IMAGES))]
    hips, files = GuardHips(wanted.bmd + 0.5, names, names, names), {"fp32": fp32, "int8": target}
    return int8_inside_budget(files, histograms, [IMAGES], [IMAGES], hips, wanted, limits, lambda _: None)


def test_the_planted_layer_stays_fp32_and_the_guard_passes(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path
) -> None:
    made = choose(fp32, histograms, tmp_path / "int8.onnx", limit_p99_gcm2=0.001)
    assert made.parity.passed
    assert made.quantization.layers_fp32 == (planted(fp32),)
    assert (made.guard_runs, made.judged_hips) == (1, 16)
    nodes = {node.name: node for node in onnx.load(tmp_path / "int8.onnx").graph.node}
    assert "Dequantize" not in nodes[planted(fp32)].input[1]
    assert len(quantized_layers(onnx.load(tmp_path / "int8.onnx"))) == 2


def test_where_the_films_of_the_ranges_promise_too_much_the_guard_asks_for_more(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("export.int8.choose.ROOM", 1e6)
    made = choose(fp32, histograms, tmp_path / "int8.onnx", limit_p99_gcm2=0.001)
    assert made.parity.passed
    assert made.quantization.layers_fp32 == (planted(fp32),)
    assert made.guard_runs == 2  # with no layer in fp32 and with one


def test_where_half_of_the_layers_do_not_help_the_guard_refuses(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path
) -> None:
    made = choose(fp32, histograms, tmp_path / "int8.onnx", limit_p99_gcm2=1e-7)
    assert not made.parity.passed
    assert len(made.quantization.layers_fp32) == 1
    assert any("99th percentile" in said for said in made.parity.failures())


def test_an_outlier_layer_in_int8_is_refused(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    """By the budget as it is: the network with its planted layer quantized, over a thousand hips."""
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms, method="mse")
    parity = parity_of(estimates(fp32.read_bytes()), estimates((tmp_path / "int8.onnx").read_bytes()))
    assert not parity.passed
    kept = quantized(onnx.load(fp32), histograms, method="mse", keep_fp32=[planted(fp32)])
    assert parity_of(estimates(fp32.read_bytes()), estimates(kept.SerializeToString())).passed
    parts = tiny_parts(tmp_path)
    with pytest.raises(BundleError, match="INT8 refused, it is outside its error budget"):
        pack(tmp_path / "out", dataclasses.replace(parts, parity=parity))


def test_numbers_that_only_the_cpu_keeps_do_not_pass(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranges that cut off half of what occurs: the CPU goes on beyond them, int8 as TensorRT reads it does not."""
    cut = {name: dataclasses.replace(one, largest=one.largest * 0.51) for name, one in histograms.items()}
    monkeypatch.setattr("export.int8.sensitivity.METHODS", ("minmax",))
    monkeypatch.setattr("export.int8.choose.mixes", lambda _: [[planted(fp32)]])
    wanted, model = answers(fp32, [IMAGES]).bmd, tmp_path / "int8.onnx"
    int8_from_onnx(fp32, model, cut, keep_fp32=[planted(fp32)])
    on_cpu, as_written = (
        float(np.abs(answers(model, [IMAGES], as_written=flag).bmd - wanted).max()) for flag in (False, True)
    )
    assert on_cpu < as_written / 3
    limit = (on_cpu + as_written) / 2
    made = choose(fp32, cut, model, limit_p99_gcm2=limit)
    assert np.abs(made.answers.bmd - wanted).max() < limit
    assert not made.parity_as_written.passed
