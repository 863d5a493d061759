"""The geometric half of the phantom: mass, landmarks, the trochanter seam, poses, refusal cases and pinned seeds."""

import dataclasses
import math

import numpy as np
import pytest

from trainer.phantom.body.anatomy import FRACTURES, IMPLANTS, Subject
from trainer.phantom.body.bodies import LANDMARKS, bodies_of, femur_transform, hip_center_mm, landmarks
from trainer.phantom.body.femur import femur_grid
from trainer.phantom.body.pose import HipPose, Pose
from trainer.phantom.shapes.ray_march import METAL, Body, Geometry, project
from trainer.phantom.shapes.sdf import CORTICAL_GCM3, Grid, finish, noise


def sphere_grid(radius: float, cortex: float, density: float, step: float = 1.5) -> Grid:
    """A ball with a shell, its rough distance deliberately not a distance (gradient 1.3)."""
    axis = np.arange(-radius - 6.0, radius + 6.0, step)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    rough = (1.3 * (np.sqrt(x * x + y * y + z * z) - radius)).astype(np.float32)
    inner = np.stack([np.full_like(rough, cortex), np.full_like(rough, density)], -1)
    return Grid(finish(rough, step), inner, (float(axis[0]),) * 3, step)


def hip_film(subject: Subject, pose: Pose, side: str = "R", pixel_mm: float = 0.3, size_mm: float = 190.0) -> Geometry:
    center = hip_center_mm(subject, side, pose)
    away = -22.0 if side == "R" else 22.0
    return Geometry.centered((center[0] + away, center[2] - 25.0), (size_mm, size_mm), pixel_mm)


@pytest.mark.parametrize("cortex", [0.5, 1.0, 3.0, 6.0])
def test_mass_of_a_known_shell(cortex: float) -> None:
    radius, density = 22.0, 0.2
    grid = sphere_grid(radius, cortex, density)
    geometry = Geometry(1, 1, 0.5, (120, 120), (-30.0, 30.0), parallel=True)
    maps = project([Body("ball", "femur_R", grid, np.eye(3), np.zeros(3))], geometry)
    area_cm2 = (0.5 / 10) ** 2
    outer, core = 4 / 3 * math.pi * (radius / 10) ** 3, 4 / 3 * math.pi * ((radius - cortex) / 10) ** 3
    assert maps.cortical_gcm2.sum(dtype=float) * area_cm2 == pytest.approx((outer - core) * CORTICAL_GCM3, rel=0.005)
    total = (maps.cortical_gcm2 + maps.trabecular_gcm2).sum(dtype=float) * area_cm2
    assert total == pytest.approx((outer - core) * CORTICAL_GCM3 + core * density, rel=0.005)
    assert maps.bone_mm.sum(dtype=float) / 10 * area_cm2 == pytest.approx(outer, rel=0.005)


def test_cone_beam_magnifies_and_thickens_nothing() -> None:
    grid = sphere_grid(20.0, 1.0, 0.2)
    geometry = Geometry.centered((0.0, 0.0), (80.0, 80.0), 0.25, 1100.0, 950.0)
    maps = project([Body("ball", "pelvis", grid, np.eye(3), np.zeros(3))], geometry)
    middle = maps.bone_mm[160, 160]
    assert middle == pytest.approx(40.0, abs=0.1)
    shadow_mm = math.sqrt((maps.bone_mm > 0).sum() / math.pi) * 0.25 / (1100.0 / 950.0)
    assert shadow_mm == pytest.approx(20.0, abs=0.1)


