"""The truth of the phantom: regions of interest, the label's error, and a population like that of a clinic."""

import dataclasses

import numpy as np
import pytest

from trainer.phantom.body.anatomy import Subject
from trainer.phantom.body.femur import femur_grid
from trainer.phantom.body.pose import HipPose
from trainer.phantom.film import dxa_label
from trainer.phantom.shapes.ray_march import Body, Geometry, project

# Hologic femoral neck of young white women, NHANES III (Looker et al., Osteoporos Int 8, 1998).
NECK_YOUNG_GCM2, NECK_YOUNG_SD_GCM2 = 0.858, 0.120


def test_more_mineral_is_more_bmd() -> None:
    femur = Subject.draw(3).femora["R"]
    base = dxa_label.true_bmd(femur)
    neck = dxa_label.true_bmd(dataclasses.replace(femur, neck_gcm3=1.3 * femur.neck_gcm3))
    assert neck["femoral_neck"] > base["femoral_neck"] * 1.02
    denser = dataclasses.replace(femur, cortical_gcm3=1.1 * femur.cortical_gcm3)
    ratio = dxa_label.true_bmd(denser)["femoral_neck"] / base["femoral_neck"]
    assert 1.03 < ratio < 1.10
    trochanter = dxa_label.true_bmd(dataclasses.replace(femur, trochanter_gcm3=1.5 * femur.trochanter_gcm3))
    assert trochanter["total_hip"] > base["total_hip"] * 1.02
    assert trochanter["femoral_neck"] == pytest.approx(base["femoral_neck"], rel=0.03)


def test_neck_bmd_against_a_plain_sum() -> None:
    """The neck box summed by hand on a fine parallel film of the tilted bone: rows and columns of a rotated square."""
    femur = Subject.draw(4).femora["R"]
    pixel = 0.25
    geometry = Geometry(1, 1, pixel, (480, 480), (-30.0, 40.0), parallel=True)
    maps = project([Body("femur", "femur_L", femur_grid(femur), np.eye(3), np.zeros(3))], geometry)
    x = -30.0 + (np.arange(480) + 0.5) * pixel
    z = 40.0 - (np.arange(480) + 0.5) * pixel
    axis = femur.neck_axis
    along = x[None] * axis[0] + z[:, None] * axis[2]
    across = -x[None] * axis[2] + z[:, None] * axis[0]
    box = np.abs(along - 0.60 * femur.neck_length_mm) < 7.5
    box &= (across < 1.35 * femur.neck_half_mm) & (across > -1.9 * femur.neck_half_mm)  # not the trochanter
    mask = box & (maps.bone_mm > 2.5)
    by_hand = (maps.cortical_gcm2 + maps.trabecular_gcm2)[mask].mean()
    assert dxa_label.true_bmd(femur)["femoral_neck"] == pytest.approx(by_hand, rel=0.02)


def test_total_bmd_begins_where_the_neck_box_does() -> None:
    """The total hip summed by hand: from the proximal edge of the neck box to 12 mm below the lesser trochanter."""
    femur = Subject.draw(4).femora["R"]
    pixel = 0.5
    geometry = Geometry(1, 1, pixel, (480, 400), (-60.0, 70.0), parallel=True)
    maps = project([Body("femur", "femur_L", femur_grid(femur), np.eye(3), np.zeros(3))], geometry)
    x = -60.0 + (np.arange(400) + 0.5) * pixel
    z = 70.0 - (np.arange(480) + 0.5) * pixel
    along = x[None] * femur.neck_axis[0] + z[:, None] * femur.neck_axis[2]
    mask = (along > 0.60 * femur.neck_length_mm - 7.5) & (z[:, None] > -femur.lesser_drop_mm - 12.0)
    mask &= maps.bone_mm > 2.5
    by_hand = (maps.cortical_gcm2 + maps.trabecular_gcm2)[mask].mean()
    assert dxa_label.true_bmd(femur)["total_hip"] == pytest.approx(by_hand, rel=0.01)


def test_pixel_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    femur = Subject.draw(5).femora["L"]
    coarse = dxa_label.true_bmd(femur)
    monkeypatch.setattr(dxa_label, "PIXEL_MM", 0.4)
    fine = dxa_label.true_bmd(femur)
    for site, value in coarse.items():
        assert value == pytest.approx(fine[site], rel=0.01), site


def test_rotation_raises_the_apparent_bmd_of_the_neck() -> None:
    """Why the DXA pose matters: seen obliquely the same neck is shorter and denser."""
    femur = Subject.draw(6).femora["R"]
    axis = 0.60 * femur.neck_length_mm * np.array(femur.neck_axis)

    def mean_around_neck(rotation: float) -> float:
        turn = HipPose(rotation).matrix()
        center = turn @ axis
        geometry = Geometry(1, 1, 0.5, (30, 20), (center[0] - 5.0, center[2] + 7.5), parallel=True)
        maps = project([Body("femur", "femur_L", femur_grid(femur), turn, np.zeros(3))], geometry)
        return float((maps.cortical_gcm2 + maps.trabecular_gcm2).mean())

    values = [mean_around_neck(r) for r in (0.0, 20.0, 35.0)]
    assert values[0] < values[1] < values[2]


def test_label_error_is_two_percent_and_needs_its_own_generator() -> None:
    true = {"femoral_neck": 0.7, "total_hip": 0.85}
    rng = np.random.default_rng(0)
    labels = [dxa_label.dxa_label(true, rng) for _ in range(2000)]
    for site, value in true.items():
        error = np.array([label[site] for label in labels]) / value - 1
        assert error.mean() == pytest.approx(0.0, abs=0.002)
        assert error.std() == pytest.approx(0.02, abs=0.001)
    assert dxa_label.dxa_label(true, np.random.default_rng(9)) == dxa_label.dxa_label(true, np.random.default_rng(9))


def test_population_is_a_screening_population() -> None:
    """Loose bounds for 60 subjects; the check of the whole phantom holds the narrow ones on many more."""
    people = dxa_label.population(60, seed=5, pairs=20)
    neck, total = people.neck_gcm2, people.total_gcm2

    def r(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a, b)[0, 1])

    assert neck.mean() == pytest.approx(0.70, abs=0.06)
    assert neck.std() == pytest.approx(0.14, abs=0.04)
    assert 0.77 < total.mean() < 0.92
    assert 0.75 < r(neck, total) < 0.97
    assert -0.65 < r(neck, people.age_years) < -0.1
    osteoporosis = (neck < NECK_YOUNG_GCM2 - 2.5 * NECK_YOUNG_SD_GCM2).mean()
    assert 0.03 < osteoporosis < 0.30
    assert r(neck[:20], people.neck_other_gcm2) > 0.8
    assert set(people.sex) == {"F", "M"}
    assert people.age_years.min() >= 40
    assert people.age_years.max() <= 90
