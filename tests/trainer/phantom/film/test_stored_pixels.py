import numpy as np
import pytest

from trainer.phantom.film.stored_pixels import store


@pytest.mark.parametrize("seed", range(12))
def test_stored_pixels_show_what_was_meant(seed):
    shown = np.linspace(-0.1, 1.1, 4000, dtype=np.float32).reshape(40, 100)
    stored = store(shown, np.random.default_rng(seed))
    assert stored.pixels.max() < 2**stored.bits
    assert np.abs(stored.bone_bright() - np.clip(shown, 0, 1)).max() < 4 / 2**10