def test_distance_inside_a_union_is_the_distance_to_its_surface() -> None:
    axis = np.arange(-40.0, 40.0, 1.5)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    a = np.sqrt((x - 5) ** 2 + y**2 + z**2) - 12.0
    b = np.sqrt((x + 5) ** 2 + y**2 + z**2) - 12.0
    union = np.minimum(a, b)
    distance = finish(union.astype(np.float32), 1.5)
    near = (union > 0) & (union < 9)
    assert np.abs(distance - union)[near].max() < 0.6
    # in the middle the nearest surface is the waist ring at sqrt(12^2 - 5^2) = 10.9 mm; the union's formula says 7 mm
    center = np.unravel_index(np.argmin(x**2 + y**2 + z**2), x.shape)
    assert -distance[center] == pytest.approx(10.9, abs=0.8)
    assert -union[center] < 7.5
    assert np.abs(distance).max() == 12.0  # held beyond


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_no_seam_in_the_trochanter(seed: int) -> None:
    """Four times the cortex must not draw a line where the trochanter, the neck and the shaft meet.

    Inside the bone, away from the edges, the cortical projection is smooth: a false inner surface would show as a
    ridge. The measure is the darkest and brightest deviation from a 9 mm median against the mean, over the
    trochanteric region.
    """
    from scipy.ndimage import binary_erosion, median_filter

    femur = dataclasses.replace(Subject.draw(seed).femora["R"], surface_noise_mm=0.0)
    thick = dataclasses.replace(
        femur,
        greater_cortex_mm=3.0,
        metaphysis_cortex_mm=3.0,
        superior_cortex_mm=3.0,
        inferior_cortex_mm=3.0,
        calcar_mm=0.0,
    )
    top, left = 10.0, femur.shaft_offset_mm - 25.0
    geometry = Geometry(1, 1, 1.0, (70, 60), (left, top), parallel=True)
    body = Body("femur", "femur_L", femur_grid(thick), np.eye(3), np.zeros(3))
    maps = project([body], geometry)
    deep = binary_erosion(maps.bone_mm > 14.0, iterations=5)
    ridge = (maps.cortical_gcm2 - median_filter(maps.cortical_gcm2, 9))[deep]
    assert deep.sum() > 400
    assert np.percentile(ridge, 99) < 0.10 * maps.cortical_gcm2[deep].mean()


def test_seam_measure_sees_a_seam() -> None:
    """The same measure fails on the raw union's distance, so it can fail."""
    from scipy.ndimage import binary_erosion, median_filter

    axis = np.arange(-45.0, 45.0, 1.5)
    x, y, z = np.meshgrid(axis, axis, axis, indexing="ij")
    raw = np.minimum(np.sqrt((x - 10) ** 2 + y**2 + z**2) - 22, np.sqrt((x + 10) ** 2 + y**2 + z**2) - 22).astype(
        np.float32
    )
    raw = np.where(
        raw < 0, np.maximum(raw, -np.abs(x).astype(np.float32) - 1.0), raw
    )  # a sheet of false surface at x = 0
    inner = np.stack([np.full_like(raw, 3.0), np.full_like(raw, 0.1)], -1)
    geometry = Geometry(1, 1, 1.0, (70, 80), (-40.0, 35.0), parallel=True)

    def excess(distance: np.ndarray) -> float:
        grid = Grid(distance, inner, (float(axis[0]),) * 3, 1.5)
        maps = project([Body("two", "femur_L", grid, np.eye(3), np.zeros(3))], geometry)
        deep = binary_erosion(maps.bone_mm > 14.0, iterations=5)
        ridge = (maps.cortical_gcm2 - median_filter(maps.cortical_gcm2, 9))[deep]
        return float(np.percentile(ridge, 99) / maps.cortical_gcm2[deep].mean())

    assert excess(raw) > 0.3
    assert excess(finish(raw, 1.5)) < 0.1 * excess(raw)


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


def test_external_rotation_shows_the_lesser_trochanter_and_shortens_the_neck() -> None:
    subject = Subject.draw(8)

    def distances(rotation: float) -> tuple[float, float]:
        pose = Pose(right=HipPose(rotation, 0.0, 0.0))
        points = landmarks(subject, "R", pose, hip_film(subject, pose)).points_px
        neck = math.dist(points["head_center"], points["neck_center"])
        return points["lesser_trochanter"][0] - points["shaft_proximal"][0], neck

    inner, neutral, outer = distances(-15.0), distances(5.0), distances(35.0)
    assert inner[0] < neutral[0] < outer[0]
    assert outer[1] < 0.95 * neutral[1]


