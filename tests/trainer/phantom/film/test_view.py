"""Films of one view: the bones are marched once, and what is seen does not hang on what was made before."""

from dataclasses import replace

import numpy as np
import pytest

from trainer.phantom.film import view as view_module
from trainer.phantom.film.film import film
from trainer.phantom.film.scene import FilmSpec
from trainer.phantom.film.view import view_of

FIRST = FilmSpec(31, "pelvis", "R", pose="turned", region="roi", pixel_mm=1.2, view_seed=7)
AGAIN = replace(FIRST, seed=32)


def test_films_of_a_view_share_bones_labels_and_frame_and_nothing_else(monkeypatch):
    marches = []
    real = view_module.project
    monkeypatch.setattr(view_module, "project", lambda *args: marches.append(args) or real(*args))
    view_module._kept_view.cache_clear()
    first, again = film(FIRST), film(AGAIN)
    assert len(marches) == 2  # the region, and the whole film coarsely
    assert first.hips == again.hips
    assert first.spacing_mm == again.spacing_mm
    assert first.style != again.style
    assert first.header.kvp != again.header.kvp
    assert np.abs(first.bone_bright() - again.bone_bright()).mean() > 0.01


def test_a_film_does_not_hang_on_the_films_made_before():
    kept = film(FIRST), film(AGAIN), film(FIRST)
    view_module._kept_view.cache_clear()
    fresh = film(AGAIN)
    assert np.array_equal(kept[0].pixels, kept[2].pixels)
    assert np.array_equal(kept[1].pixels, fresh.pixels)
    assert kept[1].hips == fresh.hips


def test_a_view_is_that_of_the_film_whose_seed_it_bears():
    alone = film(FilmSpec(7, "pelvis", "R", pose="turned", region="roi", pixel_mm=1.2))
    shared = film(replace(FIRST, seed=7))
    assert alone.hips == shared.hips
    assert np.array_equal(alone.pixels, shared.pixels)


def test_both_hips_of_a_pelvis_are_cut_from_one_film():
    right, left = film(FIRST), film(replace(FIRST, side="L"))
    assert (right.hips[0].side, left.hips[0].side) == ("R", "L")
    assert right.style == left.style
    assert right.header == left.header
    assert right.stored.bits == left.stored.bits
    # Where both regions show the same place, they show the same bones; their noise is their own.
    shift = np.subtract(right.hips[0].landmarks_px["head_center"], left.hips[1].landmarks_px["head_center"])
    columns = round(float(shift[0]))
    assert not np.array_equal(right.pixels[:, columns:], left.pixels[:, : right.pixels.shape[1] - columns])
    assert right.hips[0].true_bmd_gcm2 == left.hips[1].true_bmd_gcm2


@pytest.mark.parametrize("rays", [2, 3])
def test_a_pixel_is_the_mean_of_its_rays(rays):
    spec = FilmSpec(5, region="roi", pixel_mm=1.2)
    fine = view_of(replace(spec, pixel_mm=1.2 / rays)).bones.bone_mm
    mean = view_of(replace(spec, rays=rays)).bones.bone_mm
    assert mean.sum() * rays**2 == pytest.approx(fine.sum(), rel=0.01)
