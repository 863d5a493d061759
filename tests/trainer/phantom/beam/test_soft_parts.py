import numpy as np

from trainer.phantom.beam.soft_parts import Leg, add_soft_parts

X, Y = np.meshgrid(np.arange(-180.0, 180.0, 3.0, np.float32), np.arange(-200.0, 175.0, 3.0, np.float32))


def _added(seed: int, legs: tuple[Leg, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    outline, fat, gas = np.full_like(X, 20.0), np.full_like(X, 0.3), np.zeros_like(X)
    return add_soft_parts(np.random.default_rng(seed), legs, (X, Y), outline, fat, gas)


def test_fat_planes_follow_the_leg():
    """The mean fat of many draws has bands that move with the head center."""
    near = np.mean([_added(s, (Leg((88.0, 0.0), (0.0, 1.0)),))[1] for s in range(60)], axis=0)
    moved = np.mean([_added(s, (Leg((88.0, 30.0), (0.0, 1.0)),))[1] for s in range(60)], axis=0)
    window = (slice(40, 90), slice(60, 110))
    assert np.abs(near[window] - 0.3).max() > 0.03
    assert np.allclose(near[window], moved[50:100, 60:110], atol=1e-4)


def test_a_leg_far_away_is_left_out():
    assert np.array_equal(_added(5, ())[1], _added(5, (Leg((400.0, 0.0), (0.0, 1.0)),))[1])


def test_tissue_is_added_to_tissue_and_gas_is_never_negative():
    outline, fat, gas = (np.zeros_like(X) for _ in range(3))
    for seed in range(20):
        thick, _, more = add_soft_parts(np.random.default_rng(seed), (), (X, Y), outline, fat, gas)
        assert more.min() >= 0.0
        assert np.all(thick[:70] == 0.0)
