import numpy as np

from trainer.phantom.shapes.coarse_grid import block_mean, upsample


def test_grid_round_trip():
    ramp = np.add.outer(np.arange(40.0), np.arange(60.0)).astype(np.float32)
    coarse = block_mean(ramp, 4)
    assert coarse.shape == (10, 15)
    assert np.abs(upsample(coarse, ramp.shape, 4) - ramp)[4:-4, 4:-4].max() < 1e-3
