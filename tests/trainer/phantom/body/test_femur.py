import dataclasses
from typing import Any

import numpy as np
import pytest

from trainer.phantom.body.anatomy import Femur, Subject
from trainer.phantom.body.femur import femur_grid
from trainer.phantom.shapes.ray_march import Body, Geometry, project


@pytest.mark.parametrize("seed", [11, 12, 13, 14])
def test_no_seam_in_the_trochanter(seed: int) -> None:
    """Four times the cortex must not draw a line where the trochanter, the neck and the shaft meet.

    Inside the bone, away from the edges, the cortical projection is smooth: a false inner surface would show as a
    ridge. The measure is the darkest and brightest deviation from a 9 mm median against the mean, over the
    trochanteric region (its fossa, a true surface, filled).
    """
    from scipy.ndimage import binary_erosion, median_filter

    femur = dataclasses.replace(Subject.draw(seed).femora["R"], surface_noise_mm=0.0, fossa_mm=0.0)
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


def test_cam_collar_and_flattening_show_at_their_places() -> None:
    """Bone where the sphere ends: a bump above the neck's root, a collar at both margins, and less at the dome."""
    plain = dataclasses.replace(
        Subject.draw(11).femora["R"],
        surface_noise_mm=0.0, head_flat=0.0, head_ap_ratio=1.0, cam_mm=0.0, osteophyte_mm=0.0, neck_half_mm=13.0
    )  # fmt: skip

    def shadow(**shape: Any) -> np.ndarray:
        geometry = Geometry(1, 1, 0.5, (120, 160), (-40.0, 32.0), parallel=True)
        body = Body("femur", "femur_L", femur_grid(dataclasses.replace(plain, **shape)), np.eye(3), np.zeros(3))
        return project([body], geometry).bone_mm > 0.5

    base = shadow()
    assert 5 < (base & ~shadow(head_flat=0.08)).sum() < 400
    assert (shadow(cam_mm=4.0) & ~base).sum() > 40
    collar = shadow(osteophyte_mm=3.0) & ~base
    rows = np.flatnonzero(collar.any(1))
    assert rows.max() - rows.min() > 40  # above and below the neck


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_a_high_ridge_is_the_trochanters_tip_nearer_to_the_head(seed: int) -> None:
    low = dataclasses.replace(Subject.draw(seed).femora["R"], ridge_rise_mm=-2.0)
    high = dataclasses.replace(low, ridge_rise_mm=7.0)
    (low_x, low_z), (high_x, high_z) = (_highest(femur) for femur in (low, high))
    assert high_x < low_x - 2.0
    assert 1.0 < high_z - low_z < 7.0


def _highest(femur: Femur) -> tuple[float, float]:
    """(x, z) of the highest point of the greater trochanter, mm."""
    surface = femur_grid(femur).surface_mm["greater"]
    x, _, z = surface[surface[:, 2].argmax()]
    return float(x), float(z)
