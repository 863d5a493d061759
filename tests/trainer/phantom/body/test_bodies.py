"""Bodies of the phantom: landmarks, sides, film edges, fractures and pinned seeds."""

import dataclasses
import math

import numpy as np
import pytest

from tests.trainer.phantom.hip_geometry import hip_film
from trainer.phantom.body.anatomy import FRACTURES, Subject
from trainer.phantom.body.bodies import LANDMARKS, bodies_of, femur_transform, fracture_end_mm, hip_center_mm, landmarks
from trainer.phantom.body.pose import HipPose, Pose
from trainer.phantom.shapes.ray_march import Geometry, project


@pytest.mark.parametrize(
    ("side", "rotation", "adduction"), [("R", 0.0, 4.0), ("L", 15.0, 0.0), ("R", 40.0, -20.0), ("L", -10.0, 10.0)]
)
def test_landmarks_lie_where_the_shadow_says(side: str, rotation: float, adduction: float) -> None:
    subject = Subject.draw(31)
    hip = HipPose(rotation, adduction, 0.0)
    pose = Pose(right=hip) if side == "R" else Pose(left=hip)
    film = hip_film(subject, pose, side)
    found = landmarks(subject, side, pose, film)
    maps = project(bodies_of(subject, pose, (side,), with_pelvis=False), film)
    # head center: the circle through the shadow of the medial half of the head
    medial = 1.0 if side == "R" else -1.0
    x0, y0 = found.points_px["head_center"]
    for angle in (-60, -30, 0, 30, 60):
        ray = np.array([medial * math.cos(math.radians(angle)), math.sin(math.radians(angle))])
        along = np.arange(0.0, 120.0, 0.25)
        cols, rows = (x0 + along * ray[0]).astype(int), (y0 + along * ray[1]).astype(int)
        edge = along[np.argmax(maps.bone_mm[rows, cols] <= 0.0)]
        assert edge == pytest.approx(found.head_radius_px, abs=4.0)  # surface noise is 0.2 mm = 0.8 px
    # greater trochanter: no higher bone within 10 mm to either side, and bone right below it
    x, y = found.points_px["greater_trochanter"]
    around = maps.bone_mm[:, int(x - 2) : int(x + 3)]
    top = int(np.argmax((around > 0).any(1)))
    assert y == pytest.approx(top, abs=1.5)
    # lesser trochanter: the bone ends there toward the midline
    x, y = found.points_px["lesser_trochanter"]
    row = maps.bone_mm[int(y), int(x - 30) : int(x + 30)] > 0
    last = int(x - 30) + (np.flatnonzero(row).max() + 1 if side == "R" else np.flatnonzero(row).min())
    assert x == pytest.approx(last, abs=2.0)


def test_reprojection_is_exact() -> None:
    """A landmark is a world point through the pinhole: recomputed here by intersecting the ray with the detector."""
    subject, pose = Subject.draw(5), Pose.draw_bmd(np.random.default_rng(2))
    film = hip_film(subject, pose)
    found = landmarks(subject, "R", pose, film)
    rotation, center = femur_transform(subject, "R", pose)
    femur = subject.femora["R"]
    world = rotation @ (0.60 * femur.neck_length_mm * np.array(femur.neck_axis)) + center
    tube = np.array([film.source_mm[0], film.sod_mm, film.source_mm[1]])
    s = (tube[1] + film.sid_mm - film.sod_mm) / (tube[1] - world[1])
    hit = tube + s * (world - tube)
    pixel = ((hit[0] - film.origin_mm[0]) / film.pixel_mm, (film.origin_mm[1] - hit[2]) / film.pixel_mm)
    assert found.points_px["neck_center"] == pytest.approx(pixel, abs=1e-6)


def test_region_sees_the_same_film() -> None:
    subject, pose = Subject.draw(6), Pose()
    film = hip_film(subject, pose, pixel_mm=0.6)
    part = film.region(50.0, 60.0, 120.0, 80.0, (80, 120))
    bodies = bodies_of(subject, pose, ("R",), with_pelvis=False)
    whole, cut = project(bodies, film), project(bodies, part)
    np.testing.assert_allclose(cut.cortical_gcm2, whole.cortical_gcm2[60:140, 50:170], atol=2e-3)
    with pytest.raises(ValueError, match="square"):
        film.region(0, 0, 10, 20, (10, 10))


