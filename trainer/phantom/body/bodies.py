"""From a posed subject to bodies in the world, and where the landmarks of a hip fall on the film."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.phantom.body.anatomy import Subject
from trainer.phantom.body.femur import femur_grid
from trainer.phantom.body.implant import implant_bodies, socket_bodies
from trainer.phantom.body.pelvis import pelvis_grid, sacrum_grid
from trainer.phantom.body.pose import MIRROR_X, Pose, about_x, about_y, about_z
from trainer.phantom.shapes.ray_march import Body, Geometry

F64 = NDArray[np.float64]

LANDMARKS = ("head_center", "neck_center", "greater_trochanter", "lesser_trochanter", "shaft_proximal", "shaft_distal")
NECK_CENTER = 0.60  # of the neck length
SHAFT_BELOW_MM = (25.0, 55.0)
CUT_OFF_MM = 15.0
MIRRORS = {"R": MIRROR_X, "L": np.eye(3)}


@dataclass(frozen=True, slots=True)
class HipLandmarks:
    """Where a hip lies on a film, in pixels (SCOORD convention).

    points_px: the six landmarks. shaft_flagged: the film ends before a shaft point, which then is the lowest visible
    point of the axis. cut_off: less than 15 mm of shaft below the lesser trochanter, or one of the first four outside
    the film. texture_px: head_center, neck_base, greater_trochanter, lesser_trochanter, shaft_top, shaft_end: the
    lines that trabeculae follow (never clipped to the film). head_radius_px as magnified at the head.
    """

    points_px: dict[str, tuple[float, float]]
    shaft_flagged: bool
    cut_off: bool
    texture_px: dict[str, tuple[float, float]]
    head_radius_px: float


def hip_center_mm(subject: Subject, side: str, pose: Pose) -> F64:
    """World position (3,) of a femoral head's center, mm."""
    x = subject.pelvis.half_hip_distance_mm * (1.0 if side == "L" else -1.0)
    return np.asarray(pose.pelvis_matrix() @ np.array([x, 0.0, 0.0]))


def femur_transform(subject: Subject, side: str, pose: Pose) -> tuple[F64, F64]:
    """Rotation (3, 3), mirror included, and translation (3,) of a femur: world = rotation @ local + translation.

    The thigh turns against the table: a tilted or oblique pelvis leaves the legs where they are, a rolled body takes
    them along.
    """
    return about_z(-pose.yaw_deg) @ MIRRORS[side] @ pose.hip(side).matrix(), hip_center_mm(subject, side, pose)


def distal_transform(subject: Subject, side: str, pose: Pose) -> tuple[F64, F64]:
    """The transform of the part of the femur that holds the shaft: moved by a fracture, if there is one."""
    rotation, center = femur_transform(subject, side, pose)
    fracture = subject.fractures.get(side)
    if fracture is None:
        return rotation, center
    turn = about_x(fracture.turn_deg[0]) @ about_y(fracture.turn_deg[1]) @ about_z(fracture.turn_deg[2])
    point = np.array(fracture.point_mm)
    offset = point + np.array(fracture.shift_mm) - turn @ point
    return rotation @ turn, center + rotation @ offset


def fracture_end_mm(subject: Subject, side: str, pose: Pose) -> F64:
    """World position (3,) of where the lower part of a broken femur begins, mm."""
    rotation, center = distal_transform(subject, side, pose)
    return np.asarray(rotation @ np.array(subject.fractures[side].point_mm) + center)


def bodies_of(
    subject: Subject, pose: Pose, sides: Sequence[str] = ("R", "L"), with_pelvis: bool = True, with_sacrum: bool = True
) -> list[Body]:
    """Every body of the posed subject: femora, hemipelves of the sides named, sacrum and L5, metal.

    Grids are cached by their parameters; both hemipelves share one grid, mirrored.
    """
    bodies: list[Body] = []
    pelvis_turn = pose.pelvis_matrix() @ about_x(subject.pelvis.lean_deg)
    for side in sides:
        bodies += _femur_bodies(subject, side, pose)
        if with_pelvis:
            center = hip_center_mm(subject, side, pose)
            bodies.append(
                Body(f"pelvis_{side}", "pelvis", pelvis_grid(subject.pelvis), pelvis_turn @ MIRRORS[side], center)
            )
        if side in subject.implants:
            turn = pelvis_turn @ MIRRORS[side]
            bodies += socket_bodies(subject, side, turn, hip_center_mm(subject, side, pose))
    if with_pelvis and with_sacrum:
        bodies.append(Body("sacrum", "pelvis", sacrum_grid(subject.pelvis), pelvis_turn, np.zeros(3)))
    return bodies


def _femur_bodies(subject: Subject, side: str, pose: Pose) -> list[Body]:
    """The femur, in two parts when it is broken, and the metal fixed to it."""
    grid, group = femur_grid(subject.femora[side]), f"femur_{side}"
    rotation, center = femur_transform(subject, side, pose)
    fracture, implant = subject.fractures.get(side), subject.implants.get(side)
    if fracture is not None:
        normal = np.array(fracture.normal)
        level = float(normal @ fracture.point_mm)
        distal = distal_transform(subject, side, pose)
        beyond, start = normal, level
        if fracture.kind == "malunion":  # the distal part begins where the proximal one ends
            to_proximal = rotation.T @ distal[0]
            beyond = normal @ to_proximal
            start = level - float(normal @ rotation.T @ (distal[1] - center))
        return [
            Body(f"{group}_proximal", group, grid, rotation, center, (_plane(normal, level),)),
            Body(f"{group}_distal", group, grid, *distal, (_plane(-beyond, -start),)),
        ]
    if implant is not None:
        return implant_bodies(subject, side, grid, rotation, center)
    return [Body(group, group, grid, rotation, center)]


