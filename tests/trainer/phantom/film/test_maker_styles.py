import numpy as np
import pytest

from trainer.phantom.film.maker_styles import STYLES, random_style, style_of


def test_styles_are_eight_and_random_ones_differ():
    assert list(STYLES) == list("ABCDEFGH")
    rng = np.random.default_rng(1)
    drawn = [random_style(rng) for _ in range(50)]
    assert len({s.base for s in drawn}) == 50
    with pytest.raises(KeyError, match="no maker"):
        style_of("Z")
