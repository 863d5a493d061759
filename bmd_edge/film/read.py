"""DICOM film -> `Film`: stored integers, the table that makes them bone-bright, scale, view, side, patient.

The header is judged before anything is allocated, then the frame is decoded once.
"""

import copy
import io
import os
import sys
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from bmd_edge.dicom.elements import PIXEL_DATA
from bmd_edge.dicom.frame import frame_bytes, read_layout
from bmd_edge.dicom.header import Header, read_header
from bmd_edge.dicom.other_files import other_kind
from bmd_edge.errors import FilmFailed, FilmRefused, UsageError
from bmd_edge.film.acceptance import check_exposure, check_kind, level_counts
from bmd_edge.film.film import Film, film_id, pixel_digest
from bmd_edge.film.gray import read_display
from bmd_edge.film.limits import MAX_FILE_BYTES, MAX_PIXELS
from bmd_edge.film.patient_and_device import read_device, read_patient, whose
from bmd_edge.film.provenance import read_provenance
from bmd_edge.film.scale import GivenSpacing, read_scale
from bmd_edge.film.shutter import read_shutter
from bmd_edge.film.view_and_side import read_body_part, read_side, read_view
from bmd_edge.pixels.decode import decode, decode_bytes, decode_reduced
from bmd_edge.pixels.half_size import Reduced, reduced
from bmd_edge.pixels.jpeg import loses
from bmd_edge.pixels.layout import PixelLayout, Stored
from bmd_edge.pixels.misread import check_shape, check_sign
from bmd_edge.pixels.transfer_syntaxes import (
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    transfer_syntax,
)
from bmd_edge.system.files import NotRegular, TooLarge, read_file

if TYPE_CHECKING:
    from pydicom import Dataset

FilmSource: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | Dataset"

_SYNTAX_OF = {
    (True, True): IMPLICIT_LITTLE_ENDIAN,
    (False, True): EXPLICIT_LITTLE_ENDIAN,
    (False, False): EXPLICIT_BIG_ENDIAN,
}
"""(implicit, little endian) -> the transfer syntax of a data set without compressed pixels."""


def read_film(
    source: FilmSource,
    *,
    spacing_mm: float | GivenSpacing | None = None,
    coarsest_mm: float = 0.0,
    most_bytes: int | None = None,
    patient_key: bytes | None = None,
    accession: bool = False,
) -> Film:
    """Read one film from a path, the bytes of a DICOM file, or a pydicom data set (read as it would be
    written, and named by those bytes). A link is followed: whoever names it means what it leads to.

    `spacing_mm` is the pixel size at the DETECTOR, for a film that states none, or for any film if `GivenSpacing` says
    so; the header's magnification still applies.
    `coarsest_mm` is the pixel size at the hip to which the film may be reduced by 2 or 4: less work for who needs no
    more. Points and boxes remain those of the film as stored. `most_bytes` limits the memory that decoding is reckoned
    to take; more is `FilmFailed("out_of_memory")`, before anything is allocated.
    `patient_key` makes `Film.patient_pseudonym`, and `accession` keeps `Film.accession_number`; there is none without.
    Raises `FilmRefused` with a code of `errors.REFUSALS`, or `FilmFailed("file_unreadable")`; TypeError and UsageError
    as `check_source`. Safe to call from several threads; nothing is printed or logged.
    """
    given = GivenSpacing(spacing_mm) if isinstance(spacing_mm, float | int) else spacing_mm
    if given and not given.mm > 0:
        raise ValueError("spacing_mm must be positive")
    check_source(source)
    try:
        return _film(film_bytes(source), given, coarsest_mm, most_bytes, (patient_key, accession))
    except MemoryError as error:
        raise FilmFailed("out_of_memory") from error


