"""What the room and the workstation add to a film: lead letters, burnt-in text and labels, rulers, collimation and
padding with black, white, gray or raw borders.

Positions are mm on the detector from the film's top-left corner, so a window of a film shows the same things in the
same place.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from trainer.phantom.shapes.coarse_grid import smooth_noise, upsample

Array = NDArray[np.float32]

BORDERS = ("none", "black", "white", "raw", "gray")
LABELS = ("R", "L", "AP", "HIP AP", "PELVIS", "SUPINE", "1/1", "KV 75 mAs 20", "PORTABLE", "12:41", "Z 0.42", "X-RAY 2")
NECK_MM = 92.0
"""Height of the part of a kept box that labels never cover: from its head to below its lesser trochanter."""

Box = tuple[float, float, float, float]


_font = lru_cache(maxsize=64)(ImageFont.load_default)


@dataclass(frozen=True, slots=True)
class Letter:
    """A lead letter or text: where (mm), how tall (mm), turned by degrees, in a circle or not, how bright (1 =
    white); `plate`: brightness of a filled box behind it, or None.
    """

    text: str
    at_mm: tuple[float, float]
    height_mm: float
    angle_deg: float
    circle: bool
    level: float
    plate: float | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """An open field: box (left, top, right, bottom) in mm, turned by degrees, soft edge in mm, and how it looks outside
    (one of BORDERS; `level` is the value of gray).
    """

    box_mm: Box
    angle_deg: float
    edge_mm: float
    border: str
    seed: int
    level: float = 0.5


@dataclass(frozen=True, slots=True)
class Ruler:
    """A scale of ticks 10 mm apart: upper or left end (mm), length (mm), lying or standing, how bright."""

    at_mm: tuple[float, float]
    length_mm: float
    lying: bool
    level: float


@dataclass(frozen=True, slots=True)
class Decor:
    """What is drawn, in this order: lead letters, open fields (collimation, then padding), rulers, burnt-in labels."""

    letters: tuple[Letter, ...]
    fields: tuple[Field, ...]
    rulers: tuple[Ruler, ...] = ()
    labels: tuple[Letter, ...] = ()


def draw_decor(
    rng: np.random.Generator,
    size_mm: tuple[float, float],
    letter: str | None,
    letter_side: str,
    keep_mm: Box | None,
    busy: bool,
    wide: bool = False,
) -> Decor:
    """Random decoration of a film of `size_mm` (height, width); the field keeps the box `keep_mm` open. `busy`:
    finder films. `wide`: edges near the bone, padding, rulers and labels besides.
    """
    height, width = size_mm
    letters: list[Letter] = []
    if letter is not None and rng.random() < 0.85:
        letters.append(_letter(rng, size_mm, letter, letter_side))
    if busy and rng.random() < 0.25:
        word = str(rng.choice(["AP", "HIP", "PELVIS", "SUPINE", "KV 75", "JR", "3", "12:41", "ERECT", "PORTABLE"]))
        letters.append(_letter(rng, size_mm, word, str(rng.choice(["left", "right"]))))
    border = str(rng.choice(BORDERS[:4], p=(0.35, 0.35, 0.12, 0.18)))
    inset = np.abs(rng.normal(0.0, 0.06, 4)) * [width, height, width, height] * (1.6 if busy else 1.0)
    box = np.array([inset[0], inset[1], width - inset[2], height - inset[3]])
    if keep_mm is not None:
        keep = np.asarray(keep_mm)
        box = np.concatenate([np.minimum(box[:2], keep[:2]), np.maximum(box[2:], keep[2:])])
    angle = float(rng.normal(0.0, 0.8)) if rng.random() < 0.4 else 0.0
    left, top, right, bottom = (float(v) for v in box)
    edge, seed = float(rng.uniform(0.2, 1.5)), int(rng.integers(2**31))
    if wide:
        return _wide_decor(rng, size_mm, keep_mm, tuple(letters))
    return Decor(tuple(letters), (Field((left, top, right, bottom), angle, edge, border, seed),))


def _wide_decor(
    rng: np.random.Generator, size_mm: tuple[float, float], keep_mm: Box | None, letters: tuple[Letter, ...]
) -> Decor:
    """Collimation that may come near the bone on any side, padding, rulers, and labels anywhere but on a neck."""
    height, width = size_mm
    keep = keep_mm if keep_mm is not None else (0.3 * width, 0.3 * height, 0.7 * width, 0.7 * height)
    fields = [_near_field(rng, size_mm, keep)] if rng.random() < 0.6 else []
    if rng.random() < 0.2:
        pad = rng.uniform(0.0, 0.12, 4) * [width, height, width, height] * (rng.random(4) < 0.5)
        box = np.array([pad[0], pad[1], width - pad[2], height - pad[3]])
        box = np.concatenate([np.minimum(box[:2], keep[:2]), np.maximum(box[2:], keep[2:])])
        fields.append(_field(rng, box, 0.0, 0.1))
    rulers = [_ruler(rng, size_mm, keep) for _ in range(int(rng.random() < 0.12))]
    labels = [_label(rng, size_mm, keep) for _ in range(rng.choice([0, 1, 2, 3], p=(0.55, 0.25, 0.12, 0.08)))]
    return Decor(letters, tuple(fields), tuple(rulers), tuple(label for label in labels if label is not None))


def _field(rng: np.random.Generator, box: NDArray[np.float64], angle_deg: float, edge_mm: float) -> Field:
    left, top, right, bottom = (float(v) for v in box)
    border = str(rng.choice(BORDERS, p=(0.0, 0.45, 0.2, 0.2, 0.15)))
    level = float(rng.uniform(0.0, 1.0))
    return Field((left, top, right, bottom), angle_deg, edge_mm, border, int(rng.integers(2**31)), level)


def _near_field(rng: np.random.Generator, size_mm: tuple[float, float], keep: Box) -> Field:
    """Every side either lies 5 to 30 mm outside the bone, or anywhere farther out; `keep` ends some 7 mm outside it."""
    height, width = size_mm
    angle = float(rng.normal(0.0, 2.0)) if rng.random() < 0.5 else 0.0
    edge_mm = float(np.exp(rng.uniform(np.log(0.1), np.log(8.0))))
    lean = 0.5 * edge_mm + 0.5 * abs(np.tan(np.radians(angle))) * np.array([keep[3] - keep[1], keep[2] - keep[0]] * 2)
    near = rng.random(4) < 0.45
    room = np.maximum([keep[0], keep[1], width - keep[2], height - keep[3]], 0.0)
    out = np.where(near, rng.uniform(-1.0, 23.0, 4), rng.uniform(0.2, 1.2, 4) * room) + lean
    box = np.array([keep[0] - out[0], keep[1] - out[1], keep[2] + out[2], keep[3] + out[3]])
    return _field(rng, box, angle, edge_mm)


def _label(rng: np.random.Generator, size_mm: tuple[float, float], keep: Box) -> Letter | None:
    """Burnt-in text, mostly on a filled box, over the hip's surroundings as often as at the film's edge."""
    text = str(rng.choice(LABELS))
    tall = float(np.exp(rng.uniform(np.log(4.0), np.log(20.0))))
    reach = 0.5 * (0.75 * len(text) + 0.8) * tall
    turned = rng.random() < 0.15
    across, down = (0.9 * tall, reach) if turned else (reach, 0.9 * tall)
    core = (keep[0] + 15.0, keep[1] + 15.0, keep[2] - 15.0, min(keep[3], keep[1] + 29.0 + NECK_MM))
    for _ in range(8):
        if rng.random() < 0.6:
            x, y = rng.uniform(keep[0] - 45.0, keep[2] + 45.0), rng.uniform(keep[1] - 45.0, keep[3] + 45.0)
        else:
            x, y = rng.uniform(0.0, size_mm[1]), rng.uniform(0.0, size_mm[0])
        clear_x = x + across < core[0] or x - across > core[2]
        if clear_x or y + down < core[1] or y - down > core[3]:
            plate = float(rng.choice([0.0, 1.0, rng.uniform(0.0, 1.0)])) if rng.random() < 0.7 else None
            level = float(rng.uniform(0.8, 1.05)) if plate is None or plate < 0.5 else float(rng.uniform(0.0, 0.15))
            angle = 90.0 if turned else float(rng.choice([0.0, rng.normal(0.0, 4.0)]))
            return Letter(text, (float(x), float(y)), tall, angle, False, level, plate)
    return None


def _ruler(rng: np.random.Generator, size_mm: tuple[float, float], keep: Box) -> Ruler:
    """Beside the kept box or below its neck, standing or lying."""
    height, width = size_mm
    length, level = float(rng.uniform(50.0, 300.0)), float(rng.choice([0.0, 1.0, 1.0]))
    if rng.random() < 0.3:
        y = max(keep[3] - rng.uniform(0.0, 25.0), keep[1] + 40.0 + NECK_MM)
        return Ruler((float(rng.uniform(0.0, 0.5) * width), float(y)), length, True, level)
    left = rng.random() < 0.5
    x = max(rng.uniform(keep[0] - 40.0, keep[0] + 8.0), 0.0) if left else rng.uniform(keep[2] - 8.0, keep[2] + 40.0)
    return Ruler((float(x), float(rng.uniform(0.0, 0.5) * height)), length, False, level)


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
    for field in decor.fields:
        if field.border != "none":
            shown = _collimate(shown, field, pixel_mm, offset_mm)
    for ruler in decor.rulers:
        _draw_ruler(shown, ruler, pixel_mm, offset_mm)
    for label in decor.labels:
        _stamp(shown, label, pixel_mm, offset_mm)
    return shown


def _stamp(shown: Array, letter: Letter, pixel_mm: float, offset_mm: tuple[float, float]) -> None:
    reach = (0.8 * len(letter.text) + 2.0) * max(letter.height_mm, 6.0 * pixel_mm)  # spares drawing it far outside
    middle = np.array(letter.at_mm) - offset_mm
    if np.any(middle < -reach) or np.any(middle > np.array(shown.shape[::-1]) * pixel_mm + reach):
        return
    ink, plate = _glyph(letter, pixel_mm)
    x = round((letter.at_mm[0] - offset_mm[0]) / pixel_mm) - ink.shape[1] // 2
    y = round((letter.at_mm[1] - offset_mm[1]) / pixel_mm) - ink.shape[0] // 2
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + ink.shape[0], shown.shape[0]), min(x + ink.shape[1], shown.shape[1])
    if top >= bottom or left >= right:
        return
    inner, area = (slice(top - y, bottom - y), slice(left - x, right - x)), shown[top:bottom, left:right]
    level = np.float32(letter.level)
    if plate is None or letter.plate is None:
        area += ink[inner] * (np.maximum(level, area) - area)
    else:
        area += plate[inner] * (np.float32(letter.plate) - area)
        area += ink[inner] * (level - area)


def _glyph(letter: Letter, pixel_mm: float) -> tuple[Array, Array | None]:
    """Cover (0..1) of the ink, and of the box behind it if it has one."""
    size = max(letter.height_mm / pixel_mm, 6.0)
    font = _font(size)
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
    if letter.plate is None:
        return _turned(image, letter.angle_deg), None
    box = Image.new("L", (side, side), 0)
    across, down = 0.5 * (right - left) + 0.3 * size, 0.7 * size
    ImageDraw.Draw(box).rectangle((side / 2 - across, side / 2 - down, side / 2 + across, side / 2 + down), fill=255)
    return _turned(image, letter.angle_deg), _turned(box, letter.angle_deg)


def _turned(image: Image.Image, degrees: float) -> Array:
    turned = image.rotate(degrees, resample=Image.Resampling.BILINEAR)
    return np.asarray(turned, np.float32) / np.float32(255.0)


def _draw_ruler(shown: Array, ruler: Ruler, pixel_mm: float, offset_mm: tuple[float, float]) -> None:
    """A spine and ticks, every fifth one longer, half a millimeter or a pixel thick."""
    image = shown.T if ruler.lying else shown
    order = (1, 0) if ruler.lying else (0, 1)
    x, y = (ruler.at_mm[k] - offset_mm[k] for k in order)
    thick = max(0.5, pixel_mm)

    def bar(left: float, top: float, right: float, bottom: float) -> None:
        rows, cols = (
            slice(max(round(a / pixel_mm), 0), max(round(b / pixel_mm), 0)) for a, b in ((top, bottom), (left, right))
        )
        image[rows, cols] = np.float32(ruler.level)

    bar(x, y, x + thick, y + ruler.length_mm)
    for k in range(int(ruler.length_mm / 10.0) + 1):
        bar(x, y + 10.0 * k, x + (8.0 if k % 5 == 0 else 4.0), y + 10.0 * k + thick)


def _collimate(shown: Array, field: Field, pixel_mm: float, offset_mm: tuple[float, float]) -> Array:
    height, width = shown.shape
    left, top, right, bottom = field.box_mm
    center_x, center_y = (left + right) / 2, (top + bottom) / 2
    x = (np.arange(width, dtype=np.float32)[None, :] + 0.5) * pixel_mm + np.float32(offset_mm[0] - center_x)
    y = (np.arange(height, dtype=np.float32)[:, None] + 0.5) * pixel_mm + np.float32(offset_mm[1] - center_y)
    tilt = np.float32(np.tan(np.radians(field.angle_deg)))
    outside = np.maximum(np.abs(x + tilt * y) - (right - left) / 2, np.abs(y - tilt * x) - (bottom - top) / 2)
    if outside.max() < -field.edge_mm:
        return shown
    open_field = np.clip(0.5 - outside / field.edge_mm, 0.0, 1.0).astype(np.float32)
    return open_field * shown + (1.0 - open_field) * _border(field, shown.shape)


def _border(field: Field, shape: tuple[int, int]) -> Array | np.float32:
    if field.border == "black":
        return np.float32(0.0)
    if field.border == "white":
        return np.float32(1.0)
    if field.border == "gray":
        return np.float32(field.level)
    rng = np.random.default_rng(field.seed)
    coarse = 0.97 + 0.10 * smooth_noise(rng, (24, 24), 5.0)
    step = max(shape[0], shape[1]) / 24.0
    scattered = upsample(gaussian_filter(coarse, 1.0).astype(np.float32), shape, step)
    return (scattered + 0.01 * rng.standard_normal(shape, np.float32)).astype(np.float32)
