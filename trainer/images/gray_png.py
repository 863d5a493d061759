"""The 16-bit gray PNG in which regions and whole films are kept: values 0..1, bone bright, and 0 outside the film."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bmd_edge.errors import TableError
from bmd_edge.table.film_table import HipRow

FULL_SCALE = np.float32(65535.0)


def read_png(row: HipRow) -> NDArray[np.uint16]:
    """(rows, cols) uint16 pixels of the row's 16-bit PNG.

    Raises:
        TableError: missing, unreadable or not 16-bit gray.
    """
    try:
        with Image.open(row.film_path) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise TableError(f"film {row.film}: cannot be read as PNG ({type(error).__name__})") from error
    if pixels.ndim != 2 or pixels.dtype not in (np.uint16, np.int32):
        raise TableError(f"film {row.film}: not a 16-bit gray PNG")
    return pixels.astype(np.uint16)


def floats(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Pixels of a region as float32 0..1, NaN outside the film."""
    shown = pixels.astype(np.float32) / FULL_SCALE
    shown[pixels == 0] = np.nan
    return shown


def png16(image: NDArray[np.float32]) -> bytes:
    """A 16-bit gray PNG of values 0..1; 0 is kept for NaN, outside the film, so the darkest stored value is 1."""
    stored = np.nan_to_num(np.maximum(np.rint(np.clip(image, 0.0, 1.0) * 65535.0), 1.0), nan=0.0).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()
