"""DICOM film -> `Film`: stored integers, the table that makes them bone-bright, scale, view, side, patient.

The header is judged before anything is allocated, then the frame is decoded once. Pixels stay the stored integers;
`Film.region` is the only way to floats, and makes only the floats that are asked for.
"""

import hashlib
import io
import os
import stat
from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray

from bmd_edge.codecs import (
    EXPLICIT_BIG_ENDIAN,
    PixelLayout,
    Reduced,
    Stored,
    decode,
    decode_bytes,
    decode_reduced,
    is_encapsulated,
    is_lossy,
    reduced,
)
from bmd_edge.display import Display, read_display
from bmd_edge.doubt import check_shape, check_sign
from bmd_edge.errors import FilmFailed, FilmRefused
from bmd_edge.facts import read_body_part, read_device, read_patient, read_scale, read_side, read_view
from bmd_edge.header import PIXEL_DATA, Header, read_header
from bmd_edge.resample import resample as resample
from bmd_edge.resample import resample_weights as resample_weights

MAX_PIXELS = 100_000_000
MAX_FILE_BYTES = 2 * MAX_PIXELS + (64 << 20)
MIN_LEVELS = 16
EXPOSURE_SAMPLE = 500_000  # pixels
MAX_SATURATED = 0.97

_CR, _DX, _DX_PROCESSING, _SC = (
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.7",
)
_MODALITIES = (None, "CR", "DX", "DR", "RG", "RF", "OT", "SC")


@dataclass(frozen=True, slots=True, eq=False)
class Film:
    """A radiograph ready to be sampled. Points are (x, y) in stored pixels, the film's corner at (0, 0) (C.18.6).

    stored: read-only integers (rows, columns), the stored pixel values; with `reduced` fewer, low-passed ones.
    lookup, lookup_first: float32 0..1, bone bright; a pixel's value is `lookup[stored - lookup_first]`.
    detector_spacing_mm: pixel size (row, column) at the detector, of the pixels in the file.
    magnification: of the hip over its shadow at the detector.
    spacing_source: calibrated | imager_ermf | imager_sid_sod | imager_assumed | pixel_spacing_assumed | given.
    view: "AP" or None. side: "R", "L", "B" or None. Unknown header facts are None.
    flags: codes of `errors.FLAGS`. warnings: breaches of the standard that do not touch the pixels.
    reduced: how `stored` lies on the pixels of the file; None where it is these.
    """

    film_id: str
    stored: Stored
    lookup: NDArray[np.float32]
    lookup_first: int
    detector_spacing_mm: tuple[float, float]
    magnification: float
    spacing_source: str
    view: str | None
    side: str | None
    age_years: float | None
    sex: str | None
    maker: str | None
    model: str | None
    kvp: float | None
    exposure_index: float | None
    body_part: str | None
    sop_instance_uid: str | None
    study_instance_uid: str | None
    flags: tuple[str, ...]
    warnings: int
    reduced: Reduced | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the film as it is in the file."""
        rows, columns = self.reduced.shape if self.reduced else self.stored.shape
        return rows, columns

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size (row, column) in mm at the hip."""
        return self.detector_spacing_mm[0] / self.magnification, self.detector_spacing_mm[1] / self.magnification

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
        return resample(self.stored, *box, shape, self.lookup, self.lookup_first)


