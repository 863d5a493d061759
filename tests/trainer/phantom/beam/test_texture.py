import numpy as np
import pytest

from trainer.phantom.beam.texture import TextureLook, textured
from trainer.phantom.judge.check import texture_error


def test_texture_keeps_the_mass():
    assert abs(texture_error(1)) < 5e-4
    rng = np.random.default_rng(0)
    mass = np.zeros((200, 150), np.float32)
    mass[40:160, 30:120] = 0.3
    out = textured(mass, TextureLook.draw(rng, 0.0), None, 0.3, rng)
    assert out.sum(dtype=float) == pytest.approx(mass.sum(dtype=float), rel=1e-5)
    assert 0.04 < out[60:140, 50:100].std() / 0.3 < 0.25
    assert (out[mass == 0] == 0).all()
