from dataclasses import replace

import numpy as np
import pytest

from trainer.phantom.beam.beam import Exposure, Masses, _transmit, blur, displaced, spectrum, transmission

BEAM = Exposure(75.0, 2.2, 0.35, 0.7, 0.0, 0.002, marrow_fat=0.6)


def _slab(tissue_cm: float, mineral: float = 0.0) -> Masses:
    one = np.ones((1, 1), np.float32)
    left, marrow = displaced(mineral * one, 0 * one, 0 * one, tissue_cm * one)
    return Masses(mineral * one, 0 * one, left, 0 * one, marrow)


def test_beer_lambert_of_a_slab():
    log = lambda masses, kvp: -float(np.log(transmission(masses, replace(BEAM, kvp=kvp))[0, 0]))  # noqa: E731
    assert 0.19 < log(_slab(19), 75) - log(_slab(18), 75) < 0.26
    per_gram = {kvp: log(_slab(18, 1.0), kvp) - log(_slab(18), kvp) for kvp in (70, 75, 85)}
    assert 0.40 < per_gram[75] < 0.58
    assert -0.27 < per_gram[85] / per_gram[70] - 1 < -0.12
    assert spectrum(75)[0].sum() == pytest.approx(1.0, abs=1e-5)
    assert transmission(_slab(0.0), BEAM)[0, 0] == pytest.approx(1.0, abs=1e-4)


def test_copper_hardens_the_beam_as_voltage_does():
    energy_kev = np.arange(17.5, 115.0, 5.0)
    mean = lambda kvp, copper_mm: float(spectrum(kvp, copper_mm)[0] @ energy_kev)  # noqa: E731
    assert mean(75, 0.0) + 4 < mean(75, 0.2) < mean(75, 0.3) < mean(110, 0.3) < 75
    assert mean(74, 0.05) == pytest.approx(0.5 * (mean(74, 0.0) + mean(74, 0.1)), abs=0.01)
    assert spectrum(112, 0.3)[0].sum() == pytest.approx(1.0, abs=1e-5)
    bone = [
        float(np.log(transmission(_slab(18), b) / transmission(_slab(18, 1.0), b))[0, 0])
        for b in (BEAM, replace(BEAM, copper_mm=0.3))
    ]
    assert bone[1] < 0.9 * bone[0]


def test_transmission_is_exact_beer_lambert_over_many_decades():
    """One bin at a time, the exponential to 1e-6: no error of the fast one may pass for bone."""
    lines = np.linspace(0.0, 40.0, 4001, dtype=np.float32)
    zero, mu = np.zeros_like(lines), np.zeros((5, 1), np.float32)
    mu[1] = 1.0
    got = _transmit(zero, zero, lines, zero, zero, mu, np.ones(1, np.float32))
    assert np.abs(got / np.exp(-lines.astype(np.float64)) - 1.0).max() < 5e-6


def test_a_wide_exposure_knows_neither_bmi_nor_age():
    draw = lambda seed, bmi, age: Exposure.draw(np.random.default_rng(seed), bmi, age, wide=True)  # noqa: E731
    assert draw(1, 20.0, 40.0) == draw(1, 40.0, 90.0)
    drawn = [draw(seed, 25.0, 60.0) for seed in range(200)]
    assert min(e.kvp for e in drawn) < 60
    assert max(e.kvp for e in drawn) > 105
    assert max(e.kerma_ugy for e in drawn) / min(e.kerma_ugy for e in drawn) > 8


def test_more_blur_and_glare_soften_an_edge():
    edge = np.repeat(np.where(np.arange(200) < 100, 1.0, 3.0)[None], 40, 0).astype(np.float32)
    usual = Exposure.draw(np.random.default_rng(1), 25.0, 60.0)
    soft = replace(usual, mtf_sigma_mm=0.8, glare_share=0.2)
    slope = [float(np.diff(blur(edge, e, 0.3)[20]).max()) for e in (usual, soft)]
    assert slope[1] < 0.6 * slope[0]
