"""A film made small for people to look at."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bmd_edge.film.film import Film

LONG_SIDE_PX = 420


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A film made small: gray JPEG of `width_px` x `height_px`, in the film's true proportions; bone is bright."""

    jpeg: bytes
    width_px: int
    height_px: int
    film_width_px: int
    film_height_px: int


def thumbnail(film: Film) -> Thumbnail:
    """Shrink a whole film to at most 420 px, with the contrast stretched for the eye."""
    gray = shrunk(film, LONG_SIDE_PX, LONG_SIDE_PX)
    file = io.BytesIO()
    Image.fromarray(gray).save(file, "JPEG", quality=82, optimize=True)
    (height_px, width_px), (rows, columns) = gray.shape, film.shape
    return Thumbnail(file.getvalue(), width_px, height_px, columns, rows)


def shrunk(film: Film, width_px: int, height_px: int) -> NDArray[np.uint8]:
    """A whole film in its true proportions, as large as fits into `width_px` x `height_px`.

    Returns (rows, columns) uint8, bone bright, with the contrast stretched for the eye; under a shutter it is black.
    """
    rows, columns = film.shape
    height_mm, width_mm = rows * film.spacing_mm[0], columns * film.spacing_mm[1]
    scale = min(height_px / height_mm, width_px / width_mm)
    shape = max(round(height_mm * scale), 1), max(round(width_mm * scale), 1)
    image = film.region(0, 0, columns, rows, shape=shape)
    low, high = np.nanpercentile(image[::2, ::2], (0.5, 99.5))  # a quarter of it says as much
    gray = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
    return np.asarray(np.round(np.nan_to_num(gray)), np.uint8)
