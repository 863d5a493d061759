"""Gray statistics of a network input, against scipy and against images whose bands are known."""

import numpy as np
import pytest
from scipy import stats

from bmd_edge.measure.network_answer import gray_statistics


@pytest.mark.parametrize("size", [112, 224, 120])
def test_moments_are_those_of_scipy(size: int) -> None:
    image = np.random.default_rng(size).beta(2, 5, (1, size, size)).astype(np.float32)
    inner = image[0, : size // 16 * 16, : size // 16 * 16].astype(float)
    expected = [inner.mean(), inner.std(), stats.skew(inner.ravel())]
    np.testing.assert_allclose(gray_statistics(image)[:3], expected, rtol=1e-9)


@pytest.mark.parametrize("band", range(4))
def test_a_checkerboard_stands_in_its_own_band_only(band: int) -> None:
    squares = np.indices((112 >> band, 112 >> band)).sum(0) % 2
    image = squares.repeat(1 << band, 0).repeat(1 << band, 1)[None].astype(np.float32)
    bands = gray_statistics(image)[3:]
    assert bands[band] == pytest.approx(np.log(0.5))
    np.testing.assert_allclose(np.delete(bands, band), np.log(1e-4))


def test_an_empty_image_has_finite_figures() -> None:
    assert np.isfinite(gray_statistics(np.zeros((1, 112, 112), np.float32))).all()
