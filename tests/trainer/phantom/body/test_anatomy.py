import numpy as np
import pytest

from trainer.phantom.body.anatomy import Subject
from trainer.phantom.body.femur import femur_grid


def test_a_subject_is_a_function_of_its_seed() -> None:
    assert Subject.draw(17) == Subject.draw(17)
    assert Subject.draw(17) != Subject.draw(18)
    one = Subject.draw(17)
    assert one.femora["R"] != one.femora["L"]
    assert 40 <= one.age_years <= 90


def test_a_population_has_to_be_known() -> None:
    assert Subject.draw(17, "wide") == Subject.draw(17, "wide")
    assert Subject.draw(17, "wide").latent_b is None
    with pytest.raises(ValueError, match="unknown population 'village'"):
        Subject.draw(17, "village")


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