def film_id(data: bytes) -> str:
    """Return the name of a film in logs and ledgers: the first 16 hex digits of the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()[:16]


def read_film(
    source: "str | os.PathLike[str] | bytes | pydicom.Dataset",
    *,
    spacing_mm: float | None = None,
    coarsest_mm: float = 0.0,
    most_bytes: int | None = None,
) -> Film:
    """Read one film from a path, the bytes of a DICOM file, or a pydicom data set (read as it would be
    written, and named by those bytes).

    `spacing_mm` is the pixel size at the DETECTOR and overrides the header's; the header's magnification still applies.
    `coarsest_mm` is the pixel size at the hip to which the film may be reduced by 2 or 4: less work for who needs no
    more. Points and boxes remain those of the film as stored. `most_bytes` limits the memory that decoding is reckoned
    to take; more is `FilmFailed("out_of_memory")`, before anything is allocated.
    Raises `FilmRefused` with a code of `errors.REFUSALS`, or `FilmFailed("file_unreadable")`. Safe to call from several
    threads; nothing is printed or logged.
    """
    if spacing_mm is not None and not spacing_mm > 0:
        raise ValueError("spacing_mm must be positive")
    if isinstance(source, pydicom.Dataset):
        data = _written(source)
    else:
        data = source if isinstance(source, bytes) else read_bytes(source)
    try:
        return _film(data, spacing_mm, coarsest_mm, most_bytes)
    except MemoryError as error:
        raise FilmFailed("out_of_memory") from error


def read_bytes(path: "str | os.PathLike[str]") -> bytes:
    """Read a regular file of at most `MAX_FILE_BYTES`; a file that is not DICOM is not read beyond its preamble.

    Raises `FilmRefused`: `not_a_regular_file`, `empty_file`, `not_dicom`, `too_large`; `FilmFailed("file_unreadable")`.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise FilmRefused("not_a_regular_file")
            head = file.read(132)
            if head and head[128:] != b"DICM":
                raise FilmRefused("not_dicom")
            if status.st_size > MAX_FILE_BYTES:
                raise FilmRefused("too_large", f"a file of {status.st_size >> 20} MB")
            file.seek(0)
            return file.read(MAX_FILE_BYTES)
    except IsADirectoryError as error:
        raise FilmRefused("not_a_regular_file") from error
    except OSError as error:
        # errno only: the message of an OSError holds the path, and a path may hold a name
        raise FilmFailed("file_unreadable", f"errno {error.errno}") from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would block for ever


def _written(dataset: pydicom.Dataset) -> bytes:
    buffer = io.BytesIO()
    try:
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    except Exception as error:
        raise FilmRefused("broken_dicom", f"the data set cannot be written: {type(error).__name__}") from error
    return buffer.getvalue()


def _film(data: bytes, given_mm: float | None, coarsest_mm: float, most_bytes: int | None) -> Film:
    """Judge the header, then decode: the order of the checks is the order in which the codes win."""
    header, body = read_header(data)
    _check_kind(header)
    layout = _layout(header)
    encapsulated = is_encapsulated(header.transfer_syntax)
    body_part = read_body_part(header)
    view, view_flags = read_view(header)
    patient = read_patient(header)
    side, side_flags = read_side(header)
    scale = read_scale(header, (layout.rows, layout.columns), given_mm)
    largest_mm = max(scale.detector_spacing_mm) / scale.magnification
    step = next((step for step in (4, 2) if step * largest_mm <= coarsest_mm), 1)
    needed = decode_bytes(header.transfer_syntax, layout, len(body), step)
    if most_bytes is not None and needed > most_bytes:
        raise FilmFailed("out_of_memory", f"{needed >> 20} MB needed")
    pixel_data = _frame_bytes(header, body, encapsulated)
    stored, how = _pixels(header.transfer_syntax, pixel_data, layout, step)
    display = read_display(header, layout.bits_stored, layout.signed)
    _check_exposure(stored, display)
    stored.flags.writeable = False
    device = read_device(header)
    lossy = is_lossy(header.transfer_syntax) or header.text(0x00282110) == "01"
    flags = [*scale.flags, *view_flags, *side_flags, *display.flags]
    flags += [
        flag
        for flag, hit in (
            ("lossy_compression", lossy),
            ("trailing_data", header.trailing),
            ("header_irregular", header.irregular > 0),
        )
        if hit
    ]
    return Film(
        film_id=film_id(data),
        stored=stored,
        lookup=display.lookup,
        lookup_first=display.first,
        detector_spacing_mm=scale.detector_spacing_mm,
        magnification=scale.magnification,
        spacing_source=scale.source,
        view=view,
        side=side,
        age_years=patient.age_years,
        sex=patient.sex,
        maker=device.maker,
        model=device.model,
        kvp=device.kvp,
        exposure_index=device.exposure_index,
        body_part=body_part,
        sop_instance_uid=header.uid(0x00080018),
        study_instance_uid=header.uid(0x0020000D),
        flags=tuple(flags),
        warnings=header.irregular,
        reduced=how,
    )


