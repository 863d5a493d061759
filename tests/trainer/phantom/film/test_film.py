"""Films of the phantom: pure functions of their specification, and what a film may not give away."""

from dataclasses import fields, replace

import numpy as np
import pytest

from trainer.phantom.body.anatomy import Subject
from trainer.phantom.film import scene
from trainer.phantom.film.film import film
from trainer.phantom.film.scene import FilmSpec

SMALL = {"pixel_mm": 0.95}


def test_a_film_is_a_pure_function_of_its_spec(hip):
    again = film(FilmSpec(7, **SMALL))
    assert np.array_equal(hip.pixels, again.pixels)
    assert hip.header == again.header
    assert hip.hips == again.hips
    assert not np.array_equal(
        hip.pixels, film(FilmSpec(8, **SMALL)).pixels[: hip.pixels.shape[0], : hip.pixels.shape[1]]
    )


def test_label_noise_and_film_noise_never_share_draws(hip):
    other_film = film(FilmSpec(12345, subject_seed=7, style="A", **SMALL))
    assert other_film.hips[0].label_bmd_gcm2 == hip.hips[0].label_bmd_gcm2
    assert other_film.hips[0].true_bmd_gcm2 == hip.hips[0].true_bmd_gcm2
    assert other_film.hips[0].landmarks_px != hip.hips[0].landmarks_px
    assert hip.hips[0].label_bmd_gcm2 != hip.hips[0].true_bmd_gcm2


def test_the_style_changes_the_pixels_and_nothing_else():
    a, h = (film(FilmSpec(7, style=s, **SMALL)) for s in "AH")
    assert a.hips == h.hips
    assert a.pixels.shape == h.pixels.shape
    assert np.abs(a.bone_bright() - h.bone_bright()).mean() > 0.02


@pytest.mark.parametrize("seed", range(4))
def test_a_good_film_holds_its_landmarks(seed):
    for spec in (FilmSpec(seed, pose="wide", **SMALL), FilmSpec(seed, kind="pelvis", pose="wide", **SMALL)):
        made = film(spec)
        rows, cols = made.pixels.shape
        assert len(made.hips) >= (2 if spec.kind == "pelvis" else 1)
        for one in made.hips if spec.kind == "pelvis" else made.hips[:1]:
            assert not one.cut_off
            for name in ("head_center", "neck_center", "greater_trochanter", "lesser_trochanter"):
                x, y = one.landmarks_px[name]
                assert 0 <= x <= cols
                assert 0 <= y <= rows


def test_a_roi_window_shows_the_same_hip_as_its_film():
    whole = film(FilmSpec(6, style="C", pixel_mm=0.8))
    window = film(FilmSpec(6, style="C", pixel_mm=0.8, region="roi"))
    shift = np.subtract(whole.hips[0].landmarks_px["head_center"], window.hips[0].landmarks_px["head_center"])
    for name, point in whole.hips[0].landmarks_px.items():
        assert np.subtract(point, window.hips[0].landmarks_px[name]) == pytest.approx(shift, abs=1e-6)
    left, top = (round(float(v)) for v in shift)
    y, x = (round(v) for v in window.hips[0].landmarks_px["neck_center"][::-1])
    near = lambda f, dx, dy: f.bone_bright()[y + dy - 20 : y + dy + 20, x + dx - 20 : x + dx + 20].ravel()  # noqa: E731
    assert np.corrcoef(near(whole, left, top), near(window, 0, 0))[0, 1] > 0.97


def test_header_and_exposure_do_not_read_the_bone(monkeypatch, hip):
    """The same film of a subject whose femora hold a quarter more mineral: another label, the same header."""
    subject = Subject.draw(7)
    denser = {
        side: replace(
            femur,
            **{name: getattr(femur, name) * 1.25 for name in vars_of(femur) if name.endswith(("gcm3", "cortex_mm"))},
        )
        for side, femur in subject.femora.items()
    }
    monkeypatch.setattr(scene, "_subject", lambda *_: replace(subject, femora=denser, latent_b=9.0))
    other = film(FilmSpec(7, **SMALL))
    assert other.hips[0].true_bmd_gcm2["femoral_neck"] > 1.15 * hip.hips[0].true_bmd_gcm2["femoral_neck"]
    assert other.header == hip.header
    assert other.hips[0].landmarks_px["head_center"] == pytest.approx(hip.hips[0].landmarks_px["head_center"], abs=0.1)


def vars_of(femur) -> list[str]:
    return [field.name for field in fields(femur)]
