from dataclasses import replace

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


def test_of_the_wide_population_strength_is_a_draw_of_its_own():
    rng = np.random.default_rng(1)
    strength = np.array([TextureLook.draw(rng, None).strength for _ in range(400)])
    assert strength.min() > 0.05
    assert strength.max() < 0.35
    assert np.histogram(np.log(strength), bins=4)[0].min() > 60


@pytest.mark.parametrize("pixel_mm", [0.3, 0.9])
def test_texture_is_blurred_by_the_pixel_and_still_there(pixel_mm):
    """Pixels of .9 mm show less than those of .3 mm, and what they show is not noise of single pixels."""
    rng = np.random.default_rng(2)
    mass = np.full((round(90 / pixel_mm),) * 2, 0.3, np.float32)
    look = replace(TextureLook.draw(rng, 0.0), strength=0.1, coarseness=0.5)
    out = textured(mass, look, None, pixel_mm, rng) / 0.3 - 1.0
    blocks = out[: out.shape[0] // 3 * 3, : out.shape[1] // 3 * 3] if pixel_mm < 0.5 else out
    if pixel_mm < 0.5:
        blocks = blocks.reshape(blocks.shape[0] // 3, 3, -1, 3).mean(axis=(1, 3))
    assert 0.02 < blocks.std() < 0.08
    side = np.corrcoef(blocks[:, 1:].ravel(), blocks[:, :-1].ravel())[0, 1]
    assert side > 0.1
