"""Metal in and around a hip, for films that must be refused: prostheses, nails, plates and screws as capsules and
spheres."""

from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from trainer.phantom.body.anatomy import Femur, Implant, Subject
from trainer.phantom.shapes.ray_march import METAL, Body
from trainer.phantom.shapes.sdf import F32, Grid, axes, capsule, finish, smooth_min

F64 = NDArray[np.float64]

STEP_MM = 1.2
RESECTED = ("total_hip", "hemiarthroplasty")

Part = tuple[Sequence[float], Sequence[float], float, float]  # two ends, two radii (a sphere has equal ends)


def implant_bodies(subject: Subject, side: str, grid: Grid, rotation: F64, center: F64) -> list[Body]:
    """The femur as the operation left it (a prosthesis replaces head and upper neck) and the metal fixed to it."""
    femur, implant = subject.femora[side], subject.implants[side]
    metal = Body(f"{implant.kind}_{side}", METAL, metal_grid(_parts(femur, implant)), rotation, center)
    group = f"femur_{side}"
    if implant.kind not in RESECTED:
        return [Body(group, group, grid, rotation, center), metal]
    cut, wall = _resection(femur)
    a, b, c, d = cut
    return [
        Body(f"{group}_shaft", group, grid, rotation, center, (cut,)),
        Body(f"{group}_trochanter", group, grid, rotation, center, (wall, (-a, -b, -c, -d))),
        metal,
    ]


def socket_bodies(subject: Subject, side: str, rotation: F64, center: F64) -> list[Body]:
    """Metal fixed to the pelvis: the cup of a total hip, 45 deg inclined, sometimes with a screw."""
    implant = subject.implants[side]
    if implant.kind != "total_hip":
        return []
    outer = subject.pelvis.socket_radius_mm + 0.5 + implant.jitter[1]
    opening = np.array([0.70, 0.22, -0.68]) + 0.12 * np.array(implant.jitter)
    screw = ((2.0, -4.0, outer - 2.0), (10.0 + 6 * implant.jitter[2], -14.0, outer + 22.0), 2.2, 2.2)
    grid = metal_grid(
        [screw] if implant.jitter[0] > 0 else [], (outer, outer - 3.2, *(opening / np.linalg.norm(opening)))
    )
    return [Body(f"cup_{side}", METAL, grid, rotation, center)]


def metal_grid(parts: Sequence[Part], cup: tuple[float, ...] = ()) -> Grid:
    """Capsules (and a cup: outer and inner radius, opening direction) as a grid, pitch 1.2 mm. Its path is what
    counts."""
    table = np.array([[*p, *q, r, s] for p, q, r, s in parts], dtype=np.float64).reshape(-1, 8)
    shell = np.array(cup if cup else (0.0, 0.0, 0.0, 0.0, 1.0), dtype=np.float64)
    reach = np.maximum(table[:, 6], table[:, 7])[:, None]
    points = np.concatenate([table[:, :3] - reach, table[:, 3:6] - reach, table[:, :3] + reach, table[:, 3:6] + reach])
    points = np.concatenate([points, np.full((1, 3), -shell[0]), np.full((1, 3), shell[0])]) if cup else points
    lower, upper = points.min(0) - 2.5, points.max(0) + 2.5
    x, y, z = axes(lower, upper, STEP_MM)
    distance = finish(_metal(x, y, z, table, shell), STEP_MM)
    inner = np.zeros((*distance.shape, 2), np.float32)
    return Grid(distance, inner, (float(lower[0]), float(lower[1]), float(lower[2])), STEP_MM)


@njit(cache=True, fastmath=True)
def _metal(xs: F64, ys: F64, zs: F64, parts: F64, cup: F64) -> F32:
    """Rough distance to the union of capsules and a hemispherical shell."""
    rough = np.empty((len(xs), len(ys), len(zs)), np.float32)
    for i in range(len(xs)):
        for j in range(len(ys)):
            for k in range(len(zs)):
                x, y, z = xs[i], ys[j], zs[k]
                d = 1e3
                if cup[0] > 0:
                    r = np.sqrt(x * x + y * y + z * z)
                    d = max(max(r - cup[0], cup[1] - r), x * cup[2] + y * cup[3] + z * cup[4])
                for a in range(parts.shape[0]):
                    d = smooth_min(d, capsule(x, y, z, parts[a, 0:3], parts[a, 3:6], parts[a, 6], parts[a, 7]), 1.5)
                rough[i, j, k] = d
    return rough


def _resection(femur: Femur) -> tuple[tuple[float, float, float, float], tuple[float, float, float, float]]:
    """The neck cut (what lies distal of it stays) and the wall beside the greater trochanter (what is lateral
    stays)."""
    n = np.array(femur.neck_axis)
    normal = -(n * 0.94 + np.array([-n[2], 0.0, n[0]]) * -0.34)
    normal /= np.linalg.norm(normal)
    level = float(normal @ (n * 0.74 * femur.neck_length_mm))
    wall = -(femur.shaft_offset_mm - 0.05 * femur.head_radius_mm)
    return (float(normal[0]), float(normal[1]), float(normal[2]), level), (-1.0, 0.0, 0.0, wall)


def _parts(femur: Femur, implant: Implant) -> list[Part]:
    """The metal of an implant in the femur's frame."""
    builders = {
        "total_hip": _prosthesis,
        "hemiarthroplasty": _prosthesis,
        "nail": _nail,
        "plate": _plate,
        "screws": _screws,
    }
    return builders[implant.kind](femur, implant)