def _check_kind(header: Header) -> None:
    """Refuse what is not one grayscale projection radiograph For Presentation."""
    kind = header.uid(0x00080016)
    if kind == _DX_PROCESSING or (kind == _DX and header.text(0x00080068) == "FOR PROCESSING"):
        raise FilmRefused("not_for_presentation")
    if kind not in (_CR, _DX, _SC):
        raise FilmRefused("not_radiograph" if kind else "broken_dicom", f"SOP class {kind or 'missing'}")
    modality = header.text(0x00080060)
    if modality not in _MODALITIES:
        raise FilmRefused("not_radiograph", "another modality")
    if PIXEL_DATA not in header:
        # Float and double pixel data (7FE0,0008 and 0009) are no radiograph either
        raise FilmRefused("no_pixels")
    photometric = header.text(0x00280004)
    if photometric not in ("MONOCHROME1", "MONOCHROME2") or header.integer(0x00280002) not in (1, None):
        raise FilmRefused("not_grayscale" if photometric else "broken_dicom", "photometric interpretation")
    frames = header.decimal(0x00280008)
    if (frames is not None and frames != 1) or (frames is None and header.value(0x00280008)):
        raise FilmRefused("multi_frame")


def _layout(header: Header) -> PixelLayout:
    """Read and judge the size and depth of the pixels (PS3.3 C.7.6.3)."""
    rows, columns = header.integer(0x00280010), header.integer(0x00280011)
    allocated, stored = header.integer(0x00280100), header.integer(0x00280101)
    if rows is None or columns is None or allocated is None or stored is None:
        raise FilmRefused("broken_dicom", "no image size or depth")
    if rows * columns > MAX_PIXELS:
        raise FilmRefused("too_large", f"{columns} x {rows} pixels")
    high = header.integer(0x00280102)
    signed = header.integer(0x00280103)
    if signed is None:
        header.note()
    elif signed > 1:
        raise FilmRefused("inconsistent_pixels", f"PixelRepresentation {signed}")
    pixel_data = header.element(PIXEL_DATA)
    big_words = header.transfer_syntax == EXPLICIT_BIG_ENDIAN and pixel_data is not None and pixel_data.vr == "OW"
    return PixelLayout(
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high is None else high,
        signed=bool(signed),
        # Overlay planes inside the pixels name the bit they lie in (retired: PS3.3-2004 C.9.2)
        overlay_bits=any((header.integer(0x60000102 + (n << 17)) or 0) > 0 for n in range(16)),
        swapped_words=big_words and allocated == 8,
    )


def _frame_bytes(header: Header, body: bytes | bytearray, encapsulated: bool) -> bytes | memoryview:
    """Return the bytes of the one frame, the fragments joined (PS3.5 A.4)."""
    element = header.element(PIXEL_DATA)
    assert element is not None
    if encapsulated != (element.fragments is not None):
        raise FilmRefused("broken_dicom", "pixel data and transfer syntax disagree on encapsulation")
    if element.fragments is None:
        return header.value(PIXEL_DATA)
    starts = [body[start : start + 4] for start, _ in element.fragments]
    if not starts:
        raise FilmRefused("pixel_length", "no fragments")
    if any(start[:3] == b"\xff\xd8\xff" or start == b"\xff\x4f\xff\x51" for start in starts[1:]):
        raise FilmRefused("multi_frame", "several codestreams")
    return b"".join(body[start:end] for start, end in element.fragments)


def _pixels(syntax: str, data: bytes | memoryview, layout: PixelLayout, step: int) -> tuple[Stored, Reduced | None]:
    """Decode the frame, reduced by `step` or less."""
    found = decode_reduced(syntax, data, layout, step) if step > 1 else None
    if found is not None:
        check_sign(found[0], layout.bits_stored)
        return found
    stored = decode(syntax, data, layout)
    check_shape(stored)
    check_sign(stored, layout.bits_stored)
    return reduced(stored, step, layout.bits_stored) if step > 1 else (stored, None)


def _check_exposure(stored: Stored, display: Display) -> None:
    """Refuse a film without an image: nearly all of it black or white, or with only a handful of gray levels."""
    step = max(1, int((stored.size / EXPOSURE_SAMPLE) ** 0.5))
    sample = np.subtract(stored[::step, ::step], display.first, dtype=np.intp).ravel()
    counts = np.bincount(sample, minlength=len(display.lookup))
    present = np.flatnonzero(counts)
    shown = display.lookup[present]
    inside = (shown > shown.min()) & (shown < shown.max())
    if counts[present[inside]].sum() < (1 - MAX_SATURATED) * sample.size:
        raise FilmRefused("poor_exposure", "blank or saturated")
    # Levels that make up all but the rarest 2 % of the film
    common = np.sort(counts[present])[::-1].cumsum() <= 0.98 * sample.size
    if common.sum() < MIN_LEVELS:
        raise FilmRefused("poor_exposure", "too few gray levels")
