from dataclasses import replace

import numpy as np
import pytest

from trainer.phantom.body.anatomy import ADOLESCENT_YEARS, Femur, Pelvis, Subject
from trainer.phantom.body.femur import femur_grid
from trainer.phantom.body.pelvis import pelvis_grid, sacrum_grid


def test_a_subject_is_a_function_of_its_seed() -> None:
    assert Subject.draw(17) == Subject.draw(17)
    assert Subject.draw(17) != Subject.draw(18)
    one = Subject.draw(17)
    assert one.femora["R"] != one.femora["L"]
    assert 40 <= one.age_years <= 90


def test_a_population_has_to_be_known() -> None:
    assert Subject.draw(17, "wide") == Subject.draw(17, "wide")
    assert Subject.draw(17, "wide").latent_b is None
    with pytest.raises(ValueError, match="unknown population 'village'"):
        Subject.draw(17, "village")


def test_children_are_small_and_have_open_growth_plates() -> None:
    child = Subject.draw_immature(23)
    assert child.femora["R"].head_radius_mm < 17.0
    assert child.femora["R"].growth_plates == 1.0
    assert child.pelvis.open_growth_plates
    assert child.age_years < 18
    from scipy.ndimage import label

    distance = femur_grid(child.femora["R"]).distance_mm
    pieces = np.sort(np.bincount(label(distance < 0)[0].ravel())[1:])
    assert len(pieces) >= 2  # the head nucleus lies apart from the shaft
    assert pieces[-2] > 300


def test_a_loss_takes_mineral_and_leaves_sizes() -> None:
    from trainer.phantom.film.dxa_label import true_bmd

    one = Subject.draw(17)
    less = one.with_loss(0.1)
    for name in ("shaft_cortex_mm", "calcar_mm", "neck_gcm3"):
        assert getattr(less.femora["L"], name) == pytest.approx(0.9 * getattr(one.femora["L"], name))
    for grid in (pelvis_grid, sacrum_grid):
        whole, left = grid(one.pelvis), grid(less.pelvis)
        np.testing.assert_allclose(left.inner, 0.9 * whole.inner, rtol=1e-6)
        assert left.distance_mm is whole.distance_mm
    for name in ("head_radius_mm", "neck_half_mm", "cortical_gcm3", "noise_seed"):
        assert getattr(less.femora["R"], name) == getattr(one.femora["R"], name)
    before, after = true_bmd(one.femora["R"]), true_bmd(less.femora["R"])
    assert all(0.87 < after[site] / before[site] < 0.93 for site in before)
    assert one.with_loss(0.0) is one


def test_a_deep_socket_takes_the_head_into_the_pelvis() -> None:
    """The midline, the brim and the wing lie as far lateral of the head as it has moved; the ball stays its socket."""
    usual = replace(Subject.draw(17, "wide").pelvis, deep_mm=0.0)
    half = usual.half_hip_distance_mm
    deep = replace(usual, deep_mm=12.0, half_hip_distance_mm=half - 12.0)
    before, after = _bone(usual), _bone(deep)
    for part in (before, after):
        assert np.linalg.norm(part, axis=1).min() > usual.socket_radius_mm - 2.5
    assert after[:, 0].min() - before[:, 0].min() == pytest.approx(12.0, abs=2.5)  # the symphysis
    high = usual.scale * 60.0
    wing = [part[part[:, 2] > high] for part in (before, after)]
    np.testing.assert_allclose(wing[1].mean(0) - wing[0].mean(0), (12.0, 0.0, 0.0), atol=0.6)
    # What lies at the head's medial pole of a deep socket is its own wall, inside the pelvis; before, the brim is too.
    pole = [part[(abs(part[:, 1:]) < 4.0).all(1) & (part[:, 0] < 0.0), 0].min() for part in (before, after)]
    assert usual.socket_radius_mm + 1.0 < -pole[1] < -pole[0] - 4.0


def test_a_bent_pelvis_is_one_bone_with_its_socket_where_it_was() -> None:
    from scipy.ndimage import label

    for seed in (17, 18, 19):
        plain = replace(Subject.draw(seed, "wide").pelvis, bent_mm=0.0)
        bent = replace(plain, bent_mm=6.0)
        before, after = pelvis_grid(plain).distance_mm < 0, pelvis_grid(bent).distance_mm < 0
        assert (before ^ after).sum() > 0.08 * before.sum()
        pieces = np.bincount(label(after)[0].ravel())[1:]
        assert pieces.max() > 0.98 * pieces.sum()
        assert np.linalg.norm(_bone(bent), axis=1).min() > plain.socket_radius_mm - 2.5


def test_a_rim_that_turns_opens_the_socket_to_the_front() -> None:
    usual = replace(Subject.draw(17, "wide").pelvis, deep_mm=0.0, bent_mm=0.0)
    walls = [_walls(replace(usual, rim_turn=turn)) for turn in (0.05, 0.55)]
    assert walls[1][0] < 0.95 * walls[0][0]
    assert walls[1][1] > 1.05 * walls[0][1]


def _walls(pelvis: Pelvis) -> tuple[int, int]:
    """Voxels of the socket's front and back wall."""
    bone = _bone(pelvis)
    y = bone[np.linalg.norm(bone, axis=1) < pelvis.socket_radius_mm + 3.0, 1]
    beside = 0.35 * pelvis.socket_radius_mm
    return int((y > beside).sum()), int((y < -beside).sum())


def _bone(pelvis: Pelvis) -> np.ndarray:
    """Centers (n, 3) of the voxels of a hemipelvis, mm from the center of the socket."""
    grid = pelvis_grid(pelvis)
    return np.argwhere(grid.distance_mm < 0) * grid.step_mm + np.array(grid.origin_mm)


def test_most_of_the_immature_of_the_wide_population_are_nearly_grown() -> None:
    children = [Subject.draw_immature(seed, "wide") for seed in range(60)]
    grown = [child for child in children if child.age_years >= ADOLESCENT_YEARS]
    assert 34 <= len(grown) <= 54
    for one in grown:
        adult = Subject.draw(one.seed).femora["R"]
        assert one.age_years < 18
        assert one.femora["R"].head_radius_mm > 0.8 * adult.head_radius_mm
        assert 0.0 < one.femora["R"].growth_plates < 0.5
        assert not one.pelvis.open_growth_plates


def test_an_adolescents_growth_plates_are_thin_gaps() -> None:
    femur = Subject.draw(23).femora["R"]
    open_, closed = (_bone_mm3(replace(femur, growth_plates=wide)) for wide in (0.3, 0.0))
    assert 0.93 * closed < open_ < 0.995 * closed
    assert _bone_mm3(replace(femur, growth_plates=1.0)) < 0.9 * closed


def _bone_mm3(femur: Femur) -> float:
    grid = femur_grid(femur)
    return float((grid.distance_mm < 0).sum() * grid.step_mm**3)