def test_adduction_moves_the_knee_to_the_midline_and_flexion_forward() -> None:
    leg = np.array([0.0, 0.0, -100.0])
    assert (HipPose(0, 10, 0).matrix() @ leg)[0] < -15
    assert (HipPose(0, 0, 10).matrix() @ leg)[1] > 15
    assert (HipPose(20, 0, 0).matrix() @ np.array([50.0, 0.0, 0.0]))[1] < -15  # the trochanter turns backward


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


def test_a_subject_is_a_function_of_its_seed() -> None:
    assert Subject.draw(17) == Subject.draw(17)
    assert Subject.draw(17) != Subject.draw(18)
    one = Subject.draw(17)
    assert one.femora["R"] != one.femora["L"]
    assert 40 <= one.age_years <= 90


@pytest.mark.parametrize("kind", IMPLANTS)
def test_implants_show_metal_and_take_no_bone_they_should_not(kind: str) -> None:
    pose, plain = Pose(), Subject.draw(21)
    fitted = plain.with_implant("R", kind, np.random.default_rng(1))
    film = hip_film(plain, pose, pixel_mm=1.0)
    before, after = (project(bodies_of(s, pose, ("R",), with_pelvis=False), film) for s in (plain, fitted))
    assert before.metal_mm.max() == 0.0
    assert 10.0 < after.metal_mm.max() < 80.0
    resected = kind in ("total_hip", "hemiarthroplasty")
    lost = 1.0 - after.bone_mm.sum() / before.bone_mm.sum()
    assert (0.1 < lost < 0.5) if resected else lost == 0.0
    assert any(b.group == METAL for b in bodies_of(fitted, pose, ("R",)))
    with pytest.raises(ValueError, match="unknown implant"):
        plain.with_implant("R", "spoon", np.random.default_rng(1))


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


def test_children_are_small_and_have_open_growth_plates() -> None:
    child = Subject.draw_immature(23)
    assert child.femora["R"].head_radius_mm < 17.0
    assert child.femora["R"].open_growth_plates
    assert child.pelvis.open_growth_plates
    assert child.age_years < 18
    from scipy.ndimage import label

    distance = femur_grid(child.femora["R"]).distance_mm
    pieces = np.sort(np.bincount(label(distance < 0)[0].ravel())[1:])
    assert len(pieces) >= 2  # the head nucleus lies apart from the shaft
    assert pieces[-2] > 300


def test_wrong_views_are_far_from_ap() -> None:
    rng = np.random.default_rng(4)
    poses = [Pose.draw_wrong_view(rng) for _ in range(40)]
    assert {p.kind for p in poses} == {"frog_leg", "lateral"}
    for pose in poses:
        if pose.kind == "frog_leg":
            assert pose.right.adduction_deg <= -40
            assert pose.right.rotation_deg >= 60
        else:
            assert abs(pose.yaw_deg) >= 60


def test_noise_is_standard_and_smooth() -> None:
    rng = np.random.default_rng(0)
    field = np.concatenate([noise(rng, (60, 50, 70), 1.5, 7.0).ravel() for _ in range(12)])
    assert field.std() == pytest.approx(1.0, abs=0.06)
    assert abs(field.mean()) < 0.1


# To remake after a wanted change: print `_fingerprint(seed)` for each seed and paste the numbers.
PINNED: dict[int, tuple[float, ...]] = {
    1: (0.2926, 0.1603, 12.5178, 122.9404, 67.4068, 83.4671, 128.7222),
    2: (0.274, 0.2367, 13.1914, 109.9122, 69.8258, 76.4126, 129.0783),
    3: (0.215, 0.1324, 13.3455, 107.587, 61.9116, 73.0875, 126.7654),
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
