import numpy as np
import pytest

from trainer.phantom.film.stored_pixels import store


@pytest.mark.parametrize("seed", range(12))
def test_stored_pixels_hold_what_was_meant(seed):
    shown = np.linspace(-0.1, 1.1, 4000, dtype=np.float32).reshape(40, 100)
    stored = store(shown, np.random.default_rng(seed))
    assert stored.pixels.max() < 2**stored.bits
    inverted = stored.photometric == "MONOCHROME1"
    upright = 1 - shown if inverted else shown
    if stored.window is not None:  # the film holds more than its window shows
        center, width = stored.window
        upright = ((upright - 0.5) * (width - 1) + center - 0.5) / (2**stored.bits - 1)
    held = np.clip(upright, 0, 1)
    assert np.abs(stored.bone_bright() - (1 - held if inverted else held)).max() < 4 / 2**10
