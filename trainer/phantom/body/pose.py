"""How the patient lies: hip and pelvis angles, their draws, and the rigid transforms they give.

World frame (mm): x toward the patient's left (image right), y anterior (toward the tube of an AP film), z headward.
The femur and hemipelvis frames are those of a LEFT hip (x lateral); a right hip is the mirror image in x.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HipPose:
    """Angles of one femur against the pelvis, in degrees; zero is the DXA pose (neck parallel to the table).

    rotation_deg external positive, adduction_deg toward the midline positive, flexion_deg forward positive.
    """

    rotation_deg: float = 0.0
    adduction_deg: float = 0.0
    flexion_deg: float = 0.0

    def matrix(self) -> Array:
        """Rotation (3, 3) of a left femur about its head center: rotation first, then adduction, then flexion."""
        return about_x(-self.flexion_deg) @ about_y(self.adduction_deg) @ about_z(-self.rotation_deg)


@dataclass(frozen=True, slots=True)
class Pose:
    """The pose of both hips and of the pelvis, in degrees.

    tilt_deg: the top of the pelvis leans forward (inlet view) when positive. obliquity_deg: the left side is raised.
    yaw_deg: the pelvis turned about the long axis (Judet-like, or lateral); positive turns the left side backward.
    kind: "bmd", "learning", "wide", "frog_leg" or "lateral" -- the draw it came from.
    """

    right: HipPose = HipPose()
    left: HipPose = HipPose()
    tilt_deg: float = 0.0
    obliquity_deg: float = 0.0
    yaw_deg: float = 0.0
    kind: str = "bmd"

    def hip(self, side: str) -> HipPose:
        """The pose of one side, "R" or "L"."""
        return {"R": self.right, "L": self.left}[side]

    def pelvis_matrix(self) -> Array:
        """Rotation (3, 3) of the pelvis about the midpoint of the two hip centers."""
        return about_z(-self.yaw_deg) @ about_y(-self.obliquity_deg) @ about_x(self.tilt_deg)

    @classmethod
    def draw_bmd(cls, rng: np.random.Generator) -> "Pose":
        """The pose of the BMD cohort: rotation N(9, 9), adduction N(4, 3), flexion N(0, 4), tilt 5, obliquity 2.5."""
        shared = rng.normal(9.0, 7.5)
        hips = [HipPose(shared + rng.normal(0.0, 5.0), rng.normal(4.0, 3.0), rng.normal(0.0, 4.0)) for _ in range(2)]
        return cls(hips[0], hips[1], rng.normal(0.0, 5.0), rng.normal(0.0, 2.5), rng.normal(0.0, 1.5))

    @classmethod
    def draw_learning(cls, rng: np.random.Generator) -> "Pose":
        """The pose of films to learn from: external rotation about uniform from 0 to 40 deg, the rest twice as wide as
        in the BMD cohort; the two hips lie apart from each other."""
        hips = [
            HipPose(rng.uniform(-4.0, 42.0), rng.normal(3.0, 6.0), float(np.clip(rng.normal(1.0, 7.0), -15.0, 20.0)))
            for _ in range(2)
        ]
        return cls(hips[0], hips[1], rng.normal(0.0, 8.0), rng.normal(0.0, 4.0), rng.normal(0.0, 3.0), "learning")

    @classmethod
    def draw_wide(cls, rng: np.random.Generator) -> "Pose":
        """Poses of frail patients: external rotation to 45 deg, abduction to 35, a tilted and oblique pelvis."""
        hips = [_draw_wide_hip(rng) for _ in range(2)]
        tilt, obliquity = float(np.clip(rng.normal(0.0, 9.0), -22, 22)), float(np.clip(rng.normal(0.0, 5.0), -13, 13))
        return cls(hips[0], hips[1], tilt, obliquity, rng.normal(0.0, 3.5), "wide")

    @classmethod
    def draw_wrong_view(cls, rng: np.random.Generator) -> "Pose":
        """Views that are not AP: frog leg (abduction 40-65, external rotation 60-90, flexion) or lateral (turned
        90)."""
        if rng.random() < 0.6:
            hips = [HipPose(rng.uniform(60, 90), -rng.uniform(40, 65), rng.uniform(25, 50)) for _ in range(2)]
            return cls(hips[0], hips[1], rng.normal(0, 6), rng.normal(0, 4), rng.normal(0, 3), "frog_leg")
        sign = 1.0 if rng.random() < 0.5 else -1.0
        yaw = sign * rng.uniform(60, 100)
        hips = [HipPose(rng.normal(10, 8), rng.normal(0, 4), rng.uniform(0, 30)) for _ in range(2)]
        return cls(hips[0], hips[1], rng.normal(0, 8), rng.normal(0, 5), yaw, "lateral")


def _draw_wide_hip(rng: np.random.Generator) -> HipPose:
    rotation = rng.uniform(-15, 45) if rng.random() < 0.7 else rng.normal(9, 9)
    adduction = rng.uniform(-35, 15) if rng.random() < 0.6 else rng.normal(4, 4)
    return HipPose(rotation, adduction, float(np.clip(rng.normal(4, 8), -12, 25)))


def about_x(deg: float) -> Array:
    """Rotation about x that takes +z toward +y (the top leans forward; for a leg: the knee goes backward)."""
    c, s = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return np.array([[1.0, 0.0, 0.0], [0.0, c, s], [0.0, -s, c]])


def about_y(deg: float) -> Array:
    """Rotation about y that takes -z toward -x (a left leg moves toward the midline: adduction)."""
    c, s = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])


def about_z(deg: float) -> Array:
    """Rotation about z that takes +x toward +y."""
    c, s = math.cos(math.radians(deg)), math.sin(math.radians(deg))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


MIRROR_X: Array = np.diag([-1.0, 1.0, 1.0])
