"""A film as everything after the reading sees it.

Pixels stay the stored integers; `Film.region` is the only way to floats, and makes only the floats that are asked for.
"""

import hashlib
import re
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

from bmd_edge.film.area_average import area_average, looked_up
from bmd_edge.film.shutter import Shutter
from bmd_edge.pixels.half_size import Reduced
from bmd_edge.pixels.layout import Stored


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilmFacts:
    """What a film's header says and its report repeats: results, schema and pages are made from these fields.

    None is unknown.

    warnings: breaches of the standard that do not touch the pixels.
    spacing_mm: pixel size (row, column) in mm at the hip, of the pixels in the file.
    spacing_source: calibrated | imager_ermf | imager_sid_sod | imager_assumed | pixel_spacing_assumed |
        scanned_assumed | given.
    acquisition_date: YYYY-MM-DD, of the acquisition, else of the series or the study.
    patient_pseudonym: a keyed hash of the patient's ID, the same for all films of a patient under one key.
    unit_pseudonym: a keyed hash of what the header says of the X-ray unit, the same for all films of one unit.
    accession_number: by which the archive finds the examination, and with it the patient; read only if asked for.
    pixel_digest: a hash of the stored values, as far as they were decoded: the same in every lossless compression.
    view: "AP". sex: "F" or "M". kvp: tube voltage in kV. exposure_index: of IEC 62494-1.
    """

    warnings: int = 0
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    acquisition_date: str | None = None
    patient_pseudonym: str | None = None
    accession_number: str | None = None
    pixel_digest: str | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    view: str | None = None
    age_years: float | None = None
    sex: str | None = None
    maker: str | None = None
    model: str | None = None
    unit_pseudonym: str | None = None
    kvp: float | None = None
    exposure_index: float | None = None


FACTS = tuple(one.name for one in fields(FilmFacts))

_KEPT_BRIGHT = 5_000_000
"""Pixels up to which a film keeps its levels as floats: its regions ask for many of them several times."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Film(FilmFacts):
    """A radiograph ready to be sampled. Points are (x, y) in stored pixels, the film's corner at (0, 0) (C.18.6).

    stored: read-only integers (rows, columns), the stored pixel values; with `reduced` fewer, low-passed ones.
    lookup, lookup_first: float32 0..1, bone bright; a pixel's value is `lookup[stored - lookup_first]`.
    black, white: the levels below and above which lies a thousandth of the film, 0..1; nothing is lost between them.
    side: "R", "L", "B" or None. body_part: in capitals.
    flags: codes of `errors.FLAGS`.
    shutter: what of the film is no image.
    reduced: how `stored` lies on the pixels of the file; None where it is these.
    """

    film_id: str
    stored: Stored
    lookup: NDArray[np.float32]
    lookup_first: int
    black: float = 0.0
    white: float = 1.0
    spacing_mm: tuple[float, float]
    side: str | None = None
    body_part: str | None = None
    flags: tuple[str, ...] = ()
    shutter: Shutter | None = None
    reduced: Reduced | None = None
    _bright: NDArray[np.float32] | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        few = self.stored.size <= _KEPT_BRIGHT
        object.__setattr__(self, "_bright", looked_up(self.stored, self.lookup, self.lookup_first) if few else None)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the film as it is in the file."""
        rows, columns = self.reduced.shape if self.reduced else self.stored.shape
        return rows, columns

    def inverted(self) -> "Film":
        """The same film with bright and dark exchanged."""
        lookup = np.float32(1) - self.lookup
        lookup.flags.writeable = False
        return replace(self, lookup=lookup)

    def region(
        self, left_px: float, top_px: float, width_px: float, height_px: float, shape: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Sample a box of the film into `shape` (rows, columns) pixels by area averaging.

        Returns float32 0..1, bone bright; NaN where the pixel's box does not touch the film or reaches under the
        display shutter. The box may reach beyond the film and may be upsampled. The values of a reduced film are
        samples of the film, and are read between: as squares they would be its pixels once more averaged.
        """
        box = asked = (left_px, top_px, width_px, height_px)
        if self.reduced:
            step, moved = self.reduced.step, self.reduced.offset_px
            box = ((left_px - moved) / step, (top_px - moved) / step, width_px / step, height_px / step)
        between = self.reduced is not None
        if self._bright is not None:
            sampled = area_average(self._bright, *box, shape, between=between)
        else:
            sampled = area_average(self.stored, *box, shape, (self.lookup, self.lookup_first), between)
        if self.shutter:
            sampled[self.shutter.hides(*asked, shape)] = np.nan
        return sampled

    def masks(self, left_px: float, top_px: float, width_px: float, height_px: float, shape: tuple[int, ...]) -> float:
        """The share of a box, sampled into `shape`, that lies on the film and under its display shutter."""
        if not self.shutter:
            return 0.0
        x = left_px + width_px * (np.arange(shape[1]) + 0.5) / shape[1]
        y = (top_px + height_px * (np.arange(shape[0]) + 0.5) / shape[0])[:, None]
        on_film = (x > 0) & (x < self.shape[1]) & (y > 0) & (y < self.shape[0])
        hidden = self.shutter.hides(left_px, top_px, width_px, height_px, (shape[0], shape[1]))
        return float((on_film & hidden).mean())


_NUMBER = re.compile(r"\d+[de]?\d*")


def pixel_digest(stored: Stored) -> str:
    """Return a name for stored values (rows, columns), whatever their compression: 16 hex digits of their SHA-256."""
    values = np.ascontiguousarray(stored, stored.dtype.newbyteorder("<"))
    digest = hashlib.sha256(repr(stored.shape).encode())
    digest.update(values.data)
    return "px-" + digest.hexdigest()[:16]


def film_id(data: bytes) -> str:
    """Return the name of a film in tables, logs and ledgers, made of the SHA-256 of its bytes; see `short_id`."""
    return short_id(hashlib.sha256(data).hexdigest())


def short_id(digest: str) -> str:
    """The first 16 hex digits in a row of a digest that no spreadsheet or data frame takes for a number.

    One digest in 750 begins with digits alone, or with digits around one e, a power of ten: its zeros in front would
    be lost, or it would be infinite. Some programs take a d as an e.
    """
    return next(name for at in range(48) if not _NUMBER.fullmatch(name := digest[at : at + 16]))


def former_id(name: str) -> str:
    """What stands for a name that an earlier version gave, if it reads as a number; else that name."""
    return film_id(name.encode()) if _NUMBER.fullmatch(name) else name


def same_film(former: str, name: str) -> bool:
    """Whether the film `name` had the name `former` in an earlier version, which took the first digits of any digest.

    `short_id` goes on by a few digits where they read as a number; the others, four at least, are the same.
    """
    return former == name or (former_id(former) != former and any(former[n:] == name[:-n] for n in range(1, 13)))
