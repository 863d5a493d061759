import numpy as np

from trainer.phantom.judge.features import ridge_r


def test_ridge_recovers_a_linear_tie_and_finds_none_in_noise():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 30))
    y = x[:, 0] + 0.5 * rng.standard_normal(200)
    assert ridge_r(x, y) > 0.8
    assert abs(ridge_r(x, rng.standard_normal(200))) < 0.3
