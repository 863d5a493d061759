"""What is refused as a film: other kinds of objects, files that are too large, pixels that show nothing."""

import re

import numpy as np
from numpy.typing import NDArray

from bmd_edge.dicom.elements import PIXEL_DATA
from bmd_edge.dicom.header import Header
from bmd_edge.dicom.sop_classes import CR, DX, DX_PROCESSING, SC
from bmd_edge.errors import FilmRefused
from bmd_edge.film.gray import Display
from bmd_edge.pixels.layout import PixelLayout, Stored

MIN_LEVELS = 16
EXPOSURE_SAMPLE = 500_000  # pixels
MAX_SATURATED = 0.97

_DIRECTORY_RECORDS = 0x00041220  # PS3.3 F.3
_RAW_WORDS = frozenset(["RAW", "UNPROCESSED"])
_MODALITIES = ("", "CR", "DX", "DR", "RG", "RF", "OT", "SC")


def check_kind(header: Header) -> None:
    """Refuse what is not one grayscale projection radiograph For Presentation."""
    if _DIRECTORY_RECORDS in header:
        raise FilmRefused("dicom_directory")
    kind = header.uid(0x00080016)
    if kind == DX_PROCESSING or (kind in (CR, DX, SC) and _is_raw(header)):
        raise FilmRefused("not_for_presentation")
    if kind not in (CR, DX, SC):
        raise FilmRefused("not_radiograph" if kind else "broken_dicom", f"SOP class {kind or 'missing'}")
    modality = (header.text(0x00080060) or "").upper()
    if modality not in _MODALITIES:
        raise FilmRefused("not_radiograph", "another modality")
    if PIXEL_DATA not in header:
        # Float and double pixel data (7FE0,0008 and 0009) are no radiograph either
        raise FilmRefused("no_pixels")
    photometric = (header.text(0x00280004) or "").upper()
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or header.integer(0x00280002) not in (1, None):
        raise FilmRefused("not_grayscale" if photometric else "broken_dicom", "photometric interpretation")
    frames = header.decimal(0x00280008)
    if frames == 0:  # PS3.3 C.7.6.6: greater than 0; there are pixels all the same, and their length tells
        header.note()
    elif (frames is not None and frames != 1) or (frames is None and header.value(0x00280008)):
        raise FilmRefused("multi_frame")


def _is_raw(header: Header) -> bool:
    """Whether the header says so: the Presentation Intent (PS3.3 C.8.11.1), which means the same in every class, or
    the maker's words behind the first two of Image Type. Pixels LIN or LOG are allowed in films For Presentation.
    """
    words = re.findall(r"[A-Z]+", " ".join(header.texts(0x00080008)[2:]).upper())
    return (header.text(0x00080068) or "").upper() == "FOR PROCESSING" or not _RAW_WORDS.isdisjoint(words)


def level_counts(stored: Stored, layout: PixelLayout) -> NDArray[np.intp]:
    """How many pixels of a film, or of a sample of it, hold each value of its bits: (2 ** bits,), the least first."""
    step = max(1, int((stored.size / EXPOSURE_SAMPLE) ** 0.5))
    first = -(1 << (layout.bits_stored - 1)) if layout.signed else 0
    sample = np.subtract(stored[::step, ::step], first, dtype=np.intp).ravel()
    return np.bincount(sample, minlength=1 << layout.bits_stored)


def check_exposure(counts: NDArray[np.intp], display: Display) -> None:
    """Refuse a film without an image: nearly all of it black or white, or with only a handful of gray levels."""
    present = np.flatnonzero(counts)
    shown = display.lookup[present]
    inside = (shown > shown.min()) & (shown < shown.max())
    if counts[present[inside]].sum() < (1 - MAX_SATURATED) * counts.sum():
        raise FilmRefused("poor_exposure", "blank or saturated")
    # Levels that make up all but the rarest 2 % of the film
    common = np.sort(counts[present])[::-1].cumsum() <= 0.98 * counts.sum()
    if common.sum() < MIN_LEVELS:
        raise FilmRefused("poor_exposure", "too few gray levels")
