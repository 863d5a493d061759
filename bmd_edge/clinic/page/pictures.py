"""What the page takes from the finished picture of a result: the film with its landmarks made small, and whose it is.

Pictures are the box's own objects, which never change once they are made: what was taken from one is kept.
"""

import errno
import io
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageChops, ImageFilter

from bmd_edge.clinic.objects.picture import FILM_PX, GROUND, HEIGHT_PX, MARK, WIDTH_PX
from bmd_edge.dicom.header import Header, read_header
from bmd_edge.errors import FilmRefused
from bmd_edge.report.safe_text import visible

SMALL_PX = 320
"""Long side of a small picture; text that a unit has burned into a film cannot be read in it."""


_ACCESSION, _NAME, _BURNED_IN, _PIXELS = 0x00080050, 0x00100010, 0x00280301, 0x7FE00010
_COLORED = 60
"""Red less blue of a mark; of a film, which is gray, 0."""
_MOST_TEXT = 100
"""Letters of a name or number that are shown: a header may have thousands."""


class Identity(NamedTuple):
    """Accession number and name as the film has them, "" where it has none; whether its pixels name the patient."""

    accession: str
    name: str
    burned_in: bool


@lru_cache(4000)
def identity_of(picture: Path) -> Identity:
    """Whose a picture is; OSError where its file is not there or damaged."""
    header = _header(picture)
    name = " ".join(_text(header, _NAME).replace("^", " ").split())
    return Identity(_shown(_text(header, _ACCESSION)), _shown(name), _text(header, _BURNED_IN) == "YES")


def _shown(text: str) -> str:
    return visible(text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…")


def _header(picture: Path) -> Header:
    try:
        return read_header(picture.read_bytes())[0]
    except FilmRefused:
        raise _damaged(picture) from None


def _damaged(picture: Path) -> OSError:
    """One picture that the disk has lost must not take the page of all films with it."""
    return OSError(errno.EIO, "is not the picture that was made", picture.name)


def _text(header: Header, tag: int) -> str:
    """A value as it stands, which the box writes in UTF-8 (ISO_IR 192); pydicom warns, and logs, of odd ones."""
    return bytes(header.value(tag)).decode("utf-8", "replace").strip(" \0")


@lru_cache(1000)
def small_film(picture: Path) -> bytes:
    """The film of a picture with its landmarks, at most 320 px, as JPEG; OSError where the file is gone or damaged."""
    pixels = bytes(_header(picture).value(_PIXELS))
    if len(pixels) != WIDTH_PX * HEIGHT_PX * 3:
        raise _damaged(picture)
    whole = Image.frombytes("RGB", (WIDTH_PX, HEIGHT_PX), pixels)
    place = whole.crop((0, HEIGHT_PX - FILM_PX[1] + 1, FILM_PX[0], HEIGHT_PX))  # of its first row the bar has a part
    around = Image.new("RGB", place.size, GROUND)
    film = place.crop(ImageChops.difference(place, around).getbbox() or (0, 0, *place.size))
    file = io.BytesIO()
    _smaller(film).save(file, "JPEG", quality=85)
    return file.getvalue()


def _smaller(film: Image.Image) -> Image.Image:
    """At most 320 px; the marks, which are drawn for the large picture, stay as wide, with black around them."""
    red, _, blue = film.split()
    marks = ImageChops.subtract(red, blue).point(lambda level: 255 * (level > _COLORED))  # a film is gray
    film.thumbnail((SMALL_PX, SMALL_PX), Image.Resampling.LANCZOS)
    marks = marks.resize(film.size, Image.Resampling.BOX).point(lambda part: 255 * (part > _COLORED))
    for color, width in (("black", 5), (MARK, 3)):
        film = Image.composite(Image.new("RGB", film.size, color), film, marks.filter(ImageFilter.MaxFilter(width)))
    return film
