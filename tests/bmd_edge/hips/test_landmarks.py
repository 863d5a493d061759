"""What several looks at one hip say together."""

import numpy as np
import pytest

from bmd_edge.hips.landmarks import Look, merged


def test_looks_together_are_the_median_of_landmarks_and_the_mean_of_log_odds():
    points = np.arange(12, dtype=float).reshape(6, 2)
    looks = [
        Look(points + move, np.full(6, peak), np.array(kind), np.full(4, far))
        for move, peak, kind, far in (
            (0, 0.5, [0.5, 0.5, 0, 0, 0, 0], 1.0),
            (1, 0.8, [0.5, 0.5, 0, 0, 0, 0], 2.0),
            (50, 0.2, [0.8, 0.2, 0, 0, 0, 0], 6.0),
        )
    ]
    together = merged(looks)
    assert together.points_px == pytest.approx(points + 1)
    assert together.peaks == pytest.approx(np.full(6, 0.5))
    assert together.kind[0] / together.kind[1] == pytest.approx(4 ** (1 / 3))
    assert together.kind.sum() == pytest.approx(1)
    assert together.embedding == pytest.approx(np.full(4, 3.0))
