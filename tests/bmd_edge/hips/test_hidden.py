"""What of a region shows no bone is told apart: burned-in levels, things laid over the film, a shutter."""

from dataclasses import replace

import numpy as np
import pytest

from bmd_edge.bundle.network_input import BMD
from bmd_edge.film.film import Film
from bmd_edge.film.shutter import Shutter
from bmd_edge.hips.hidden import clipped_share, hidden_flags, hidden_objection
from bmd_edge.hips.region import roi_box
from tests.bmd_edge.hips.painted_hips import RIGHT_MM

SPACING = (0.5, 0.5)
HEAD_MM = np.array([150.0, 90.0])
POINTS_PX = (HEAD_MM + RIGHT_MM) / 0.5
BOX = roi_box(POINTS_PX, SPACING, BMD.side_mm)
Y, X = (np.mgrid[:480, :560] + 0.5) * 0.5 - HEAD_MM[::-1, None, None]
"""Where each pixel lies, mm from the head center."""


def film(change=None, shutter=None, side="R"):
    """A film of noise whose bone, around the landmarks, is bright; `change` alters the gray 0..1 of a right hip."""
    shaft = np.hypot(X + 42, np.maximum(0, 60 - Y)) < 15
    bone = shaft | (np.hypot(X, Y) < 24) | (np.hypot(X + 50, Y - 15) < 18) | (np.hypot(X + 25, Y - 20) < 20)
    gray = np.where(bone, 0.75, 0.4) + np.random.default_rng(0).normal(0, 0.03, X.shape)
    if change:
        gray = change(gray)
    stored = np.round(np.clip(gray, 0, 1) * 4095).astype(np.uint16)
    lookup = np.linspace(0, 1, 4096, dtype=np.float32)
    stored = stored if side == "R" else np.ascontiguousarray(stored[:, ::-1])
    return Film(
        film_id="", stored=stored, lookup=lookup, lookup_first=0, spacing_mm=SPACING, shutter=shutter,
        black=float(np.quantile(stored, 0.001) / 4095), white=float(np.quantile(stored, 0.999) / 4095),
    )  # fmt: skip


def judged(made, points_px=POINTS_PX):
    box = roi_box(points_px, SPACING, BMD.side_mm)
    region = made.region(*box, shape=(BMD.size_px, BMD.size_px))
    stand = {name for name, stands in hidden_flags(made, points_px, box, region).items() if stands}
    return stand, hidden_objection(made, points_px, box, region)


def where(mask, level):
    return lambda gray: np.where(mask, level, gray)


def test_a_plain_hip_has_nothing_over_it():
    assert judged(film()) == (set(), None)


def test_a_burned_in_window_is_flagged_and_where_it_takes_too_much_refused():
    def dense_head(gray):
        return np.minimum(np.where((Y < 8) & (gray > 0.6), gray + 0.2 * (X > -10), gray), 0.85)

    assert judged(film(dense_head)) == ({"partly_clipped"}, None)
    assert judged(film(lambda gray: np.minimum(gray, 0.6)))[1] == "clipped"


@pytest.mark.parametrize("side", ["R", "L"])
@pytest.mark.parametrize(
    ("change", "flagged"),
    [
        (where(X < -79, 1.0), True),  # the edge of the beam, unexposed beyond
        (where(X < -74, 0.0), True),  # black, nearer to the bone than skin is
        (where((X > 35) & (Y > 60), 0.0), False),  # air between the legs
        (where((X > 40) & (X < 58) & (Y > 70) & (Y < 85), 1.0), True),  # a label
        (where((X > 40) & (X < 58) & (Y > 70) & (Y < 85), 0.5), True),  # a gray one
        (where((X > 90) & (Y > 70), 1.0), False),  # beside the region
        (where((X > 40) & (X < 44) & (Y > 70) & (Y < 74), 1.0), False),  # too small to matter
    ],
)
def test_what_was_put_over_the_region_is_flagged(change, flagged, side):
    made = film(change, side=side)
    points = POINTS_PX if side == "R" else np.stack([X.shape[1] - POINTS_PX[:, 0], POINTS_PX[:, 1]], axis=1)
    assert judged(made, points) == ({"covered_region"} if flagged else set(), None)


def test_a_shutter_beside_the_bone_is_flagged_and_over_the_bone_refused():
    def opened(left_mm):
        return Shutter(box=((HEAD_MM[0] + left_mm) / 0.5, 560, 0, 480))

    assert judged(film(shutter=opened(-100))) == (set(), None)
    assert judged(film(shutter=opened(-75))) == ({"shutter_in_region"}, None)
    assert judged(film(shutter=opened(-40)))[1] == "cut_off"


def test_the_share_counts_bone_only():
    made = film(where(X > 30, 1.0))
    region = made.region(*BOX, shape=(BMD.size_px, BMD.size_px))
    assert (region >= 0.998).mean() > 0.1
    assert clipped_share(made, POINTS_PX, BOX, region) == 0
    assert clipped_share(replace(made, white=0.5), POINTS_PX, BOX, region) > 0.8
