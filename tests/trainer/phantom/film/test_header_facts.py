import numpy as np
import pytest

from trainer.phantom.beam.beam import Exposure
from trainer.phantom.body.anatomy import Subject
from trainer.phantom.film.header_facts import draw_header
from trainer.phantom.film.maker_styles import STYLES
from trainer.phantom.shapes.ray_march import Geometry


def test_headers_state_the_magnification_only_sometimes():
    subject, view = Subject.draw(1), Geometry.centered((0.0, 0.0), (300.0, 200.0), 0.3)
    exposure = Exposure.draw(np.random.default_rng(1), 25.0, 60.0)
    facts = {"side": "R", "body_part": "HIP", "view": "AP", "seed": "1", "subject": "1"}
    headers = [draw_header(np.random.default_rng(k), subject, exposure, view, STYLES["A"], facts) for k in range(40)]
    assert {h.ermf is None for h in headers} == {True, False}
    assert {h.sod_mm is None for h in headers} == {True, False}
    assert len({h.spacing_tag for h in headers}) >= 2
    stated = [h for h in headers if h.ermf is None and h.sid_mm is not None and h.sod_mm is not None]
    for header in stated:
        assert header.believed_spacing_mm == pytest.approx(header.pixel_mm * header.sod_mm / header.sid_mm)
    assert stated
