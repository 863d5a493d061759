"""DICOM film -> `Film`: stored integers, the table that makes them bone-bright, scale, view, side, patient.

The header is judged before anything is allocated, then the frame is decoded once.
"""

import io
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bmd_edge.dicom.frame import frame_bytes, read_layout
from bmd_edge.dicom.header import Header, read_header
from bmd_edge.errors import FilmFailed, FilmRefused
from bmd_edge.film.acceptance import check_exposure, check_kind
from bmd_edge.film.film import Film, film_id, pixel_digest
from bmd_edge.film.gray import read_display
from bmd_edge.film.limits import MAX_FILE_BYTES, MAX_PIXELS
from bmd_edge.film.patient_and_device import read_device, read_patient
from bmd_edge.film.provenance import read_provenance
from bmd_edge.film.scale import GivenSpacing, read_scale
from bmd_edge.film.view_and_side import read_body_part, read_side, read_view
from bmd_edge.pixels.decode import decode, decode_bytes, decode_reduced
from bmd_edge.pixels.half_size import Reduced, reduced
from bmd_edge.pixels.layout import PixelLayout, Stored
from bmd_edge.pixels.misread import check_shape, check_sign
from bmd_edge.pixels.transfer_syntaxes import is_lossy, transfer_syntax
from bmd_edge.system.files import NotRegular, TooLarge, read_file

if TYPE_CHECKING:
    from pydicom import Dataset


def read_film(
    source: "str | os.PathLike[str] | bytes | Dataset",
    *,
    spacing_mm: float | GivenSpacing | None = None,
    coarsest_mm: float = 0.0,
    most_bytes: int | None = None,
    patient_key: bytes | None = None,
) -> Film:
    """Read one film from a path, the bytes of a DICOM file, or a pydicom data set (read as it would be
    written, and named by those bytes).

    `spacing_mm` is the pixel size at the DETECTOR, for a film that states none, or for any film if `GivenSpacing` says
    so; the header's magnification still applies.
    `coarsest_mm` is the pixel size at the hip to which the film may be reduced by 2 or 4: less work for who needs no
    more. Points and boxes remain those of the film as stored. `most_bytes` limits the memory that decoding is reckoned
    to take; more is `FilmFailed("out_of_memory")`, before anything is allocated.
    `patient_key` makes `Film.patient_pseudonym`; there is none without it.
    Raises `FilmRefused` with a code of `errors.REFUSALS`, or `FilmFailed("file_unreadable")`. Safe to call from several
    threads; nothing is printed or logged.
    """
    given = GivenSpacing(spacing_mm) if isinstance(spacing_mm, float | int) else spacing_mm
    if given and not given.mm > 0:
        raise ValueError("spacing_mm must be positive")
    if isinstance(source, bytes):
        data = source
    else:
        data = read_bytes(source) if isinstance(source, str | os.PathLike) else _written(source)
    try:
        return _film(data, given, coarsest_mm, most_bytes, patient_key)
    except MemoryError as error:
        raise FilmFailed("out_of_memory") from error


def read_bytes(path: "str | os.PathLike[str]", *, links: bool = True, most_bytes: int | None = None) -> bytes:
    """Read a regular file of at most `MAX_FILE_BYTES`; a larger one is judged by its first bytes.

    `links` says whether a link is followed, `most_bytes` what memory there is.

    Raises `FilmRefused`: `not_a_regular_file`, `not_dicom`, `too_large`; `FilmFailed`: `file_unreadable`,
    `out_of_memory`.
    """
    try:
        return read_file(path, MAX_FILE_BYTES if most_bytes is None else min(MAX_FILE_BYTES, most_bytes), links=links)
    except NotRegular:
        raise FilmRefused("not_a_regular_file") from None
    except TooLarge as error:
        detail = f"a file of {error.size_bytes >> 20} MB"
        if error.head[128:] != b"DICM":
            raise FilmRefused("not_dicom", detail) from None
        if error.size_bytes > MAX_FILE_BYTES:
            raise FilmRefused("too_large", detail) from None
        raise FilmFailed("out_of_memory", detail) from None
    except OSError as error:
        # errno only: the message of an OSError holds the path, and a path may hold a name
        raise FilmFailed("file_unreadable", f"errno {error.errno}") from None


