import numpy as np
import pytest

from trainer.phantom.beam.clutter import Canvas, add_clutter, gonad_shield, rod


def _canvas(scale: float) -> Canvas:
    n = round(400 * scale)
    maps = [np.zeros((n, n), np.float32) for _ in range(3)]
    maps[2] += 20.0
    return Canvas(*maps, scale, (n / 2, n / 2))


@pytest.mark.parametrize("scale", [1 / 0.3, 1 / 0.7, 1 / 1.8])
def test_a_rod_weighs_the_same_at_any_pixel_size(scale):
    """Half a millimeter of radius, 80 mm long, 2 g/cm3: cross-section times length times density."""
    canvas = _canvas(scale)
    rod(canvas, canvas.mineral_gcm2, np.array([[-40.3, 3.1], [39.7, 11.2]]), 0.5, 2.0)
    grams = float(canvas.mineral_gcm2.sum()) * (0.1 / scale) ** 2
    assert grams == pytest.approx(2.0 * np.pi * 0.05**2 * 8.04, rel=0.2)


def test_a_bent_rod_is_not_counted_twice_at_its_joints():
    canvas = _canvas(2.0)
    rod(canvas, canvas.tissue_cm, np.array([[-50.0, 0.0], [0.0, 0.0], [1.0, 0.0], [50.0, 0.0]]), 5.0, 1.0)
    assert canvas.tissue_cm.max() == pytest.approx(21.0, abs=0.02)


def test_wide_clutter_comes_on_top_of_the_usual_and_keeps_masses_positive():
    for seed in range(30):
        usual, wide, again = _canvas(1.0), _canvas(1.0), _canvas(1.0)
        add_clutter(usual, np.random.default_rng(seed), 1.0)
        add_clutter(wide, np.random.default_rng(seed), 1.0, wide=True)
        add_clutter(again, np.random.default_rng(seed), 1.0, wide=True)
        assert np.array_equal(wide.tissue_cm, again.tissue_cm)
        assert np.array_equal(wide.mineral_gcm2, again.mineral_gcm2)
        assert wide.mineral_gcm2.min() > -1e-3
        assert wide.tissue_cm.min() > 15.0
        assert np.all(wide.metal_gcm2 >= usual.metal_gcm2 - 1e-6)


def test_a_gonad_shield_stays_between_the_thighs():
    """No point of it lies as far from the midline as the innermost lesser trochanter, about 60 mm."""
    for seed in range(60):
        canvas = _canvas(1.0)
        gonad_shield(canvas, np.random.default_rng(seed))
        rows, columns = np.nonzero(canvas.metal_gcm2)
        assert len(rows) > 500
        assert np.abs(columns + 0.5 - 200).max() < 60
        assert rows.min() > 150
