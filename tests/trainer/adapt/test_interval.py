import numpy as np

from trainer.adapt.interval import least_scale


def test_no_set_of_films_gets_a_narrower_interval_on_average() -> None:
    rng = np.random.default_rng(0)
    half = [rng.uniform(0.05, 0.2, (n, 2)) for n in (30, 50)]
    spread = [rng.uniform(0.01, 0.05, (n, 2)) * (1 + k) for k, n in enumerate((30, 50))]
    scale = least_scale(half, spread)
    assert scale.shape == (2,)
    wider = np.array([(scale * own).mean(0) / parent.mean(0) for own, parent in zip(spread, half, strict=True)])
    assert (wider > 1 - 1e-12).all()
    assert np.allclose(wider.min(0), 1)  # and no wider than that takes
    assert (wider.max(0) > 1.3).all()
