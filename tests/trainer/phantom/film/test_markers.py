import numpy as np
import pytest

from trainer.phantom.film.markers import NECK_MM, Field, Letter, Ruler, _draw_ruler, _glyph, apply_decor, draw_decor

SIZE_MM, KEEP = (280.0, 240.0), (50.0, 60.0, 185.0, 230.0)


def test_letters_are_drawn_upright():
    glyph, plate = _glyph(Letter("L", (0, 0), 20.0, 0.0, False, 1.0), 0.5)
    rows = np.flatnonzero(glyph.any(axis=1))
    assert glyph[rows[-3]].sum() > 2 * glyph[rows[2]].sum()
    assert plate is None


def _wide(seed: int):
    return draw_decor(np.random.default_rng(seed), SIZE_MM, "R", "left", KEEP, False, wide=True)


@pytest.mark.parametrize("pixel_mm", [0.7, 1.8])
def test_wide_decoration_never_covers_the_neck_and_often_the_rest(pixel_mm):
    """The neck's surroundings stay open but for half a soft edge; lead letters are not asked."""
    shape = tuple(int(n / pixel_mm) for n in SIZE_MM)
    touched = 0
    for seed in range(80):
        decor = _wide(seed)
        shown = apply_decor(
            np.full(shape, 0.5, np.float32), type(decor)((), decor.fields, decor.rulers, decor.labels), pixel_mm, (0, 0)
        )
        core = shown[
            int((KEEP[1] + 24) / pixel_mm) : int((KEEP[1] + 24 + 0.8 * NECK_MM) / pixel_mm),
            int((KEEP[0] + 24) / pixel_mm) : int((KEEP[2] - 24) / pixel_mm),
        ]
        assert np.allclose(core, 0.5)
        touched += bool(np.any(shown[int(KEEP[1] / pixel_mm) - 10 :, int(KEEP[0] / pixel_mm) - 10 :] != 0.5))
    assert touched > 40


def test_a_label_has_a_box_behind_it():
    label = Letter("AP", (60.0, 50.0), 12.0, 0.0, False, 0.0, plate=1.0)
    shown = apply_decor(np.full((120, 140), 0.4, np.float32), type(_wide(0))((), (), (), (label,)), 1.0, (0, 0))
    assert shown[44, 49] == pytest.approx(1.0)
    assert shown[40:60, 45:75].min() < 0.2
    assert shown[10, 10] == pytest.approx(0.4)


def test_a_ruler_lies_or_stands_with_its_ticks():
    standing, lying = (np.zeros((160, 160), np.float32) for _ in range(2))
    _draw_ruler(standing, Ruler((20.0, 30.0), 100.0, False, 1.0), 1.0, (0, 0))
    _draw_ruler(lying, Ruler((30.0, 20.0), 100.0, True, 1.0), 1.0, (0, 0))
    assert np.array_equal(standing, lying.T)
    assert standing[30:130, 20].all()
    assert standing[:, 22].sum() == 11
    assert not standing[:, :20].any()


def test_gray_borders_have_their_level():
    field = Field((20.0, 20.0, 80.0, 80.0), 0.0, 0.1, "gray", 0, 0.3)
    shown = apply_decor(np.ones((100, 100), np.float32), type(_wide(0))((), (field,)), 1.0, (0, 0))
    assert shown[5, 5] == pytest.approx(0.3)
    assert shown[50, 50] == 1.0


def test_a_hip_that_reaches_beyond_the_film_is_decorated_too():
    """Whole films may end inside a hip: the box to keep open then lies partly or wholly outside."""
    for keep in ((-90.0, 20.0, -20.0, 150.0), (250.0, -80.0, 420.0, -10.0), (-30.0, -30.0, 500.0, 500.0)):
        for seed in range(60):
            decor = draw_decor(np.random.default_rng(seed), SIZE_MM, "R", "left", keep, True, wide=True)
            shown = apply_decor(np.full((90, 110), 0.4, np.float32), decor, 3.0, (0, 0))
            assert np.isfinite(shown).all()
