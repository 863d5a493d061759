import math

import numpy as np

from tests.trainer.phantom.hip_geometry import hip_film
from trainer.phantom.body.anatomy import Subject
from trainer.phantom.body.bodies import landmarks
from trainer.phantom.body.pose import HipPose, Pose


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


def test_poses_to_learn_from_turn_the_leg_outward_and_each_hip_by_itself() -> None:
    rng = np.random.default_rng(5)
    poses = [Pose.draw_learning(rng) for _ in range(200)]
    right, left = (np.array([p.hip(side).rotation_deg for p in poses]) for side in ("R", "L"))
    assert np.histogram(right, bins=4, range=(0, 40))[0].min() > 25
    assert abs(np.corrcoef(right, left)[0, 1]) < 0.2
