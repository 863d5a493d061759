import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from bmd_edge.bundle.error_budget import LIMITS
from bmd_edge.errors import BundleError
from export.bundle.pack import pack
from export.int8.choose import Int8, answers, int8_inside_budget
from export.int8.quantize import int8_from_onnx, quantized, quantized_layers
from export.int8.ranges import Histogram, collect
from export.int8.shift_in_gcm2 import JudgingHips
from export.onnx_file.to_onnx import onnx_from_network
from tests.export.int8.outlier_network import IMAGES, Outlier, estimates, planted
from tests.support.bundles import shift_between, tiny_parts


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("onnx") / "outlier.onnx"
    onnx_from_network(Outlier().eval(), IMAGES[:2], ("bmd", "spread", "embedding"), path, {})
    return path


@pytest.fixture(scope="module")
def histograms(fp32: Path) -> dict[str, Histogram]:
    return collect(fp32, [IMAGES])


def choose(fp32: Path, histograms: dict[str, Histogram], target: Path, limit_p99_gcm2: float) -> Int8:
    limits = dataclasses.replace(LIMITS, min_hips=16, p99_shift_gcm2=limit_p99_gcm2, mean_shift_gcm2=1.0, flip_share=1)
    wanted, names = answers(fp32, [IMAGES]), [f"{i}" for i in range(len(IMAGES))]
    hips, files = JudgingHips(wanted.bmd + 0.5, names, names, names), {"fp32": fp32, "int8": target}
    return int8_inside_budget(files, histograms, [IMAGES], [IMAGES], hips, wanted, limits, lambda _: None)


def test_the_planted_layer_stays_fp32_and_the_guard_passes(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path
) -> None:
    made = choose(fp32, histograms, tmp_path / "int8.onnx", limit_p99_gcm2=0.001)
    assert made.shift.passed
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
    assert made.shift.passed
    assert made.quantization.layers_fp32 == (planted(fp32),)
    assert made.guard_runs == 2  # with no layer in fp32 and with one


def test_where_half_of_the_layers_do_not_help_the_guard_refuses(
    fp32: Path, histograms: dict[str, Histogram], tmp_path: Path
) -> None:
    made = choose(fp32, histograms, tmp_path / "int8.onnx", limit_p99_gcm2=1e-7)
    assert not made.shift.passed
    assert len(made.quantization.layers_fp32) == 1
    assert any("99th percentile" in said for said in made.shift.failures())


def test_an_outlier_layer_in_int8_is_refused(fp32: Path, histograms: dict[str, Histogram], tmp_path: Path) -> None:
    """By the budget as it is: the network with its planted layer quantized, over a thousand hips."""
    int8_from_onnx(fp32, tmp_path / "int8.onnx", histograms, method="mse")
    shift = shift_between(estimates(fp32.read_bytes()), estimates((tmp_path / "int8.onnx").read_bytes()))
    assert not shift.passed
    kept = quantized(onnx.load(fp32), histograms, method="mse", keep_fp32=[planted(fp32)])
    assert shift_between(estimates(fp32.read_bytes()), estimates(kept.SerializeToString())).passed
    parts = tiny_parts(tmp_path)
    with pytest.raises(BundleError, match="INT8 refused, it is outside its error budget"):
        pack(tmp_path / "out", dataclasses.replace(parts, shift=shift))


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
    assert not made.shift_as_written.passed