def test_right_and_left_lie_as_on_a_film() -> None:
    subject, pose = Subject.draw(7), Pose()
    film = Geometry.centered((0.0, -20.0), (400.0, 430.0), 0.8)
    right, left = (landmarks(subject, side, pose, film).points_px for side in ("R", "L"))
    assert right["head_center"][0] < left["head_center"][0]
    assert right["greater_trochanter"][0] < right["head_center"][0] < right["lesser_trochanter"][0] + 60
    assert left["greater_trochanter"][0] > left["head_center"][0]
    assert tuple(right) == LANDMARKS
    down = [right[name][1] for name in ("head_center", "lesser_trochanter", "shaft_proximal", "shaft_distal")]
    assert down == sorted(down)


def test_cut_off_and_flag_follow_the_film_edge() -> None:
    subject, pose = Subject.draw(9), Pose()
    film = hip_film(subject, pose, size_mm=260.0, pixel_mm=0.5)
    full = landmarks(subject, "R", pose, film)
    assert (full.shaft_flagged, full.cut_off) == (False, False)
    lesser = full.points_px["lesser_trochanter"]
    mm = 1.0 / film.spacing_mm
    for below_mm, flagged, cut_off in (
        (70.0, False, False),
        (40.0, True, False),
        (20.0, True, False),
        (8.0, True, True),
    ):
        rows = int(full.texture_px["shaft_top"][1] + below_mm * mm)
        short = landmarks(subject, "R", pose, dataclasses.replace(film, shape=(rows, film.shape[1])))
        assert (short.shaft_flagged, short.cut_off) == (flagged, cut_off), below_mm
        assert short.points_px["shaft_distal"][1] <= rows
        assert short.points_px["lesser_trochanter"] == lesser
        if flagged and not cut_off:
            assert short.points_px["shaft_distal"][1] == pytest.approx(rows, abs=mm)
    narrow = dataclasses.replace(
        film, origin_mm=(film.origin_mm[0] + (full.points_px["greater_trochanter"][0] + 5) * 0.5, film.origin_mm[1])
    )
    assert landmarks(subject, "R", pose, narrow).cut_off


@pytest.mark.parametrize("kind", FRACTURES)
def test_a_fracture_moves_the_distal_part_and_keeps_the_mass(kind: str) -> None:
    pose, plain = Pose(), Subject.draw(22)
    broken = plain.with_fracture("R", kind, np.random.default_rng(3))
    film = hip_film(plain, pose, pixel_mm=0.6, size_mm=280.0)
    center = hip_center_mm(plain, "R", pose)
    parallel = Geometry(1, 1, 1.0, (230, 260), (center[0] - 160.0, center[2] + 60.0), parallel=True)
    before, after = (project(bodies_of(s, pose, ("R",), with_pelvis=False), parallel) for s in (plain, broken))
    head = slice(0, 90)
    assert after.bone_mm[head].sum() == pytest.approx(before.bone_mm[head].sum(), rel=0.25)
    intact, moved = landmarks(plain, "R", pose, film).points_px, landmarks(broken, "R", pose, film).points_px
    assert moved["head_center"] == intact["head_center"]
    assert math.dist(moved["shaft_proximal"], intact["shaft_proximal"]) > 3.0
    with pytest.raises(ValueError, match="unknown fracture"):
        plain.with_fracture("R", "toe", np.random.default_rng(1))


