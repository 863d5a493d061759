from dataclasses import replace

import numpy as np
import pytest

from trainer.phantom.body.bodies import fracture_end_mm
from trainer.phantom.film.film import film
from trainer.phantom.film.scene import CASES, FilmSpec, scene_of

SMALL = {"pixel_mm": 0.95}


@pytest.mark.parametrize("case", CASES)
def test_every_case_makes_a_film_with_its_kind(case):
    made = film(FilmSpec(21, case=case, pose="wide", **SMALL))
    shown = made.bone_bright()
    assert shown.dtype == np.float32
    assert 0.0 <= shown.min() < shown.max() <= 1.0
    if case == "not_a_hip":
        assert made.hips == ()
        return
    mine = made.hips[0]
    assert mine.side == "R"
    assert mine.kind == ("intact" if case == "cut_off" else case)
    assert (mine.label_bmd_gcm2 is None) == (mine.kind != "intact")
    assert mine.cut_off or case != "cut_off"


def test_unknown_words_are_refused():
    for bad in ({"kind": "knee"}, {"case": "odd"}, {"pose": "x"}, {"region": "all"}, {"side": "left"}):
        with pytest.raises(ValueError, match="unknown"):
            film(replace(FilmSpec(1), **bad))


def test_where_a_femur_is_broken_is_on_the_film():
    for seed in range(12):
        spec = FilmSpec(seed, "hip", "R", "fracture", "wide", pixel_mm=1.0, population="wide")
        scene = scene_of(spec)
        end = scene.frame.project(fracture_end_mm(scene.subject, "R", scene.pose)[None])[0]
        assert end[1] < scene.frame.shape[0] - 10.0
