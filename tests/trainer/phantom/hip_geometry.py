"""A hip and a sphere as the ray march sees them."""

import numpy as np

from trainer.phantom.body.anatomy import Subject
from trainer.phantom.body.bodies import hip_center_mm
from trainer.phantom.body.pose import Pose
from trainer.phantom.shapes.ray_march import Geometry
from trainer.phantom.shapes.sdf import Grid, finish


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
