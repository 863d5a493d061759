import math

import numpy as np
import pytest

from tests.trainer.phantom.hip_geometry import sphere_grid
from trainer.phantom.shapes.ray_march import Body, Geometry, project
from trainer.phantom.shapes.sdf import CORTICAL_GCM3, Grid, finish


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
