import numpy as np
import pytest

from trainer.phantom.beam.soft_parts import Leg
from trainer.phantom.beam.tissue import draw_tissue

LEGS = (Leg((-88.0, 0.0), (0.05, 0.9987)), Leg((88.0, 0.0), (-0.05, 0.9987)))
X, Y = np.arange(-180.0, 180.0, 3.0, np.float32), np.arange(-200.0, 175.0, 3.0, np.float32)


def _drawn(seed: int, bmi: float, wide: bool):
    return draw_tissue(np.random.default_rng(seed), bmi, LEGS, X, Y, wide=wide)


@pytest.mark.parametrize("wide", [False, True])
def test_tissue_is_plausible_and_a_function_of_its_arguments(wide):
    for seed in range(12):
        tissue = _drawn(seed, 26.0, wide)
        assert tissue.thickness_cm.shape == tissue.fat_share.shape == (Y.size, X.size)
        assert tissue.thickness_cm.min() >= 0.0
        assert 5.0 < tissue.thickness_cm[:60, 40:80].mean() < 50.0
        assert tissue.fat_share.min() >= 0.0
        assert tissue.fat_share.max() <= 1.0
        assert np.array_equal(tissue.thickness_cm, _drawn(seed, 26.0, wide).thickness_cm)


def test_wide_tissue_does_not_know_the_bmi_and_varies_more():
    assert np.array_equal(_drawn(3, 20.0, True).thickness_cm, _drawn(3, 40.0, True).thickness_cm)
    assert not np.array_equal(_drawn(3, 20.0, False).thickness_cm, _drawn(3, 40.0, False).thickness_cm)
    spread = {w: np.std([_drawn(s, 26.0, w).thickness_cm[66, 90] for s in range(40)]) for w in (False, True)}
    assert spread[True] > 2.0 * spread[False]
    fat = {w: np.std([_drawn(s, 26.0, w).fat_share[66, 90] for s in range(40)]) for w in (False, True)}
    assert fat[True] > 1.5 * fat[False]
