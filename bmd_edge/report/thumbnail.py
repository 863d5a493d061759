"""A film made small for people to look at."""

import io
from dataclasses import dataclass

import numpy as np
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
    rows, columns = film.shape
    height_mm, width_mm = rows * film.spacing_mm[0], columns * film.spacing_mm[1]
    scale = LONG_SIDE_PX / max(height_mm, width_mm)
    height_px, width_px = max(round(height_mm * scale), 1), max(round(width_mm * scale), 1)
    image = film.region(0, 0, columns, rows, shape=(height_px, width_px))
    low, high = np.nanpercentile(image[::2, ::2], (0.5, 99.5))  # a quarter of it says as much
    gray = np.clip((image - low) / max(high - low, 1e-6), 0, 1) * 255
    file = io.BytesIO()
    Image.fromarray(np.round(np.nan_to_num(gray)).astype(np.uint8)).save(file, "JPEG", quality=82, optimize=True)
    return Thumbnail(file.getvalue(), width_px, height_px, columns, rows)
