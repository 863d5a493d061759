"""Rows and columns swapped, and signs flipped, are told from the pixels; small frames whole, large ones by runs."""

import numpy as np
import pytest

from bmd_edge.errors import FilmRefused
from bmd_edge.pixels.misread import check_shape, check_sign, is_torn

SHAPES = [(150, 130), (900, 610), (1201, 1800)]  # one below the sample, two above


def smooth(rows: int, columns: int) -> np.ndarray:
    """Two waves and noise, as a radiograph's neighbors are: 12 bits."""
    y, x = np.mgrid[:rows, :columns] / np.array([[[rows]], [[columns]]])
    noise = np.random.default_rng(rows).normal(0, 10, (rows, columns))
    return (2000 + 900 * np.sin(9 * x) + 800 * np.cos(7 * y + x) + noise).astype(np.uint16)


@pytest.mark.parametrize("shape", SHAPES)
def test_swapped_rows_and_columns_are_refused(shape: tuple[int, int]) -> None:
    frame = smooth(*shape)
    check_shape(frame)
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        check_shape(frame.reshape(frame.shape[::-1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_flipped_sign_is_refused(shape: tuple[int, int]) -> None:
    frame = smooth(*shape)
    check_sign(frame, 12)
    signed = frame.astype(np.int16) - 2048
    check_sign(signed, 12)
    with pytest.raises(FilmRefused, match="inconsistent_pixels"):
        check_sign((signed & 0xFFF).astype(np.uint16), 12)
    assert is_torn((frame * 4) & 0xFFF, 12)
    assert not is_torn(frame, 12)