def _plane(normal: F64, level: float) -> tuple[float, float, float, float]:
    return float(normal[0]), float(normal[1]), float(normal[2]), level


def landmarks(subject: Subject, side: str, pose: Pose, geometry: Geometry) -> HipLandmarks:
    """The six landmarks of a hip, exact, and what of them is on the film.

    Of a broken femur every point lies with its fragment.
    """
    femur = subject.femora[side]

    def at(local: Sequence[float] | F64) -> F64:
        point: F64 = geometry.project(_moved(np.array(local)[None], subject, side, pose))[0]
        return point

    axis = np.array(femur.neck_axis)
    proximal = femur_transform(subject, side, pose)
    head = at((0.0, 0.0, 0.0))
    neck = geometry.project((proximal[0] @ (NECK_CENTER * femur.neck_length_mm * axis) + proximal[1])[None])[0]
    greater, lesser = _silhouette(subject, side, pose, geometry)
    shaft = [at(femur.shaft_axis_mm(-femur.lesser_drop_mm - below)) for below in SHAFT_BELOW_MM]
    visible = visible_shaft_mm(subject, side, pose, geometry)
    clipped = [at(femur.shaft_axis_mm(-femur.lesser_drop_mm - min(b, max(visible, 0.0)))) for b in SHAFT_BELOW_MM]
    first = [head, neck, greater, lesser]
    inside = all(0 <= p[0] <= geometry.shape[1] and 0 <= p[1] <= geometry.shape[0] for p in first)
    points = dict(zip(LANDMARKS, (_pair(p) for p in [*first, *clipped]), strict=True))
    lines = {
        "head_center": head, "neck_base": at(femur.neck_length_mm * axis), "greater_trochanter": greater,
        "lesser_trochanter": lesser,
        "shaft_top": at(femur.shaft_axis_mm(-femur.lesser_drop_mm)), "shaft_end": shaft[1],
    }  # fmt: skip
    reach = geometry.sid_mm / (geometry.sod_mm - proximal[1][1]) if not geometry.parallel else 1.0
    return HipLandmarks(
        points, visible < SHAFT_BELOW_MM[1], visible < CUT_OFF_MM or not inside, {k: _pair(v) for k,
        v in lines.items()},
        femur.head_radius_mm * reach / geometry.pixel_mm,
    )  # fmt: skip


def visible_shaft_mm(subject: Subject, side: str, pose: Pose, geometry: Geometry) -> float:
    """How far below the lesser trochanter the shaft axis stays on the film, in bone mm along it (negative: never)."""
    femur = subject.femora[side]
    below = np.arange(-1.0, SHAFT_BELOW_MM[1] + 0.25, 0.25)
    local = np.array([femur.shaft_axis_mm(-femur.lesser_drop_mm - b) for b in below])
    pixels = geometry.project(_moved(local, subject, side, pose))
    on = (pixels >= 0).all(1) & (pixels[:, 0] <= geometry.shape[1]) & (pixels[:, 1] <= geometry.shape[0])
    return float(below[np.argmin(on) - 1]) if not on.all() and on[0] else float(below[-1]) if on.all() else -1.0


def _silhouette(subject: Subject, side: str, pose: Pose, geometry: Geometry) -> tuple[F64, F64]:
    """Highest point of the greater trochanter's shadow, most medial point of the lesser trochanter's."""
    surface = femur_grid(subject.femora[side]).surface_mm
    greater, lesser = (geometry.project(_moved(surface[name], subject, side, pose)) for name in ("greater", "lesser"))
    toward_midline = 1.0 if side == "R" else -1.0
    return _extreme(greater, 1, -1.0, geometry.spacing_mm), _extreme(lesser, 0, toward_midline, geometry.spacing_mm)


def _moved(points: F64, subject: Subject, side: str, pose: Pose) -> F64:
    """Local points (n, 3) of a femur in the world, each with the fragment it lies on."""
    rotation, center = femur_transform(subject, side, pose)
    still = points @ rotation.T + center
    fracture = subject.fractures.get(side)
    if fracture is None:
        return still
    turned, shifted = distal_transform(subject, side, pose)
    normal = np.array(fracture.normal)
    beyond = points @ normal > normal @ np.array(fracture.point_mm)
    return np.where(beyond[:, None], points @ turned.T + shifted, still)


def _extreme(pixels: F64, axis: int, sign: float, spacing_mm: float) -> F64:
    """The extreme point along one image axis; on the other axis, the middle of the cap within about 0.15 mm of it.

    A cap is flat on top: a single vertex of the surface would jump by a grid step with the smallest change of pose.
    """
    score = sign * pixels[:, axis]
    weight = np.exp((score - score.max()) * spacing_mm / 0.15)
    point = (weight[:, None] * pixels).sum(0) / weight.sum()
    point[axis] = sign * score.max()
    return np.asarray(point)


def _pair(point: F64) -> tuple[float, float]:
    return float(point[0]), float(point[1])