def _prosthesis(femur: Femur, implant: Implant) -> list[Part]:
    """Ball, neck and tapered stem down the canal."""
    u = femur.head_radius_mm / 21.9
    ball = (
        femur.head_radius_mm + 0.5 if implant.kind == "hemiarthroplasty" else (14.0 + 2.0 * (implant.radius_mm > 0.5))
    )
    base = femur.shaft_axis_mm(-0.72 * femur.lesser_drop_mm)
    shoulder = (base[0] - 3.0 * u, 0.0, base[2] + 10.0 * u)
    tip = femur.shaft_axis_mm(-femur.lesser_drop_mm - (60.0 + 60.0 * implant.length_mm) * u)
    tip = (tip[0] + 2.0 * implant.jitter[0], 1.5 * implant.jitter[1], tip[2])
    return [
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), ball, ball), ((0.0, 0.0, 0.0), shoulder, 6.0, 7.5), (shoulder, base,
        8.0 * u, 8.5 * u),
        (base, tip, (9.2 + 1.2 * implant.radius_mm) * u, 4.8 * u), ((base[0] - 5.0 * u, 0.0, base[2] + 5 * u), base,
        8.0 * u, 8.0 * u),
    ]  # fmt: skip


def _along(femur: Femur, t_mm: float, up_mm: float, front_mm: float) -> tuple[float, float, float]:
    """A point beside the neck axis."""
    n = femur.neck_axis
    return (n[0] * t_mm - n[2] * up_mm, front_mm, n[2] * t_mm + n[0] * up_mm)


def _nail(femur: Femur, implant: Implant) -> list[Part]:
    """A nail from the tip of the greater trochanter down the canal, its lag screw up the neck, a locking bolt."""
    u = femur.head_radius_mm / 21.9
    entry = (femur.shaft_offset_mm + 7.0 * u, 0.0, 4.0 * u)
    knee = femur.shaft_axis_mm(-femur.lesser_drop_mm)
    length = 90.0 + 200.0 * (implant.length_mm > 0.7)
    end = femur.shaft_axis_mm(-femur.lesser_drop_mm - length * u)
    bolt = femur.shaft_axis_mm(-femur.lesser_drop_mm - 70.0 * u)
    radius = 5.2 + 0.8 * implant.radius_mm
    lag = 0.35 * femur.head_radius_mm * (0.5 + 0.5 * implant.jitter[0])
    return [
        (entry, knee, 7.8, 7.0), (knee, end, 7.0, radius),
        (_along(femur, -0.62 * femur.head_radius_mm, -lag, 0.0), _along(femur, femur.neck_length_mm * 1.52, -lag,
        0.0), 5.2, 5.2),
        ((bolt[0] - 18.0 * u, 0.0, bolt[2]), (bolt[0] + 19.0 * u, 0.0, bolt[2]), 2.4, 2.4),
    ]  # fmt: skip


def _plate(femur: Femur, implant: Implant) -> list[Part]:
    """A sliding hip screw: lag screw, a side plate on the lateral cortex, three to five cortical screws."""
    u = femur.head_radius_mm / 21.9
    lateral = femur.shaft_half_mm + 2.5
    holes = 3 + int(implant.length_mm * 2.99)
    low = -0.04 * femur.head_radius_mm * (1 + implant.jitter[0])
    top = femur.shaft_axis_mm(-0.62 * femur.lesser_drop_mm)
    bottom = femur.shaft_axis_mm(-femur.lesser_drop_mm - (10.0 + 17.0 * holes) * u)
    barrel = _along(femur, femur.neck_length_mm * 1.45, low, 0.0)
    parts: list[Part] = [
        (_along(femur, -0.58 * femur.head_radius_mm, low, 0.0), barrel, 4.4, 4.4), (_along(femur,
        0.85 * femur.neck_length_mm, low, 0.0), barrel, 6.2, 6.2),
    ]  # fmt: skip
    for depth in (-6.0, -2.0, 2.0, 6.0):
        parts.append(((top[0] + lateral + 2.5, depth, top[2]), (bottom[0] + lateral, depth, bottom[2]), 2.6, 2.6))
    for hole in range(holes):
        x, _, z = femur.shaft_axis_mm(-femur.lesser_drop_mm - (8.0 + 17.0 * hole) * u)
        parts.append(((x - femur.shaft_half_mm - 2.0, 0.0, z), (x + lateral + 2.0, 0.0, z), 2.1, 2.1))
    return parts


def _screws(femur: Femur, implant: Implant) -> list[Part]:
    """Three cannulated screws in a triangle along the neck, with heads and threaded tips."""
    parts: list[Part] = []
    spread = 0.50 * femur.neck_half_mm
    for k, (up, front) in enumerate(((-1.0, 0.1), (0.8, 0.85), (0.8, -0.85))):
        slant = 0.08 * implant.jitter[k]
        start = _along(
            femur, -(0.45 + 0.15 * implant.radius_mm) * femur.head_radius_mm, spread * (up + slant * 4), spread * front
        )
        thread = _along(femur, 0.25 * femur.head_radius_mm, spread * (up + slant * 3), spread * front)
        end = _along(femur, femur.neck_length_mm * (1.52 if up < 0 else 1.45), spread * (up - slant), spread * front)
        head = _along(femur, femur.neck_length_mm * (1.57 if up < 0 else 1.50), spread * (up - slant), spread * front)
        parts += [(start, end, 2.3, 2.3), (start, thread, 3.3, 3.3), (end, head, 4.0, 4.0)]
    return parts
