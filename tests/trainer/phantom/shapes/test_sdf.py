import numpy as np
import pytest

from trainer.phantom.shapes.sdf import finish, noise


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


def test_noise_is_standard_and_smooth() -> None:
    rng = np.random.default_rng(0)
    field = np.concatenate([noise(rng, (60, 50, 70), 1.5, 7.0).ravel() for _ in range(12)])
    assert field.std() == pytest.approx(1.0, abs=0.06)
    assert abs(field.mean()) < 0.1
