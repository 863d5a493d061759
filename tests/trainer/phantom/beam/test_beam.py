import numpy as np
import pytest

from trainer.phantom.beam.beam import Masses, displaced, spectrum, transmission


def _slab(tissue_cm: float, mineral: float = 0.0) -> Masses:
    one = np.ones((1, 1), np.float32)
    left, marrow = displaced(mineral * one, 0 * one, 0 * one, tissue_cm * one)
    return Masses(mineral * one, 0 * one, left, 0 * one, marrow)


def test_beer_lambert_of_a_slab():
    log = lambda masses, kvp: -float(np.log(transmission(masses, kvp, 0.6)[0, 0]))  # noqa: E731
    assert 0.19 < log(_slab(19), 75) - log(_slab(18), 75) < 0.26
    per_gram = {kvp: log(_slab(18, 1.0), kvp) - log(_slab(18), kvp) for kvp in (70, 75, 85)}
    assert 0.40 < per_gram[75] < 0.58
    assert -0.27 < per_gram[85] / per_gram[70] - 1 < -0.12
    assert spectrum(75)[0].sum() == pytest.approx(1.0, abs=1e-5)
    assert transmission(_slab(0.0), 75, 0.6)[0, 0] == pytest.approx(1.0, abs=1e-4)