def check_source(source: FilmSource) -> None:
    """Tell a mistake of the caller from whatever may be wrong with a film; reads nothing.

    TypeError: `source` is nothing that a film is read from. UsageError: a data set that does not say how it is encoded,
    or a path that no system takes.
    """
    if isinstance(source, str | os.PathLike) and "\0" in os.fsdecode(source):
        raise UsageError("the path of the film holds a NUL: no file is called so")
    if isinstance(source, str | os.PathLike | bytes | bytearray | memoryview):
        return
    pydicom = sys.modules.get("pydicom")  # whoever hands in a data set has loaded it
    if pydicom is None or not isinstance(source, pydicom.Dataset):
        kind = type(source).__name__
        hint = ": give what its read() returns" if hasattr(source, "read") else ""
        raise TypeError(f"a film is a path, bytes or a pydicom data set, not {kind}{hint}")
    if _syntax(source) is None:
        raise UsageError(
            "the data set does not say its transfer syntax: set file_meta, as event.file_meta in a receiver"
        )


def film_bytes(source: FilmSource, *, links: bool = True, most_bytes: int | None = None) -> bytes:
    """The bytes of a film that is none yet: those of its file, given, or as its data set would be written.

    `links`, `most_bytes` and errors as for `read_bytes`; `FilmRefused("broken_dicom")` for a data set that cannot be
    written.
    """
    if isinstance(source, str | os.PathLike):
        return read_bytes(source, links=links, most_bytes=most_bytes)
    if isinstance(source, bytes):
        return source
    return bytes(source) if isinstance(source, bytearray | memoryview) else _written(source)


def read_bytes(path: "str | os.PathLike[str]", *, links: bool = True, most_bytes: int | None = None) -> bytes:
    """Read a regular file of at most `MAX_FILE_BYTES`; a larger one is judged by its first bytes.

    `links` says whether a link is followed, `most_bytes` what memory there is.

    Raises `FilmRefused`: `not_a_regular_file`, `too_large`, a code of `other_kind`; `FilmFailed`: `file_unreadable`,
    `out_of_memory`.
    """
    try:
        return read_file(path, MAX_FILE_BYTES if most_bytes is None else min(MAX_FILE_BYTES, most_bytes), links=links)
    except NotRegular:
        raise FilmRefused("not_a_regular_file") from None
    except TooLarge as error:
        detail = f"a file of {error.size_bytes >> 20} MB"
        if error.head[128:] != b"DICM":
            raise FilmRefused(other_kind(error.head, whole=False), detail) from None
        if error.size_bytes > MAX_FILE_BYTES:
            raise FilmRefused("too_large", detail) from None
        raise FilmFailed("out_of_memory", detail) from None
    except OSError as error:
        # errno only: the message of an OSError holds the path, and a path may hold a name
        raise FilmFailed("file_unreadable", f"errno {error.errno}") from None


def _syntax(dataset: "Dataset") -> str | None:
    """The transfer syntax of a data set: of its file, or as it was read from a network, which sends no file meta."""
    if stated := _file_meta(dataset).get("TransferSyntaxUID"):
        return str(stated)
    if PIXEL_DATA in dataset and dataset[PIXEL_DATA].is_undefined_length:
        return None  # compressed, and in which way the file meta alone would say
    return _SYNTAX_OF.get(dataset.original_encoding)  # type: ignore[arg-type]


def _file_meta(dataset: "Dataset") -> Any:
    return getattr(dataset, "file_meta", None) or {}


def _written(dataset: "Dataset") -> bytes:
    import pydicom  # only where a data set is handed in: whoever has one has paid for it

    buffer = io.BytesIO()
    if any(_is_cut(element) for element in dataset.elements()):
        raise FilmRefused("truncated")
    try:
        own = copy.copy(_without_commands(dataset))  # the caller's stays as it is
        own.file_meta = pydicom.dataset.FileMetaDataset(_file_meta(dataset))
        own.file_meta.TransferSyntaxUID = pydicom.uid.UID(_syntax(dataset) or "")
        pydicom.dcmwrite(buffer, own, enforce_file_format=True)
    except Exception as error:
        raise FilmRefused("broken_dicom", f"the data set cannot be written: {type(error).__name__}") from error
    return buffer.getvalue()