def _written(dataset: "Dataset") -> bytes:
    import pydicom  # only where a data set is handed in: whoever has one has paid for it

    if not isinstance(dataset, pydicom.Dataset):
        raise TypeError(f"a film is a path, bytes or a pydicom data set, not {type(dataset).__name__}")
    buffer = io.BytesIO()
    try:
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    except Exception as error:
        raise FilmRefused("broken_dicom", f"the data set cannot be written: {type(error).__name__}") from error
    return buffer.getvalue()


def _film(
    data: bytes, given: GivenSpacing | None, coarsest_mm: float, most_bytes: int | None, key: bytes | None
) -> Film:
    """Judge the header, then decode: the order of the checks is the order in which the codes win."""
    header, body = read_header(data)
    check_kind(header)
    layout, syntax = read_layout(header, MAX_PIXELS), transfer_syntax(header.transfer_syntax)
    facts, flags = _facts(header, layout, given, key)
    step = next((step for step in (4, 2) if step * max(facts["spacing_mm"]) <= coarsest_mm), 1)
    _check_memory(decode_bytes(header.transfer_syntax, layout, len(body), step), most_bytes)
    frame = frame_bytes(header, body, syntax.encapsulated)
    stored, how, layout_flags = _pixels(header.transfer_syntax, frame, layout, step)
    display = read_display(header, layout.bits_stored, layout.signed)
    check_exposure(stored, display)
    stored.flags.writeable = False
    return Film(
        film_id=film_id(data),
        stored=stored,
        lookup=display.lookup,
        lookup_first=display.first,
        flags=(*flags, *display.flags, *layout_flags, *_file_flags(header)),
        warnings=header.irregular,
        pixel_digest=pixel_digest(stored),
        reduced=how,
        **facts,
    )


def _facts(
    header: Header, layout: PixelLayout, given: GivenSpacing | None, key: bytes | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the header says of the film, by the names of `Film`'s fields, and flags."""
    body_part = read_body_part(header)
    view, view_flags = read_view(header)
    patient, patient_flags = read_patient(header, key)
    side, side_flags = read_side(header)
    scale = read_scale(header, (layout.rows, layout.columns), given)
    facts = {
        "sop_instance_uid": header.uid(0x00080018),
        "study_instance_uid": header.uid(0x0020000D),
        "series_instance_uid": header.uid(0x0020000E),
        "spacing_mm": scale.spacing_mm,
        "spacing_source": scale.source,
        "view": view,
        "side": side,
        "body_part": body_part,
    }
    return facts | patient | read_device(header), (*scale.flags, *view_flags, *side_flags, *patient_flags)


def _check_memory(needed: int, most_bytes: int | None) -> None:
    if most_bytes is not None and needed > most_bytes:
        raise FilmFailed("out_of_memory", f"{needed >> 20} MB needed")


def _file_flags(header: Header) -> list[str]:
    """What is odd about the file; to be asked for when all of the header that is needed has been read."""
    lossy = is_lossy(header.transfer_syntax) or header.text(0x00282110) == "01"
    standing = {
        "lossy_compression": lossy,
        "trailing_data": header.trailing,
        "header_irregular": header.irregular > 0,
    }
    return [*read_provenance(header, lossy), *(flag for flag, stands in standing.items() if stands)]


def _pixels(
    syntax: str, frame: bytes | memoryview, layout: PixelLayout, step: int
) -> tuple[Stored, Reduced | None, tuple[str, ...]]:
    """Decode the frame, reduced by `step` or less; with flags."""
    stored = _unshifted(syntax, frame, layout)
    flags = () if stored is None else ("high_bit_contradiction",)
    found = decode_reduced(syntax, frame, layout, step) if step > 1 and stored is None else None
    if found is not None:
        check_sign(found[0], layout.bits_stored)
        return *found, ()
    stored = decode(syntax, frame, layout) if stored is None else stored
    check_shape(stored)
    check_sign(stored, layout.bits_stored)
    small, how = reduced(stored, step, layout.bits_stored) if step > 1 else (stored, None)
    return small, how, flags


def _unshifted(syntax: str, frame: bytes | memoryview, layout: PixelLayout) -> Stored | None:
    """The values where they all lie in the lowest bits, and HighBit says higher: they would lose those bits."""
    shift = layout.high_bit + 1 - layout.bits_stored
    if shift <= 0 or layout.overlay_bits or layout.signed:
        return None
    try:
        stored = decode(syntax, frame, replace(layout, high_bit=layout.bits_stored - 1))
    except FilmRefused:
        return None
    return stored if (stored & ((1 << shift) - 1)).any() else None
