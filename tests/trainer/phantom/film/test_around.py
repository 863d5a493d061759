"""Soft tissue and exposure of a film: drawn once for both hips of a pelvis, and apart from the bones."""

from dataclasses import replace

import numpy as np
import pytest

from trainer.phantom.film import around
from trainer.phantom.film.around import around_of, exposure_of, masses_of
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.film.view import view_of

FILM = FilmSpec(41, "pelvis", "R", region="roi", pixel_mm=1.2, view_seed=9)


def test_both_hips_lie_in_one_body(monkeypatch):
    drawn = []
    real = around.draw_tissue
    monkeypatch.setattr(around, "draw_tissue", lambda *args: drawn.append(args) or real(*args))
    around._kept_around.cache_clear()
    right, left = (around_of(spec, view_of(spec)) for spec in (FILM, replace(FILM, side="L")))
    assert len(drawn) == 1
    assert right is left
    other = replace(FILM, seed=42)
    assert around_of(other, view_of(other)) is not right


def test_a_region_of_the_other_hip_is_the_same_however_it_is_made():
    left = replace(FILM, side="L")
    around._kept_around.cache_clear()
    alone = around_of(
        replace(left, view_seed=None, subject_seed=9, seed=9), view_of(replace(left, view_seed=None, seed=9))
    )
    kept = around_of(replace(left, seed=9), view_of(left))
    assert np.array_equal(alone.whole.signal, kept.whole.signal)
    assert np.array_equal(alone.body.maps.thickness_cm, kept.body.maps.thickness_cm)


def test_films_of_a_view_differ_in_tissue_and_agree_in_bone():
    view = view_of(FILM)
    before = view.bones.cortical_gcm2.copy()
    one, other = (masses_of(spec, view, around_of(spec, view).body) for spec in (FILM, replace(FILM, seed=42)))
    assert np.abs(one.tissue_cm - other.tissue_cm).mean() > 0.1
    assert np.median(np.abs(one.mineral_gcm2 - other.mineral_gcm2)) == 0  # clutter alone may lie between them
    assert np.array_equal(view.bones.cortical_gcm2, before)


def test_wide_pixels_average_the_electronic_noise():
    fine, usual, wide = (exposure_of(FilmSpec(3, pixel_mm=p)) for p in (0.3, 0.42, 0.84))
    assert fine == usual
    assert wide.electronic_noise == pytest.approx(usual.electronic_noise / 2)
    assert replace(wide, electronic_noise=usual.electronic_noise) == usual
