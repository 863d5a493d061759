from itertools import pairwise

import numpy as np
import pytest

from trainer.phantom.beam.trabecular_lines import GROUPS, group_table, lines, visibility

# A left hip at 1 mm pixels: x lateral, y down.
POINTS = {
    "head_center": (40.0, 40.0), "neck_base": (76.0, 68.0), "greater_trochanter": (88.0, 36.0),
    "lesser_trochanter": (62.0, 96.0), "shaft_top": (76.0, 97.0), "shaft_end": (78.0, 150.0),
}  # fmt: skip


def _drawn(names: tuple[str, ...], pixel_mm: float = 1.0, mirrored: bool = False) -> np.ndarray:
    points = {k: (x / pixel_mm, y / pixel_mm) for k, (x, y) in POINTS.items()}
    side = round(160 / pixel_mm)
    if mirrored:
        points = {k: (side - x, y) for k, (x, y) in points.items()}
    visible = tuple(float(name in names) for name in GROUPS)
    mass = np.ones((side, side), np.float32)
    return lines(mass, points, pixel_mm, visible, 0.5, np.random.default_rng(3), round(pixel_mm * 1000))


def test_groups_vanish_one_by_one() -> None:
    left = [np.array(visibility(grade, np.zeros(5))) for grade in (6.0, 4.5, 3.2, 1.8, 0.3)]
    assert all((b < a).all() for a, b in pairwise(left))
    assert left[0].min() > 0.9
    assert left[2][GROUPS.index("tensile")] > 0.6 > 0.3 > left[2][GROUPS.index("secondary_tensile")]
    assert left[3][GROUPS.index("compressive")] > 0.8 > 0.3 > left[3][GROUPS.index("tensile")]
    assert left[4].max() < 0.4


@pytest.mark.parametrize("mirrored", [False, True])
def test_lines_run_along_their_group(mirrored: bool) -> None:
    """Compressive lines run down from the dome, tensile ones across to the lateral cortex."""
    for name, (x, y), steep in (("compressive", (44, 50), True), ("tensile", (62, 42), False)):
        image = _drawn((name,), mirrored=mirrored)
        x = 160 - x if mirrored else x
        part = image[y - 8 : y + 9, x - 8 : x + 9]
        assert part.std() > 0.3, name
        down, across = (float(np.abs(np.diff(part, axis=axis)).mean()) for axis in (0, 1))
        assert (down < across) == steep, name


def test_lines_keep_the_local_mean_and_stay_visible_at_coarse_pixels() -> None:
    fine, coarse = _drawn(GROUPS, 0.3), _drawn(GROUPS, 1.0)
    neck = fine[140:240, 100:200]
    assert abs(neck.mean()) < 0.12
    assert coarse[42:72, 30:60].std() > 0.3 * fine[140:240, 100:200].std()
    assert np.abs(fine[-60:, :60]).max() == 0.0


def test_the_table_scales_with_the_hip() -> None:
    one = group_table(POINTS, 1.0)
    half = group_table({k: (2 * x, 2 * y) for k, (x, y) in POINTS.items()}, 0.5)
    np.testing.assert_allclose(one, half, atol=1e-9)
