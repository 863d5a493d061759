"""What the room and the workstation add to a film: lead letters, burnt-in text, collimation with black, white or raw
borders.

Positions are mm on the detector from the film's top-left corner, so a window of a film shows the same things in the
same place.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from trainer.phantom.shapes.coarse_grid import smooth_noise, upsample

Array = NDArray[np.float32]

BORDERS = ("none", "black", "white", "raw")


@dataclass(frozen=True, slots=True)
class Letter:
    """A lead letter or text: where (mm), how tall (mm), turned by degrees, in a circle or not, how bright (1 =
    white).
    """

    text: str
    at_mm: tuple[float, float]
    height_mm: float
    angle_deg: float
    circle: bool
    level: float


@dataclass(frozen=True, slots=True)
class Decor:
    """Letters, and the open field: box (left, top, right, bottom) in mm, turned by degrees, soft edge in mm, border
    look.
    """

    letters: tuple[Letter, ...]
    box_mm: tuple[float, float, float, float]
    angle_deg: float
    edge_mm: float
    border: str
    seed: int


def draw_decor(
    rng: np.random.Generator,
    size_mm: tuple[float, float],
    letter: str | None,
    letter_side: str,
    keep_mm: tuple[float, float, float, float] | None,
    busy: bool,
) -> Decor:
    """Random decoration of a film of `size_mm` (height, width); the field keeps the box `keep_mm` open. `busy`:
    finder films.
    """
    height, width = size_mm
    letters: list[Letter] = []
    if letter is not None and rng.random() < 0.85:
        letters.append(_letter(rng, size_mm, letter, letter_side))
    if busy and rng.random() < 0.25:
        word = str(rng.choice(["AP", "HIP", "PELVIS", "SUPINE", "KV 75", "JR", "3", "12:41", "ERECT", "PORTABLE"]))
        letters.append(_letter(rng, size_mm, word, str(rng.choice(["left", "right"]))))
    border = str(rng.choice(BORDERS, p=(0.35, 0.35, 0.12, 0.18)))
    inset = np.abs(rng.normal(0.0, 0.06, 4)) * [width, height, width, height] * (1.6 if busy else 1.0)
    box = np.array([inset[0], inset[1], width - inset[2], height - inset[3]])
    if keep_mm is not None:
        keep = np.asarray(keep_mm)
        box = np.concatenate([np.minimum(box[:2], keep[:2]), np.maximum(box[2:], keep[2:])])
    angle = float(rng.normal(0.0, 0.8)) if rng.random() < 0.4 else 0.0
    left, top, right, bottom = (float(v) for v in box)
    return Decor(
        tuple(letters),
        (left, top, right, bottom),
        angle,
        float(rng.uniform(0.2, 1.5)),
        border,
        int(rng.integers(2**31)),
    )


def _letter(rng: np.random.Generator, size_mm: tuple[float, float], text: str, side: str) -> Letter:
    height, width = size_mm
    across = rng.uniform(0.05, 0.16) * width
    x = across if side == "left" else width - across  # beside the hip, where lead letters are laid
    level = rng.uniform(0.85, 1.05) if rng.random() < 0.85 else rng.uniform(0.6, 0.85)
    angle = rng.normal(0.0, 8.0) if rng.random() < 0.8 else rng.choice([90.0, -90.0, 180.0])
    return Letter(
        text,
        (float(x), float(rng.uniform(0.06, 0.92) * height)),
        float(rng.uniform(8.0, 22.0)),
        float(angle),
        bool(rng.random() < 0.35) and len(text) == 1,
        float(level),
    )


def apply_decor(shown: Array, decor: Decor, pixel_mm: float, offset_mm: tuple[float, float]) -> Array:
    """Display values (bone bright) with letters and borders; `offset_mm` (x, y): where this window starts on the
    film.
    """
    for letter in decor.letters:
        _stamp(shown, letter, pixel_mm, offset_mm)
    return shown if decor.border == "none" else _collimate(shown, decor, pixel_mm, offset_mm)


def _stamp(shown: Array, letter: Letter, pixel_mm: float, offset_mm: tuple[float, float]) -> None:
    mask = _glyph(letter, pixel_mm)
    x = round((letter.at_mm[0] - offset_mm[0]) / pixel_mm) - mask.shape[1] // 2
    y = round((letter.at_mm[1] - offset_mm[1]) / pixel_mm) - mask.shape[0] // 2
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + mask.shape[0], shown.shape[0]), min(x + mask.shape[1], shown.shape[1])
    if top >= bottom or left >= right:
        return
    part = mask[top - y : bottom - y, left - x : right - x]
    area = shown[top:bottom, left:right]
    area += part * (np.maximum(np.float32(letter.level), area) - area)


def _glyph(letter: Letter, pixel_mm: float) -> Array:
    size = max(letter.height_mm / pixel_mm, 6.0)
    font = ImageFont.load_default(size)
    left, top, right, bottom = font.getbbox(letter.text)
    side = int(1.6 * max(right - left, bottom - top)) + 8
    image = Image.new("L", (side, side), 0)
    pen = ImageDraw.Draw(image)
    pen.text(
        (side / 2, side / 2),
        letter.text,
        fill=255,
        font=font,
        anchor="mm",
        stroke_width=max(round(size / 28), 0),
        stroke_fill=255,
    )
    if letter.circle:
        pen.ellipse((2, 2, side - 3, side - 3), outline=255, width=max(round(size / 12), 1))
    turned = image.rotate(letter.angle_deg, resample=Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float32) / np.float32(255.0)


def _collimate(shown: Array, decor: Decor, pixel_mm: float, offset_mm: tuple[float, float]) -> Array:
    height, width = shown.shape
    left, top, right, bottom = decor.box_mm
    center_x, center_y = (left + right) / 2, (top + bottom) / 2
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) * pixel_mm + np.float32(offset_mm[0] - center_x)
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * pixel_mm + np.float32(offset_mm[1] - center_y)
    tilt = np.float32(np.tan(np.radians(decor.angle_deg)))
    outside = np.maximum(np.abs(x + tilt * y) - (right - left) / 2, np.abs(y - tilt * x) - (bottom - top) / 2)
    if outside.max() < -decor.edge_mm:
        return shown
    open_field = np.clip(0.5 - outside / decor.edge_mm, 0.0, 1.0).astype(np.float32)
    return open_field * shown + (1.0 - open_field) * _border(decor, shown.shape)


def _border(decor: Decor, shape: tuple[int, int]) -> Array | np.float32:
    if decor.border == "black":
        return np.float32(0.0)
    if decor.border == "white":
        return np.float32(1.0)
    rng = np.random.default_rng(decor.seed)
    coarse = 0.97 + 0.10 * smooth_noise(rng, (24, 24), 5.0)
    step = max(shape[0], shape[1]) / 24.0
    field = upsample(gaussian_filter(coarse, 1.0).astype(np.float32), shape, step)
    return (field + 0.01 * rng.standard_normal(shape, np.float32)).astype(np.float32)
