"""What stands in a film's bytes at the door: whether it can be a film, and what tells it from others.

No pixel is decoded and no name read. Standard library only, for the guard runs inside Orthanc's Python.
"""

import hashlib
import hmac
from enum import IntEnum

from bmd_edge.clinic.journal.films import Content
from bmd_edge.dicom.elements import PIXEL_DATA
from bmd_edge.dicom.header import Header, read_header
from bmd_edge.dicom.sop_classes import CR, DX, DX_PROCESSING, SC
from bmd_edge.errors import FilmRefused
from bmd_edge.film.limits import MAX_FILE_BYTES, MAX_PIXELS
from bmd_edge.pixels.transfer_syntaxes import syntaxes

_FILMS = (CR, DX, DX_PROCESSING, SC)
_SOP_CLASS, _SOP_UID = 0x00080016, 0x00080018
_PATIENT_ID, _STUDY, _SERIES = 0x00100020, 0x0020000D, 0x0020000E
_FRAMES, _PHOTOMETRIC, _ROWS, _COLUMNS = 0x00280008, 0x00280004, 0x00280010, 0x00280011


class Status(IntEnum):
    """What a sender is told; the number is that of DIMSE (PS3.4 B.2.3, PS3.7 C) and of STOW-RS (PS3.18 I.2.2).

    Never a warning: a sender counts a film with a warning as stored.
    """

    KEPT = 0x0000
    SOP_CLASS = 0x0122
    NOT_AUTHORIZED = 0x0124
    NO_ROOM = 0xA700
    TOO_LARGE = 0xA900
    BAD_UID = 0xC001
    UNREADABLE = 0xC002
    NOT_A_FILM = 0xC003
    CONFLICT = 0xC010
    SYNTAX = 0xC122


class NotTaken(Exception):
    """This cannot be a film, or none that is taken: `status` for the sender, `code` for the journal."""

    def __init__(self, status: Status, code: str) -> None:
        super().__init__(f"{status:04X} {code}")
        self.status, self.code = status, code


def content_of(data: bytes, key: bytes) -> Content:
    """Look at the bytes of a DICOM file; NotTaken where it cannot be a film.

    The same film has the same `pixel_sha`, `header_sha` and `identity` whatever rewrote its file meta information, its
    value representations, its padding, or the lengths of its sequences. `key` makes `identity` a keyed hash.
    """
    if len(data) > MAX_FILE_BYTES:
        raise NotTaken(Status.TOO_LARGE, "too_large")
    try:
        header, body = read_header(data)
        sop_uid = _checked(header)
    except FilmRefused as error:
        status = Status.TOO_LARGE if error.code == "too_large" else Status.UNREADABLE
        raise NotTaken(status, error.code) from None
    who = b"\0".join(_stripped(header.value(tag)) for tag in (_PATIENT_ID, _STUDY, _SERIES))
    return Content(
        film_key=hashlib.sha256(data).hexdigest(),
        sop_uid=sop_uid,
        pixel_sha=_pixel_sha(header, body),
        header_sha=_header_sha(header),
        identity=hmac.new(key, who, hashlib.sha256).hexdigest(),
        syntax=header.transfer_syntax,
        size=len(data),
    )


def _checked(header: Header) -> str:
    """The SOP Instance UID of what can be a film; whether it shows a hip is for the reading to say."""
    kind = header.uid(_SOP_CLASS)
    if kind not in _FILMS:
        raise NotTaken(Status.SOP_CLASS, "not_radiograph")
    if header.transfer_syntax not in syntaxes():
        raise NotTaken(Status.SYNTAX, "unsupported_syntax")
    # Type 1 all three (PS3.3 C.12.1, C.7.2.1, C.7.3.1); without those of study and series its result has no place.
    uid = header.uid(_SOP_UID)
    if uid is None or not (header.uid(_STUDY) and header.uid(_SERIES)):
        raise NotTaken(Status.BAD_UID, "no_uid")
    if PIXEL_DATA not in header:
        raise NotTaken(Status.NOT_A_FILM, "no_pixels")
    if (header.integer(_ROWS) or 0) * (header.integer(_COLUMNS) or 0) > MAX_PIXELS:
        raise NotTaken(Status.TOO_LARGE, "too_large")
    # Screenshots and dose sheets come as Secondary Captures from every unit: no result is made of them.
    gray = (header.text(_PHOTOMETRIC) or "").upper().startswith("MONOCHROME")
    if kind == SC and not (gray and header.decimal(_FRAMES) in (None, 0, 1)):
        raise NotTaken(Status.NOT_A_FILM, "not_grayscale" if not gray else "multi_frame")
    return uid


def _pixel_sha(header: Header, body: bytes | bytearray) -> str:
    element = header.element(PIXEL_DATA)
    assert element is not None
    found, view = hashlib.sha256(), memoryview(body)
    for start, end in element.fragments or [(element.start, element.end)]:
        found.update(view[start:end])
    return found.hexdigest()


def _header_sha(header: Header) -> str:
    found = hashlib.sha256()
    _add(found, header, b"")
    return found.hexdigest()


def _add(found: "hashlib._Hash", header: Header, where: bytes) -> None:
    for tag, value in header.values():
        if tag == PIXEL_DATA or not tag & 0xFFFF:  # group lengths, which go with the encoding
            continue
        place = where + tag.to_bytes(4, "big")
        if isinstance(value, memoryview):
            text = _stripped(value)
            found.update(place + len(text).to_bytes(4, "big") + text)
            continue
        for n, item in enumerate(value):
            _add(found, item, place + n.to_bytes(4, "big"))


def _stripped(value: memoryview) -> bytes:
    return bytes(value).rstrip(b"\0 ")


def sop_of(data: bytes) -> tuple[str, str]:
    """SOP Class and SOP Instance UID of a DICOM file, whatever else is wrong with it; "" for what cannot be read."""
    try:
        header, _ = read_header(data)
    except FilmRefused:
        return "", ""
    return header.uid(_SOP_CLASS) or "", header.uid(_SOP_UID) or ""
