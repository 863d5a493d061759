import numpy as np

from trainer.phantom.film.markers import Letter, _glyph


def test_letters_are_drawn_upright():
    glyph, _ = _glyph(Letter("L", (0, 0), 20.0, 0.0, False, 1.0), 0.5)
    rows = np.flatnonzero(glyph.any(axis=1))
    assert glyph[rows[-3]].sum() > 2 * glyph[rows[2]].sum()
