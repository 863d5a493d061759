"""A film as everything after the reading sees it.

Pixels stay the stored integers; `Film.region` is the only way to floats, and makes only the floats that are asked for.
"""

import hashlib
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from bmd_edge.film.area_average import area_average
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
    pixel_digest: a hash of the stored values, as far as they were decoded: the same in every lossless compression.
    view: "AP". sex: "F" or "M". kvp: tube voltage in kV. exposure_index: of IEC 62494-1.
    """

    warnings: int = 0
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    acquisition_date: str | None = None
    patient_pseudonym: str | None = None
    pixel_digest: str | None = None
    spacing_mm: tuple[float, float] | None = None
    spacing_source: str | None = None
    view: str | None = None
    age_years: float | None = None
    sex: str | None = None
    maker: str | None = None
    model: str | None = None
    kvp: float | None = None
    exposure_index: float | None = None


FACTS = tuple(field.name for field in fields(FilmFacts))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Film(FilmFacts):
    """A radiograph ready to be sampled. Points are (x, y) in stored pixels, the film's corner at (0, 0) (C.18.6).

    stored: read-only integers (rows, columns), the stored pixel values; with `reduced` fewer, low-passed ones.
    lookup, lookup_first: float32 0..1, bone bright; a pixel's value is `lookup[stored - lookup_first]`.
    side: "R", "L", "B" or None. body_part: in capitals.
    flags: codes of `errors.FLAGS`.
    reduced: how `stored` lies on the pixels of the file; None where it is these.
    """

    film_id: str
    stored: Stored
    lookup: NDArray[np.float32]
    lookup_first: int
    spacing_mm: tuple[float, float]
    side: str | None = None
    body_part: str | None = None
    flags: tuple[str, ...] = ()
    reduced: Reduced | None = None

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

        Returns float32 0..1, bone bright; NaN where the pixel's box does not touch the film. The box may reach beyond
        the film and may be upsampled.
        """
        box = (left_px, top_px, width_px, height_px)
        if self.reduced:
            step, moved = self.reduced.step, self.reduced.offset_px
            box = ((left_px - moved) / step, (top_px - moved) / step, width_px / step, height_px / step)
        return area_average(self.stored, *box, shape, self.lookup, self.lookup_first)


def pixel_digest(stored: Stored) -> str:
    """Return a name for stored values (rows, columns), whatever their compression: 16 hex digits of their SHA-256."""
    values = np.ascontiguousarray(stored.astype("<i4"))
    return "px-" + hashlib.sha256(repr(stored.shape).encode() + values.tobytes()).hexdigest()[:16]


def film_id(data: bytes) -> str:
    """Return the name of a film in logs and ledgers: the first 16 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:16]
