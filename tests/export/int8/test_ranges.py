import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
import scipy.stats

from bmd_edge.engine.onnx_runtime import OnnxEngine
from export.int8.ranges import BINS, METHODS, Histogram, activations, collect
from tests.support.bundles import images_of, tiny_parts


def filled(*parts: np.ndarray) -> Histogram:
    histogram = Histogram()
    for values in parts:
        histogram.add(values.astype(np.float32))
    return histogram


def test_the_order_of_films_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    parts = [rng.normal(0, scale, 5000) for scale in (0.1, 1.0, 30.0)]
    forward, backward = filled(*parts), filled(*parts[::-1])
    assert forward.largest == backward.largest
    assert forward.limit == backward.limit
    np.testing.assert_array_equal(forward.counts, backward.counts)
    assert forward.counts.sum() == 15_000


def test_minmax_is_the_largest_magnitude() -> None:
    assert filled(np.array([0.5, -3.25]), np.array([2.0])).threshold("minmax") == 3.25


@pytest.mark.parametrize("share", [90.0, 99.0, 99.9])
def test_percentile_is_numpys_within_a_bin(share: float) -> None:
    values = np.random.default_rng(1).laplace(0, 1, 200_000)
    histogram = filled(*np.split(values, 8))
    expected = np.percentile(np.abs(values), share)
    assert abs(histogram.threshold("percentile", share) - expected) <= histogram.limit / BINS


def test_mse_finds_the_least_squared_error() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(0, 1, 100_000), [40.0]])
    chosen = filled(values).threshold("mse")

    def error(limit: float) -> float:
        step = limit / 127
        return float(np.mean((np.clip(np.round(values / step), -127, 127) * step - values) ** 2))

    best = min(error(limit) for limit in np.linspace(0.5, 40, 800))
    assert error(chosen) <= 1.02 * best
    assert error(chosen) < error(40.0)


def divergence(counts: np.ndarray, size: int) -> float:
    """Migacz 2017, spelled out: clip to `size` bins, merge into 128 levels, spread out, compare."""
    clipped = counts[:size].copy()
    clipped[-1] += counts[size:].sum()
    spread = np.zeros(size)
    for level in range(128):
        bins = slice(level * size // 128, (level + 1) * size // 128)
        filled = counts[bins] > 0
        if filled.any():
            spread[bins] = np.where(filled, counts[bins].sum() / filled.sum(), 0)
    return float(scipy.stats.entropy(clipped / clipped.sum(), spread / spread.sum()))


def test_entropy_loses_the_least_information() -> None:
    values = np.abs(np.concatenate([np.random.default_rng(3).normal(0, 1, 200_000), [25.0]]))
    histogram = filled(values)
    counts = histogram.counts.astype(float)
    counts[0] = counts[1]
    sizes = range(128, BINS + 1, 8)
    best = min(sizes, key=lambda size: divergence(counts, size))
    chosen = histogram.threshold("entropy")
    assert chosen == pytest.approx(best * histogram.limit / BINS)
    assert 3 < chosen < 6  # not the one value far outside


def test_zeros_do_not_draw_the_entropy() -> None:
    values = np.random.default_rng(4).normal(0, 1, 100_000)
    assert filled(values, np.zeros(10**6)).threshold("entropy") == filled(values).threshold("entropy")


@pytest.mark.parametrize("method", METHODS)
def test_a_tensor_of_zeros_has_a_range(method: str) -> None:
    assert filled(np.zeros(10)).threshold(method) == 1.0
    assert filled(np.zeros(10), np.array([0.3])).threshold(method) == pytest.approx(0.3, abs=1e-3)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(ValueError, match="minmax"):
        filled(np.ones(1)).threshold("kl")


def test_ranges_are_those_of_the_activations(tmp_path: Path) -> None:
    path = tiny_parts(tmp_path, int8=False).models["bmd"]["fp32"]
    images = images_of(6)
    found = collect(path, [images[:2], images[2:]])
    assert set(found) == {"image", "c1", "r1", "c2", "r2", "embedding", "bmd", "raw", "spread"}
    with OnnxEngine(path) as engine:
        outputs = engine.run({"image": images})
    assert found["image"].largest == images.max()
    assert found["embedding"].largest == pytest.approx(np.abs(outputs["embedding"]).max(), rel=1e-5)
    assert found["r2"].largest <= found["c2"].largest
    assert activations(onnx.load(path))[0] == "image"


def test_no_films_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no films"):
        collect(tiny_parts(tmp_path, int8=False).models["bmd"]["fp32"], [])


def test_memory_does_not_grow_with_the_films(tmp_path: Path) -> None:
    path = tiny_parts(tmp_path, int8=False).models["bmd"]["fp32"]

    def peak_bytes(films: int) -> int:
        tracemalloc.start()
        collect(path, (images_of(1) for _ in range(films)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(2)  # imports and caches
    assert peak_bytes(60) < 1.2 * peak_bytes(4)
