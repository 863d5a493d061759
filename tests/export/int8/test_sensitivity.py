from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export.int8.layers import layers
from export.int8.ranges import METHODS, Histogram, collect
from export.int8.sensitivity import compare_methods, mixes, shift_of, shifts_alone
from export.onnx_file.to_onnx import onnx_from_network
from tests.export.int8.outlier_network import IMAGES, Outlier, estimates, planted


@pytest.fixture(scope="module")
def fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    path = tmp_path_factory.mktemp("onnx") / "outlier.onnx"
    onnx_from_network(Outlier().eval(), IMAGES[:2], ("bmd", "spread", "embedding"), path, {})
    return path


@pytest.fixture(scope="module")
def histograms(fp32: Path) -> dict[str, Histogram]:
    return collect(fp32, [IMAGES])


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
