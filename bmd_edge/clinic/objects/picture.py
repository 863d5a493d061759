"""The picture of a result: the film with its landmarks at the left, what is said of it at the right, a red bar above.

A radiologist's viewer shows no more than this picture, so it says everything by itself.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from bmd_edge.clinic.objects.panel import BAR, NOT_DRAWN, Line, cautions, footer, results
from bmd_edge.clinic.objects.said import Occasion
from bmd_edge.report.film_report import FilmReport, HipReport

WIDTH_PX, HEIGHT_PX = 1600, 1080
FILM_PX = 940, 1016
"""Width and height of the place for the film."""
GROUND = "#101010"
"""What lies around the film and under the words."""
LEAST_TEXT_PX = 22
"""2 % of the height: smaller text cannot be read in a viewer."""
SIDE_PX = 80
"""Capitals of 5 % of the height."""
_TEXT_PX = 28
_BAR_PX = HEIGHT_PX - FILM_PX[1]
_PANEL = FILM_PX[0] + 24, _BAR_PX + 16, WIDTH_PX - 20, HEIGHT_PX - 12  # left, top, right, bottom
_STYLES = {  # size in units of the text, color, space above in units of the text
    "headline": (1.25, "#ffffff", 0.2),
    "refusal": (1.0, "#ffb454", 0.2),
    "hip": (1.1, "#8fd0ff", 0.7),
    "number": (1.3, "#ffffff", 0.3),
    "text": (1.0, "#d8d8d8", 0.1),
    "caution": (1.0, "#ffe04a", 0.3),
}
_LEADING = 1.2
MARK = "#ffe04a"
"""Region, landmarks and side."""


class FilmPicture(NamedTuple):
    """A whole film: `gray` (rows, columns) uint8, bone bright, at most `FILM_PX`; its own `rows` and `columns`."""

    gray: NDArray[np.uint8]
    rows: int
    columns: int


def result_picture(report: FilmReport, occasion: Occasion, film: FilmPicture | None) -> NDArray[np.uint8]:
    """Draw the result of a film.

    Args:
        report: what is said.
        occasion: by whom and under which approval.
        film: the whole film; None where it could not be decoded.

    Returns:
        (1080, 1600, 3) uint8 RGB. No name or number of a patient stands in it.
    """
    image = Image.new("RGB", (WIDTH_PX, HEIGHT_PX), GROUND)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, WIDTH_PX, _BAR_PX), fill="#b00020")
    draw.text((WIDTH_PX / 2, _BAR_PX / 2), BAR, font=_font(44), fill="white", anchor="mm")
    if film is None:
        middle = FILM_PX[0] / 2, _BAR_PX + FILM_PX[1] / 2
        draw.text(middle, "No picture: the film was not decoded.", font=_font(_TEXT_PX), fill="#d8d8d8", anchor="mm")
    else:
        shown = marked_film(report, film)
        image.paste(shown, ((FILM_PX[0] - shown.width) // 2, _BAR_PX + (FILM_PX[1] - shown.height) // 2))
    _write(draw, report, occasion)
    return np.asarray(image)


def _font(size_px: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(max(size_px, LEAST_TEXT_PX))
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


# -- the film -----------------------------------------------------------------------------------------------------


def marked_film(report: FilmReport, film: FilmPicture) -> Image.Image:
    """The film in color, with the region, the landmarks and the side of each hip."""
    shown = Image.fromarray(film.gray).convert("RGB")
    draw = ImageDraw.Draw(shown)
    for hip in report.hips:
        _draw_hip(draw, hip, shown.width / film.columns, shown.height / film.rows)
    return shown


def _draw_hip(draw: ImageDraw.ImageDraw, hip: HipReport, across: float, down: float) -> None:
    """Region, landmarks and side; `across` and `down` are pixels of the picture for each of the film."""
    if hip.box_px:
        left, top, width, height = hip.box_px
        corners = left * across, top * down, (left + width) * across, (top + height) * down
        draw.rectangle(corners, outline=MARK, width=2)
    points = [(x * across, y * down) for x, y in hip.landmarks_px.values()]
    for x, y in points:
        draw.ellipse((x - 8, y - 8, x + 8, y + 8), fill="black")
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=MARK)
    if points:
        x, y = points[0][0], min(y for _, y in points) - SIDE_PX
        x = min(max(x, SIDE_PX), draw.im.size[0] - SIDE_PX)
        place = x, max(y, SIDE_PX)
        draw.text(
            place, hip.side or "?", font=_font(SIDE_PX), fill=MARK, anchor="mm", stroke_width=4, stroke_fill="black"
        )


# -- the words ----------------------------------------------------------------------------------------------------


def _write(draw: ImageDraw.ImageDraw, report: FilmReport, occasion: Occasion) -> None:
    """Write what must stand there, in the largest size that fits, and between it as many cautions as have room."""
    above, below, between = map(_drawn, (results(report), footer(report, occasion), cautions(report)))
    height = _PANEL[3] - _PANEL[1]
    size = next((px for px in range(_TEXT_PX, LEAST_TEXT_PX, -1) if _height(above + below, px) < height), LEAST_TEXT_PX)
    kept = between
    while kept and _height(above + _some(kept, between) + below, size) > height:
        kept = kept[:-1]
    _put(draw, above + _some(kept, between), _PANEL[1], size)
    _put(draw, below, _PANEL[3] - _height(below, size), size)


def _drawn(lines: list[Line]) -> list[Line]:
    """The lines, those left out that have a letter the font has not: a box in its place would say nothing."""
    written = (all(map(_has, "".join(line.text.split()))) for line in lines)
    return [line if has else line._replace(text=NOT_DRAWN) for line, has in zip(lines, written, strict=True)]


@cache
def _has(letter: str) -> bool:
    """Whether the font has a letter; what it has not looks as U+10FFFF does, which is no character."""
    missing, drawn = (_font(_TEXT_PX).getmask(one) for one in ("\U0010ffff", letter))
    return (drawn.size, bytes(drawn)) != (missing.size, bytes(missing))


def _some(kept: list[Line], all_of_them: list[Line]) -> list[Line]:
    left = len(all_of_them) - len(kept)
    return (
        [*kept, Line("caution", f"{left} more {'caution' if left == 1 else 'cautions'}: see the report.")]
        if left
        else kept
    )


def _put(draw: ImageDraw.ImageDraw, lines: list[Line], top: float, size: int) -> None:
    for kind, row, height, gap in _rows(lines, size):
        scale, color, _ = _STYLES[kind]
        draw.text((_PANEL[0], top + gap), row, font=_font(scale * size), fill=color)
        top += height


def _height(lines: list[Line], size: int) -> float:
    return sum(height for _, _, height, _ in _rows(lines, size))


def _rows(lines: list[Line], size: int) -> Iterator[tuple[str, str, float, float]]:
    """Lines broken to the panel's width: kind, text, height with the space above, and that space."""
    for kind, text in lines:
        scale, _, space = _STYLES[kind]
        font, gap = _font(scale * size), space * size
        for row in _broken(text, font):
            yield kind, row, gap + _LEADING * font.size, gap
            gap = 0.0


def _broken(text: str, font: ImageFont.FreeTypeFont) -> Iterator[str]:
    row = ""
    for word in text.split():
        longer = f"{row} {word}".strip()
        if row and font.getlength(longer) > _PANEL[2] - _PANEL[0]:
            yield row
            longer = word
        row = longer
    yield row