def test_a_malunion_is_bent_and_has_no_gap() -> None:
    """The shaft goes on in one piece at an angle: every row from the lesser trochanter down holds bone."""
    plain, pose = Subject.draw(22), Pose()
    for seed in range(4):
        bent = plain.with_fracture("R", "malunion", np.random.default_rng(seed))
        film = hip_film(plain, pose, pixel_mm=0.8, size_mm=260.0)
        marks = landmarks(bent, "R", pose, film).points_px
        straight = landmarks(plain, "R", pose, film).points_px
        assert math.dist(marks["shaft_distal"], straight["shaft_distal"]) > 3.0
        assert marks["lesser_trochanter"] == pytest.approx(straight["lesser_trochanter"], abs=3.0)
        maps = project(bodies_of(bent, pose, ("R",), with_pelvis=False), film)
        whole = project(bodies_of(plain, pose, ("R",), with_pelvis=False), film)
        top, low = int(marks["lesser_trochanter"][1]), int(marks["shaft_distal"][1])
        masses, before = ((m.cortical_gcm2 + m.trabecular_gcm2)[top:low].sum(1) for m in (maps, whole))
        assert masses.min() > 0.6 * before.min()


def test_a_low_fracture_stands_where_a_look_at_the_hip_sees_it() -> None:
    """Of the wide population only: its lower part begins 60 mm below the lesser trochanter or higher, the shaft breaks
    down to 110 mm below it, and the hip above keeps its place."""
    plain, pose = Subject.draw(22, "wide"), Pose()
    femur, film = plain.femora["R"], hip_film(plain, pose, pixel_mm=0.8, size_mm=260.0)
    lesser = landmarks(plain, "R", pose, film).points_px["lesser_trochanter"]
    breaks = []
    for seed in range(40):
        broken = plain.with_fracture("R", "shaft", np.random.default_rng(seed))
        below = fracture_end_mm(broken, "R", pose)[2] - hip_center_mm(plain, "R", pose)[2]
        assert below > -femur.lesser_drop_mm - 65.0
        breaks.append(-broken.fractures["R"].point_mm[2] - femur.lesser_drop_mm)
        seen = landmarks(broken, "R", pose, film).points_px["lesser_trochanter"]
        assert breaks[-1] < 25.0 or seen == pytest.approx(lesser, abs=1.0)
    assert min(breaks) < 20.0
    assert max(breaks) > 90.0


# To remake after a wanted change: print `_fingerprint(seed)` for each seed and paste the numbers.
PINNED: dict[int, tuple[float, ...]] = {
    1: (0.279, 0.1788, 13.3293, 120.135, 66.7984, 82.9978, 129.4846),
    2: (0.2793, 0.2191, 13.7607, 116.2482, 72.8754, 77.2951, 137.9707),
    3: (0.2187, 0.1691, 14.4877, 119.1234, 60.4084, 85.3924, 121.8032),
}


def _fingerprint(seed: int) -> tuple[float, ...]:
    subject, pose = Subject.draw(seed), Pose.draw_bmd(np.random.default_rng(seed))
    film = hip_film(subject, pose, "L", pixel_mm=1.0)
    maps = project(bodies_of(subject, pose, ("L",)), film)
    points = landmarks(subject, "L", pose, film).points_px
    sums = [float(m.mean(dtype=float)) for m in (maps.cortical_gcm2, maps.trabecular_gcm2, maps.bone_mm)]
    return tuple(round(v, 4) for v in (*sums, *points["greater_trochanter"], *points["lesser_trochanter"]))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pinned_seeds(seed: int) -> None:
    assert _fingerprint(seed) == pytest.approx(PINNED[seed], rel=1e-3)


def test_a_pelvis_leans_about_the_axis_of_the_hips() -> None:
    """The heads stay where they are; what lies above them goes forward."""
    plain, pose = Subject.draw(17), Pose()
    leaning = dataclasses.replace(plain, pelvis=dataclasses.replace(plain.pelvis, lean_deg=20.0))
    for before, after in zip(bodies_of(plain, pose), bodies_of(leaning, pose), strict=True):
        np.testing.assert_allclose(after.translation_mm, before.translation_mm)
        above = after.rotation @ (before.rotation.T @ np.array([0.0, 0.0, 1.0]))
        forward = np.sin(np.radians(20.0)) if before.group == "pelvis" else 0.0
        assert above[1] == pytest.approx(forward, abs=1e-9)
