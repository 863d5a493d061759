import numpy as np
import pytest

from tests.trainer.phantom.hip_geometry import hip_film
from trainer.phantom.body.anatomy import IMPLANTS, Subject
from trainer.phantom.body.bodies import bodies_of
from trainer.phantom.body.pose import Pose
from trainer.phantom.shapes.ray_march import METAL, project


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
