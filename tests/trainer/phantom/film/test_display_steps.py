from dataclasses import replace

import numpy as np
import pytest

from trainer.phantom.film.display_steps import PLAIN, draw_steps, finished, respond, sharpened, smoothed

RNG = np.random.default_rng(3)
NOISE = (0.5 + 0.02 * RNG.standard_normal((120, 140))).astype(np.float32)
EDGE = NOISE + np.where(np.arange(140) < 70, 0.0, 0.4).astype(np.float32)


def test_plain_steps_change_nothing():
    assert np.array_equal(finished(EDGE, PLAIN, 0.7), EDGE)
    assert np.array_equal(respond(EDGE, 0.0), -np.log(EDGE))


def test_a_response_left_in_goes_over_into_the_logarithm():
    signal = np.geomspace(0.01, 10.0, 50).astype(np.float32)
    assert np.allclose(respond(signal, 0.001), -np.log(signal), atol=0.02)
    assert np.allclose(respond(signal, 1.0), 1.0 - signal, atol=1e-5)


def test_smoothing_takes_noise_and_keeps_the_edge():
    soft = smoothed(EDGE, replace(PLAIN, smooth_mm=2.0, smooth_sd=0.1), 1.0, 0.7)
    assert soft[:, 20:50].std() < 0.4 * EDGE[:, 20:50].std()
    assert soft[:, 71].mean() - soft[:, 68].mean() > 0.3


@pytest.mark.parametrize("sharp_mm", [0.7, 6.0])
def test_sharpening_overshoots_at_edges_alone(sharp_mm):
    sharp = sharpened(EDGE, replace(PLAIN, sharp_mm=sharp_mm, sharp=1.0), 0.7)
    assert sharp[:, 71].mean() > EDGE[:, 71].mean() + 0.02
    assert sharp[:, 135].mean() == pytest.approx(EDGE[:, 135].mean(), abs=0.02)


def test_a_lut_maps_its_knots_and_leaves_what_lies_outside():
    shown = np.array([[-0.2, 0.0, 0.5, 1.0, 1.3]], np.float32)
    assert np.allclose(
        finished(shown, replace(PLAIN, lut=(0.0, 0.3, 1.0)), 0.7), [[-0.2, 0.0, 0.3, 1.0, 1.3]], atol=1e-6
    )


def test_equalization_lifts_local_contrast_the_same_way_at_any_size():
    ramp = np.linspace(0.2, 0.8, 240)[None] + 0.02 * np.sin(np.arange(240) / 4.0)[:, None]
    fine = finished(ramp.astype(np.float32), replace(PLAIN, equalize=1.0, tile_mm=40.0), 0.7)
    coarse = finished(ramp[::2, ::2].astype(np.float32), replace(PLAIN, equalize=1.0, tile_mm=40.0), 1.4)
    assert fine.min() >= 0.0
    assert fine.max() <= 1.0 + 1e-6
    assert fine[:, 120].std() > 1.5 * ramp[:, 120].std()
    assert np.abs(fine[::2, ::2] - coarse).mean() < 0.03


def test_soft_clipping_stays_inside_and_in_order():
    shown = np.linspace(-1.0, 2.0, 301, dtype=np.float32)[None]
    clipped = finished(shown, replace(PLAIN, soft_clip=0.1), 0.7)
    assert clipped.min() >= -0.01
    assert clipped.max() <= 1.01
    assert np.all(np.diff(clipped[0]) >= -1e-6)
    assert clipped[0, 150] == pytest.approx(0.5, abs=0.02)


def test_each_step_is_taken_in_some_films_and_left_out_in_others():
    drawn = [draw_steps(np.random.default_rng(seed)) for seed in range(80)]
    for name in ("linear", "smooth_mm", "sharp", "equalize", "soft_clip", "lut"):
        used = [bool(getattr(steps, name)) for steps in drawn]
        assert any(used)
        assert not all(used)
