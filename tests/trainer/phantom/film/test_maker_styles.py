import numpy as np
import pytest

from trainer.phantom.film.display_steps import PLAIN
from trainer.phantom.film.maker_styles import STYLES, process, random_style, recognize, style_of


def test_styles_are_eight_and_random_ones_differ():
    assert list(STYLES) == list("ABCDEFGH")
    rng = np.random.default_rng(1)
    drawn = [random_style(rng) for _ in range(50)]
    assert len({s.base for s in drawn}) == 50
    assert ({s.name for s in drawn}, random_style(rng, wide=True).name) == ({"random"}, "wide")
    for wrong in ("Z", "S", "S-1", "S1x"):
        with pytest.raises(KeyError, match="no maker"):
            style_of(wrong)


def test_a_site_has_one_wide_style_of_its_own():
    assert style_of("S7") == style_of("S7")
    assert style_of("S7").name == "Synthetic-S7"
    assert len({style_of(f"S{k}").base for k in range(1, 30)}) == 29
    assert any(style_of(f"S{k}").steps != PLAIN for k in range(1, 9))


def _signal() -> np.ndarray:
    """A thick body with a denser bar and air beside it."""
    rng = np.random.default_rng(2)
    signal = np.ones((160, 150), np.float32)
    signal[:, 60:85] = 0.45
    signal[:, 130:] = 9.0
    return signal * (1.0 + 0.02 * rng.standard_normal(signal.shape)).astype(np.float32)


def test_wide_styles_show_the_bone_over_tissue_and_some_of_them_clip():
    signal = _signal()
    body, contrast, clipped = signal < 3.0, [], []
    for seed in range(60):
        style = random_style(np.random.default_rng(seed), wide=True)
        shown = process(signal, recognize(signal, body, style, 1.2), style, 1.2)
        assert shown.dtype == np.float32
        assert np.isfinite(shown).all()
        seen = np.clip(shown, 0.0, 1.0)
        contrast.append(seen[:, 65:80].mean() - seen[:, 15:45].mean())
        clipped.append(np.mean((shown[body] <= 0.0) | (shown[body] >= 1.0)))
    assert np.mean(np.array(contrast) > 0.03) > 0.9
    assert 0.1 < np.mean(np.array(clipped) > 0.05) < 0.8


def test_named_and_ordinary_styles_take_no_extra_step():
    assert all(style.steps == PLAIN for style in STYLES.values())
    assert random_style(np.random.default_rng(4)).steps == PLAIN
