import numpy as np
import pytest

from trainer.phantom.film.scene import scene_of
from trainer.phantom.judge.repeatability import precision_errors, specs


def test_the_films_of_a_subject_differ_in_pose_and_exposure_only():
    first, second = specs(2, 3, 7)
    assert len({spec.seed for spec in first + second}) == 6
    assert {(spec.subject_seed, spec.side, spec.style) for spec in first} == {(first[0].seed, "R", "A")}
    assert (second[0].side, second[0].style) == ("L", "B")
    scenes = [scene_of(spec) for spec in first]
    assert scenes[0].subject == scenes[1].subject
    assert scenes[0].pose != scenes[1].pose
    assert not {spec.seed for spec in first} & {spec.seed for group in specs(2, 3, 8) for spec in group}


def test_precision_is_the_root_mean_square_over_subjects():
    """By hand: SDs of 0.01 and 0.03 around 0.5 and 1.0, of 1 and 2 degrees; a subject with one number says nothing."""
    two = np.array([0.5 - 0.01 / np.sqrt(2), 0.5 + 0.01 / np.sqrt(2)]), np.array([0.97, 1.0, 1.03])
    estimates = np.full((3, 3, 2), np.nan)
    estimates[0, :2, 0], estimates[1, :, 0], estimates[2, 0, 0] = two[0], two[1], 0.7
    found = precision_errors(estimates)["femoral_neck"]
    assert (found["n_subjects"], found["n_films"]) == (2, 5)
    assert found["rms_sd_gcm2"] == pytest.approx(np.sqrt((0.01**2 + 2 * 0.03**2) / 3), abs=1e-4)
    assert found["rms_cv_percent"] == pytest.approx(100 * np.sqrt((0.02**2 + 2 * 0.03**2) / 3), abs=0.01)
    assert found["least_significant_change_gcm2"] == pytest.approx(2.77 * found["rms_sd_gcm2"], abs=2e-4)
    assert precision_errors(estimates)["total_hip"] == {"n_subjects": 0}