def _is_cut(element: Any) -> bool:
    """Whether an element that pydicom read, and nobody has asked for yet, is shorter than the file said."""
    length, value = getattr(element, "length", None), element.value
    return length not in (None, 0xFFFFFFFF) and isinstance(value, bytes) and len(value) < length


def _without_commands(dataset: "Dataset") -> "Dataset":
    """A data set without group 0, which is what pydicom makes of zeros behind its end."""
    if 0x00000000 not in dataset:
        return dataset
    return dataset[0x00020000:]


def _film(
    data: bytes,
    given: GivenSpacing | None,
    coarsest_mm: float,
    most_bytes: int | None,
    found_by: tuple[bytes | None, bool],
) -> Film:
    """Judge the header, then decode: the order of the checks is the order in which the codes win."""
    header, body = read_header(data)
    check_kind(header)
    try:
        return _decoded(data, header, body, given, coarsest_mm, most_bytes, found_by)
    except (FilmRefused, FilmFailed) as error:
        with suppress(FilmRefused):
            error.whose = whose(header, *found_by)
        raise


def _decoded(
    data: bytes,
    header: Header,
    body: bytes | bytearray,
    given: GivenSpacing | None,
    coarsest_mm: float,
    most_bytes: int | None,
    found_by: tuple[bytes | None, bool],
) -> Film:
    layout, syntax = read_layout(header, MAX_PIXELS), transfer_syntax(header.transfer_syntax)
    facts, flags = _facts(header, layout, given, found_by)
    step = next((step for step in (4, 2) if step * max(facts["spacing_mm"]) <= coarsest_mm), 1)
    _check_memory(decode_bytes(header.transfer_syntax, layout, len(body), step), most_bytes)
    frame = frame_bytes(header, body, syntax.encapsulated)
    stored, how, layout_flags = _pixels(header.transfer_syntax, frame, layout, step)
    if not syntax.encapsulated and len(frame) > layout.native_bytes + layout.native_bytes % 2:
        header.note()
    lossy = header.text(0x00282110) == "01" or loses(syntax.family, frame)
    shutter = read_shutter(header)
    counts = level_counts(stored, layout)
    display = read_display(header, layout.signed, counts)
    check_exposure(counts, display)
    stored.flags.writeable = False
    return Film(
        film_id=film_id(data),
        stored=stored,
        lookup=display.lookup,
        lookup_first=display.first,
        black=display.black,
        white=display.white,
        shutter=shutter,
        flags=(*flags, *display.flags, *layout_flags, *_file_flags(header, lossy)),
        warnings=header.irregular,
        pixel_digest=pixel_digest(stored),
        reduced=how,
        **facts,
    )


def _facts(
    header: Header, layout: PixelLayout, given: GivenSpacing | None, found_by: tuple[bytes | None, bool]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the header says of the film, by the names of `Film`, and flags; `found_by` as for `read_patient`."""
    body_part = read_body_part(header)
    view, view_flags = read_view(header)
    patient, patient_flags = read_patient(header, *found_by)
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
    return facts | patient | read_device(header, found_by[0]), (*scale.flags, *view_flags, *side_flags, *patient_flags)


def _check_memory(needed: int, most_bytes: int | None) -> None:
    if most_bytes is not None and needed > most_bytes:
        raise FilmFailed("out_of_memory", f"{needed >> 20} MB needed")


def _file_flags(header: Header, lossy: bool) -> list[str]:
    """What is odd about the file; to be asked for when all of the header that is needed has been read."""
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


def name_of(source: FilmSource) -> str | None:
    """The film_id of a film that is none yet, None if it cannot be read; no link is followed."""
    try:
        return film_id(film_bytes(source, links=False))
    except (FilmRefused, FilmFailed):
        return None
