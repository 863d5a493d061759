import numpy as np
import pytest

from trainer.phantom.body.anatomy import Femur, Subject


@pytest.fixture(scope="module")
def people() -> list[Subject]:
    return [Subject.draw(seed, "wide") for seed in range(600)]


def _log(femora: list[Femur], *names: str) -> np.ndarray:
    return np.log([sum(getattr(f, name) for name in names) for f in femora])


def _r(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_of_the_wide_population_nothing_else_tells_the_mineral(people: list[Subject]) -> None:
    right, left = ([s.femora[side] for s in people] for side in ("R", "L"))
    cortex, density = _log(right, "superior_cortex_mm", "inferior_cortex_mm"), _log(right, "neck_gcm3")
    facts = {
        "age": [s.age_years for s in people], "bmi": [s.bmi for s in people], "man": [s.sex == "M" for s in people],
        "size": [f.head_radius_mm for f in right], "angle": [f.neck_shaft_deg for f in right],
        "other cortex": _log(left, "inferior_cortex_mm"), "other density": _log(left, "neck_gcm3"),
        "pelvis": [s.pelvis.cortex_mm for s in people],
    }  # fmt: skip
    areal = density + _log(right, "head_radius_mm")  # what a beam meets goes with the depth
    for name, values in facts.items():
        assert abs(_r(cortex, np.array(values))) < 0.13, name
        assert abs(_r(areal, np.array(values))) < 0.13, name
    assert abs(_r(cortex, density)) < 0.4
    people_screened = [Subject.draw(seed).femora["R"] for seed in range(300)]
    assert np.std(cortex) > 1.6 * np.std(_log(people_screened, "superior_cortex_mm", "inferior_cortex_mm"))


def test_the_wide_population_holds_small_and_large_bones(people: list[Subject]) -> None:
    radius = np.array([s.femora["R"].head_radius_mm for s in people])
    assert 17.5 <= radius.min() < 18.0
    assert 27.5 < radius.max() <= 28.0
    ratio = np.array([s.femora["R"].neck_half_mm for s in people]) / radius
    screened = [Subject.draw(seed).femora["R"] for seed in range(300)]
    assert ratio.std() > 1.5 * np.std([f.neck_half_mm / f.head_radius_mm for f in screened])
    assert all(f.head_gcm3 <= 0.5 for s in people for f in s.femora.values())


def test_the_wide_population_reaches_around_the_visible_human_woman(people: list[Subject]) -> None:
    """Her lesser trochanter: 2.0 radii of the head below its center, its tip 1.33 radii from the shaft's axis seen
    along the neck, 1.49 after 30 degrees of external rotation (measured on her mesh FemurL, zlib licence)."""
    femora = [f for s in people for f in s.femora.values()]
    assert min(f.lesser_drop_mm / f.head_radius_mm for f in femora) < 2.0
    assert max(f.lesser_drop_mm / f.head_radius_mm for f in femora) > 2.9
    for turned_deg, hers in ((0.0, 1.33), (30.0, 1.49)):
        tips = np.array([_tip(f, turned_deg) for f in femora])
        assert (tips > hers).mean() > 0.02
        assert (tips < hers - 0.4).mean() > 0.2


def test_some_heads_of_the_wide_population_lie_deep_in_the_pelvis(people: list[Subject]) -> None:
    deep = np.array([s.pelvis.deep_mm / s.femora["R"].head_radius_mm for s in people])
    assert 0.1 < (deep > 0.3).mean() < 0.25
    assert (deep < 0.0).mean() > 0.3
    assert Subject.draw(17).pelvis.deep_mm == 0.0
    distance = np.array([s.pelvis.half_hip_distance_mm / s.pelvis.scale for s in people])
    assert _r(distance, deep) < -0.5
    gap = np.array([s.pelvis.socket_radius_mm - s.femora["R"].head_radius_mm for s in people])
    assert 0.5 <= gap.min() < 0.8  # worn away
    assert 4.7 < gap.max() <= 5.0


def _tip(f: Femur, turned_deg: float) -> float:
    """Of the lesser trochanter, medial of the shaft's axis, in radii of the head: its center and half its thickness."""
    across = f.lesser_reach * f.shaft_half_mm * np.cos(np.radians(f.lesser_turn_deg - turned_deg))
    return float(across / f.head_radius_mm + 8.2 / 21.9 * f.lesser_scale)


def test_of_the_wide_population_thickness_does_not_tell_how_solid_a_cortex_is(people: list[Subject]) -> None:
    femora = [f for s in people for f in s.femora.values()]
    solid = np.array([f.cortical_gcm3 for f in femora]) / 1.10
    assert solid.min() < 0.77
    assert solid.max() > 1.03
    screened = [Subject.draw(seed).femora["R"].cortical_gcm3 for seed in range(300)]
    assert np.std(1.10 * solid) > 3 * np.std(screened)
    thick = _log(femora, "superior_cortex_mm", "inferior_cortex_mm")
    assert -0.3 < _r(thick, np.log(solid)) < -0.02  # a more porous cortex is a little thicker
